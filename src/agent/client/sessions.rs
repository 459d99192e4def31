//! Sessions: shells that keep their state between commands.

use super::{AgentClient, AgentError, MARGIN, ORDINARY, json};
use crate::agent::wire::{Done, SessionExec, SessionInfo, SessionOutput, SessionRequest, SessionStarted};
use reqwest::Method;
use std::time::Duration;

impl AgentClient {
    /// Starts a shell that takes commands under this id.
    ///
    /// # Errors
    /// [`AgentError::Invalid`] when there is a session of that id, [`AgentError::Busy`] when there are too many.
    pub async fn create_session(&self, request: &SessionRequest) -> Result<SessionStarted, AgentError> {
        json(self.request(Method::POST, &["api", "sessions"]).timeout(ORDINARY).json(request)).await
    }

    /// Every session that was not closed yet, by id.
    ///
    /// # Errors
    /// As [`Self::health`].
    pub async fn sessions(&self) -> Result<Vec<SessionInfo>, AgentError> {
        json(self.request(Method::GET, &["api", "sessions"]).timeout(ORDINARY)).await
    }

    /// One session.
    ///
    /// # Errors
    /// [`AgentError::NotFound`] when there is none of that id.
    pub async fn session(&self, id: &str) -> Result<SessionInfo, AgentError> {
        json(self.request(Method::GET, &["api", "sessions", id]).timeout(ORDINARY)).await
    }

    /// Runs a command in a session and waits for its end. A time-out is no error: the answer says so.
    ///
    /// # Errors
    /// [`AgentError::Busy`] while another command runs there, [`AgentError::Invalid`] when its shell has ended.
    pub async fn session_exec(&self, id: &str, request: &SessionExec) -> Result<SessionOutput, AgentError> {
        let limit = Duration::from_secs(request.timeout).saturating_add(MARGIN);
        json(self.request(Method::POST, &["api", "sessions", id, "exec"]).timeout(limit).json(request)).await
    }

    /// Ends a session and everything in its terminal.
    ///
    /// # Errors
    /// [`AgentError::NotFound`] when there is none of that id.
    pub async fn close_session(&self, id: &str) -> Result<(), AgentError> {
        json::<Done>(self.request(Method::DELETE, &["api", "sessions", id]).timeout(ORDINARY)).await.map(drop)
    }
}
