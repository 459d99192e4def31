//! Logs, as text for people or JSON for machines, on standard error.
//!
//! Objects are named by fields (`namespace`, `name`, `uid`), so that one
//! object's story can be filtered out.

use crate::failure::Failure;
use std::io;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// What is logged when nobody says otherwise.
const DEFAULT_FILTER: &str = "info";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// The logging flags of a command that runs for long.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LogArgs {
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `sandbar=debug,kube=warn`
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("--log (or RUST_LOG) is {filter:?}, which is no log filter")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// This process logs already.
    #[error("logging is set up twice")]
    Twice(#[from] TryInitError),
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let failure = Failure::new(crate::failure::chain(&error));
        match error {
            LogError::Filter { .. } => {
                failure.advice("--log info, or one word per part: --log sandbar=debug,kube=warn")
            }
            LogError::Twice(_) => failure,
        }
    }
}

/// Starts logging to standard error, for the life of the process.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn init(args: &LogArgs) -> Result<(), LogError> {
    Ok(subscriber(args, io::stderr)?.try_init()?)
}

fn subscriber<W>(args: &LogArgs, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let text = args.log.as_deref().filter(|filter| !filter.trim().is_empty()).unwrap_or(DEFAULT_FILTER);
    let filter =
        EnvFilter::builder().parse(text).map_err(|source| LogError::Filter { filter: text.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    Ok(match args.log_format {
        LogFormat::Text => Box::new(registry.with(lines)),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    })
}

#[cfg(test)]
mod tests {
    use super::super::secret::Secret;
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(args: &LogArgs) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(args, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let token = Secret::new("hunter2");
            tracing::info!(namespace = "n", name = "python-0", %token, other = ?token, "created");
            tracing::debug!("details");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_carry_the_object_as_fields_and_never_a_secret() {
        let text = logged(&LogArgs { log_format: LogFormat::Json, log: None });
        assert!(!text.contains("hunter2"), "{text}");
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).expect("one line of JSON");
        let shown = ["level", "message", "namespace", "name", "token"].map(|field| line[field].as_str().unwrap_or("-"));
        assert_eq!(shown, ["INFO", "created", "n", "python-0", "***"], "{text}");
    }

    #[test]
    fn text_lines_are_filtered_and_never_show_a_secret() {
        let text = logged(&LogArgs { log_format: LogFormat::Text, log: Some("debug".into()) });
        assert!(text.contains("created") && text.contains("details") && text.contains("python-0"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(logged(&LogArgs { log: Some("error".into()), ..LogArgs::default() }).is_empty());
        assert_eq!(logged(&LogArgs { log: Some(" ".into()), ..LogArgs::default() }).lines().count(), 1);
    }

    #[test]
    fn a_bad_filter_is_named() {
        let args = LogArgs { log: Some("sandbar=loud".into()), ..LogArgs::default() };
        let error = subscriber(&args, io::stderr).err().expect("it is no filter");
        assert!(error.to_string().contains("\"sandbar=loud\""), "{error}");
    }
}
