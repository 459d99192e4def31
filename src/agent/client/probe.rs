//! The light question whether an agent is there.

use super::{AgentError, base, limited};
use crate::agent::wire::Health;
use std::time::Duration;

/// The longest a probe takes.
const LIMIT: Duration = Duration::from_secs(5);

const MAX_BODY: usize = 64 * 1024;

/// Asks `/health` once, without a token, for 5 s at most.
///
/// # Errors
/// [`AgentError::Timeout`] after 5 s; [`AgentError::Unexpected`] when something answers that is not a healthy agent,
/// such as a placeholder page of the platform's edge.
pub async fn probe(http: &reqwest::Client, base_url: &str) -> Result<(), AgentError> {
    let mut url = base(base_url)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("health");
    }
    let asked = async {
        let response = http.get(url).send().await.map_err(AgentError::from_transport)?;
        let status = response.status();
        let body = limited(response, MAX_BODY).await?;
        if !status.is_success() {
            return Err(AgentError::from_status(status, &body));
        }
        let detail = match serde_json::from_slice::<Health>(&body) {
            Ok(health) if health.status == "healthy" => return Ok(()),
            Ok(health) => format!("its health is {:?}", health.status),
            Err(error) => format!("/health is not that of an agent: {error}"),
        };
        Err(AgentError::Unexpected { status: status.as_u16(), detail })
    };
    tokio::time::timeout(LIMIT, asked).await.unwrap_or_else(|_| Err(AgentError::silent(LIMIT)))
}
