//! Whether a console answers.

use super::{Channel, ConsoleError};
use crate::providers::ConsoleAddress;
use rand::RngExt;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the shell's answer.
const ANSWER: Duration = Duration::from_secs(15);
/// More than a prompt and an echo: whatever shows this much is no shell that answers.
const MOST: usize = 64 * 1024;

/// Whether a shell answers at this console.
///
/// # Errors
/// Why not.
pub async fn answers(address: &ConsoleAddress) -> Result<(), ConsoleError> {
    let mut channel = Channel::open(address).await?;
    let word = format!("{:016x}", rand::rng().random::<u64>());
    // The terminal echoes what is typed: only the shell takes the quotes away.
    channel.send(&format!("echo 'sandbar'-{word}\r")).await?;
    let expected = format!("sandbar-{word}");
    let mut shown = String::new();
    let answered = async {
        while shown.len() < MOST {
            shown.push_str(&channel.receive().await?.ok_or(ConsoleError::Ended)?);
            if shown.contains(&expected) {
                return Ok(());
            }
        }
        Err(ConsoleError::Protocol("much, and no answer to echo".to_owned()))
    };
    let result = timeout(ANSWER, answered).await.unwrap_or(Err(ConsoleError::Silent(ANSWER)));
    channel.close().await;
    result
}
