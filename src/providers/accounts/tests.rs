use super::*;
use crate::api::conditions::Reason;
use crate::providers::scripted::Scripted;
use data_encoding::BASE64;
use serde_json::json;
use std::convert::Infallible;

/// An API server that knows one Secret, or none.
#[derive(Clone, Default)]
struct Secrets {
    token: Arc<Mutex<Option<String>>>,
    reads: Arc<Mutex<u32>>,
}

impl Secrets {
    fn with(token: &str) -> Self {
        let secrets = Self::default();
        secrets.put(Some(token));
        secrets
    }

    fn put(&self, token: Option<&str>) {
        *lock(&self.token) = token.map(str::to_owned);
    }

    fn reads(&self) -> u32 {
        *lock(&self.reads)
    }

    fn client(&self) -> kube::Client {
        let secrets = self.clone();
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let secrets = secrets.clone();
            async move {
                assert_eq!(request.uri().path(), "/api/v1/namespaces/team/secrets/do");
                *lock(&secrets.reads) += 1;
                Ok::<_, Infallible>(secrets.answer())
            }
        });
        kube::Client::new(service, "default")
    }

    fn answer(&self) -> http::Response<kube::client::Body> {
        let (status, body) = match lock(&self.token).as_ref() {
            Some(token) => (
                200,
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "do", "namespace": "team"},
                    "data": {"token": BASE64.encode(token.as_bytes())}}),
            ),
            None => {
                (404, json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": ""}))
            }
        };
        let body = kube::client::Body::from(body.to_string().into_bytes());
        http::Response::builder().status(status).body(body).expect("a sound answer")
    }
}

fn provider() -> ProviderSpec {
    serde_json::from_value(json!({"digitalOcean": {"credentialsRef": {"name": "do", "key": "token"}, "region": "nyc"}}))
        .expect("a provider")
}

fn accounts(secrets: &Secrets, server: &Scripted, ttl: Duration) -> Accounts {
    let timing = Timing { credentials_ttl: ttl, ..Timing::default() };
    Accounts::new(secrets.client(), Endpoints { digitalocean_url: server.url.clone() }, &timing)
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn many_passes_read_one_secret_and_ask_for_one_account() {
    let (secrets, server) = (Secrets::with("hush"), Scripted::start("mine", []).await);
    let accounts = accounts(&secrets, &server, LONG);
    let spec = provider();
    let all = futures::future::join_all((0..20).map(|_| accounts.resolve("team", &spec))).await;
    for connection in all {
        let connection = connection.expect("resolved");
        assert_eq!((connection.account.0.as_str(), connection.secret_namespace.as_str()), ("mine", "team"));
        assert!(!connection.token_label.contains("hush"));
    }
    assert_eq!((secrets.reads(), server.account_calls()), (1, 1));
    assert_eq!(accounts.budgets().len(), 1);
}

#[tokio::test]
async fn a_rotated_token_is_used_without_a_restart() {
    let (secrets, server) = (Secrets::with("old"), Scripted::start("mine", []).await);
    let accounts = accounts(&secrets, &server, Duration::ZERO);
    let old = accounts.resolve("team", &provider()).await.expect("resolved");
    secrets.put(Some("new"));
    let new = accounts.resolve("team", &provider()).await.expect("resolved");
    assert_eq!(old.account, new.account);
    assert_ne!(old.token_label, new.token_label);
    assert!(!Arc::ptr_eq(&old.provider, &new.provider));
}

#[tokio::test]
async fn forgetting_reads_and_asks_again() {
    let (secrets, server) = (Secrets::with("hush"), Scripted::start("mine", []).await);
    let accounts = accounts(&secrets, &server, LONG);
    let connection = accounts.resolve("team", &provider()).await.expect("resolved");
    server.move_to("theirs");
    accounts.forget(&connection);
    let again = accounts.resolve("team", &provider()).await.expect("resolved");
    assert_eq!(again.account.0, "theirs");
    assert_eq!((secrets.reads(), server.account_calls()), (2, 2));
}

#[tokio::test]
async fn a_token_that_moved_resolves_to_where_it_moved() {
    let (secrets, server) = (Secrets::with("hush"), Scripted::start("mine", []).await);
    let accounts = accounts(&secrets, &server, LONG);
    let connection = accounts.resolve("team", &provider()).await.expect("resolved");
    server.move_to("theirs");
    assert_eq!(connection.provider.account().await.expect("told").0, "theirs");
    assert_eq!(connection.provider.get("a").await.expect_err("refused").class, ErrorClass::Auth);
    assert_eq!(accounts.resolve("team", &provider()).await.expect("resolved").account.0, "theirs");
}

#[tokio::test]
async fn a_refused_token_is_told_once_and_heals_with_the_secret() {
    let (secrets, server) = (Secrets::with("bad"), Scripted::start("", []).await);
    let accounts = accounts(&secrets, &server, Duration::ZERO);
    for _ in 0..5 {
        let error = accounts.resolve("team", &provider()).await.err().expect("refused");
        assert_eq!(error.reason(), Reason::CredentialsRejected);
        assert!(error.to_string().contains("team/do") && !error.to_string().contains("bad"), "{error}");
    }
    assert_eq!(server.account_calls(), 1, "a refused token is not tried over and over");
    server.move_to("mine");
    secrets.put(Some("good"));
    assert!(accounts.resolve("team", &provider()).await.is_ok());
}

#[tokio::test]
async fn a_missing_secret_heals_when_it_is_made() {
    let (secrets, server) = (Secrets::default(), Scripted::start("mine", []).await);
    let accounts = accounts(&secrets, &server, Duration::ZERO);
    let error = accounts.resolve("team", &provider()).await.err().expect("missing");
    assert_eq!(error.reason(), Reason::CredentialsMissing);
    secrets.put(Some("hush"));
    assert!(accounts.resolve("team", &provider()).await.is_ok());
}

/// Labels stand in metrics, so anybody can find a text with the same one.
#[tokio::test]
async fn a_token_with_the_same_label_opens_nothing_of_another_s9() {
    let (secrets, server) = (Secrets::with("token-6170"), Scripted::start("mine", []).await);
    let accounts = accounts(&secrets, &server, Duration::ZERO);
    let mine = accounts.resolve("team", &provider()).await.expect("resolved");
    secrets.put(Some("token-44637"));
    server.move_to("");
    let label = token_label(&Secret::new("token-44637".to_owned()));
    assert_eq!(mine.token_label, label, "the two texts were found to collide");
    let error = accounts.resolve("team", &provider()).await.err().expect("refused");
    assert_eq!(error.reason(), Reason::CredentialsRejected);
}
