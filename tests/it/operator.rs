//! Operators of tests: how they are started, and what can be done to them.

use std::process::ExitStatus;

use sandbar::dev::nursery;
use sandbar::dev::operator::{Operator, OperatorOptions};

/// Flags of a quick operator: everything that takes tens of seconds in
/// earnest takes one or two, in the same order of lengths.
const QUICK: [(&str, &str); 12] = [
    // A starved API server must not cost an operator that nobody starts again its lease.
    ("--lease-duration", "20s"),
    // A test of more than a minute must not use up the minute's calls: each listing is two of 200.
    ("--listing-period", "1s"),
    ("--listing-slow", "3s"),
    ("--create-timeout", "3s"),
    ("--call-timeout", "3s"),
    ("--visibility-grace", "1s"),
    ("--credentials-ttl", "1s"),
    ("--probe-warm", "1s"),
    ("--probe-claimed", "500ms"),
    ("--probe-timeout", "1s"),
    ("--orphan-grace", "5s"),
    ("--orphan-sweep", "3s"),
];

/// What is special about an operator. The default is quick: see [`QUICK`].
#[derive(Clone, Debug)]
pub struct OperatorSpec {
    /// Names its log; two operators of one test need two names.
    pub name: String,
    /// Further arguments of `sandbar controller`.
    pub arguments: Vec<String>,
    /// Further environment, such as `SANDBAR_CRASH_AT`.
    pub environment: Vec<(String, String)>,
    /// Where its cloud is, if not where the world's is.
    pub cloud: Option<String>,
}

impl Default for OperatorSpec {
    fn default() -> Self {
        Self { name: "operator".to_owned(), arguments: Vec::new(), environment: Vec::new(), cloud: None }
    }
}

impl OperatorSpec {
    /// The further flags of `sandbar controller`, one by one.
    pub fn flags(&self) -> Vec<String> {
        let quick = QUICK.iter().filter(|(flag, _)| !self.arguments.iter().any(|given| given == flag));
        quick.flat_map(|(flag, value)| [*flag, *value]).map(str::to_owned).chain(self.arguments.clone()).collect()
    }

    /// Adds arguments, a flag and its value separately; they go before [`QUICK`].
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets it reach the cloud through this address.
    #[must_use]
    pub fn through(mut self, url: &str) -> Self {
        self.cloud = Some(url.to_owned());
        self
    }

    /// Gives it another name than `operator`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

/// An operator of one test. Killed when dropped.
pub struct TestOperator {
    operator: Option<Operator>,
    options: OperatorOptions,
}

impl TestOperator {
    /// Starts one and waits until it is ready.
    pub async fn start(options: OperatorOptions) -> Self {
        let started = Operator::start(&options).await;
        let operator = started.unwrap_or_else(|error| panic!("{}", sandbar::failure::chain(&error)));
        Self { operator: Some(operator), options }
    }

    /// Starts one.
    pub async fn spawn(options: OperatorOptions) -> Self {
        let operator = Operator::spawn(&options).await.expect("the operator starts");
        Self { operator: Some(operator), options }
    }

    fn running(&self) -> &Operator {
        self.operator.as_ref().expect("the operator was not stopped before")
    }

    /// SIGKILL, and wait until it is gone. Start it again with [`Self::restart`].
    pub async fn kill9(&mut self) {
        self.operator.take().expect("the operator was not stopped before").kill().await;
    }

    /// SIGTERM, and wait until it is gone. Says how it ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.operator.take().expect("the operator was not stopped before").stop().await
    }

    /// Waits until it ends by itself, as at a crash point. It runs on if this is given up.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.running().child().wait().await;
        self.operator = None;
        status
    }

    /// Starts it again with the same arguments (kills it first if it runs)
    /// and waits until it is ready.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// Like [`Self::restart`], with other environment variables on top.
    pub async fn restart_with(&mut self, environment: &[(&str, &str)]) {
        if let Some(operator) = self.operator.take() {
            operator.kill().await;
        }
        let mut options = self.options.clone();
        for (name, value) in environment {
            options.server.environment.retain(|(had, _)| had != name);
            options.server.environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        let started = Operator::start(&options).await;
        self.operator = Some(started.unwrap_or_else(|error| panic!("{}", sandbar::failure::chain(&error))));
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.running().child().pid()
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        self.get("/metrics").await.1
    }

    /// Status and body of a path it serves, such as `/readyz`.
    pub async fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).await.expect("an answer")
    }

    /// Like [`Self::get`]; `None` while it does not listen yet.
    pub async fn try_get(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("{}{path}", self.running().base_url())).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }
}

impl Drop for TestOperator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = &self.options.server.log;
            eprintln!("--- the last lines of {}:\n{}", log.display(), nursery::tail(log, 40));
        }
    }
}
