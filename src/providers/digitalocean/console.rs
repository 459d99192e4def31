//! An app's terminal: where it can be opened.

use super::http::{Call, Http, unknown};
use super::request::COMPONENT;
use super::wire::ExecAnswer;
use crate::providers::{ConsoleAddress, ProviderError};
use crate::telemetry::secret::Secret;
use reqwest::Url;

const OPERATION: &str = "console";

/// Asks for a terminal of the app's one component. Needs the scope app:access_console.
pub(super) async fn address(http: &Http, id: &str) -> Result<ConsoleAddress, ProviderError> {
    let path = ["apps", id, "components", COMPONENT, "exec"];
    let answer: ExecAnswer = http.json(Call::get(OPERATION, &path)).await?;
    let url = answer.url.unwrap_or_default();
    // What is typed into a terminal must not go over the network in the clear where the API itself is not asked so.
    let sound = Url::parse(&url).is_ok_and(|url| {
        url.has_host() && (url.scheme() == "wss" || url.scheme() == "ws" && http.base.scheme() == "http")
    });
    if !sound {
        return Err(unknown(OPERATION, "the answer has no wss:// address".to_owned()));
    }
    Ok(ConsoleAddress { url: Secret::new(url) })
}
