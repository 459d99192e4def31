//! That the token still opens the account that it opened at first.

use super::DigitalOcean;
use super::http::{Call, unknown};
use super::wire::AccountAnswer;
use crate::providers::budget::Kind;
use crate::providers::{Account, ErrorClass, ProviderError};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A create trusts an account that was asked for within this time.
const FRESH: Duration = Duration::from_secs(10);
/// Most deleted ids that are remembered; without one the proof costs one call more.
const MOST_DELETED: usize = 10_000;

/// What is known about the token's account.
#[derive(Default)]
pub(super) struct Verified {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    account: Option<Account>,
    asked: Option<Instant>,
    moved_to: Option<Account>,
    /// Ids whose delete this account accepted: only it can have held them.
    deleted: HashSet<String>,
}

impl Verified {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_moved(&self) -> bool {
        self.lock().moved_to.is_some()
    }

    /// # Errors
    /// The token opens another account now.
    pub(super) fn hold(&self) -> Result<(), ProviderError> {
        let state = self.lock();
        let (Some(first), Some(other)) = (&state.account, &state.moved_to) else { return Ok(()) };
        Err(ProviderError {
            class: ErrorClass::Auth,
            operation: "account",
            message: format!(
                "the token opened account {first} and opens {other} now: put one of {first} in the Secret"
            ),
        })
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.lock().asked.is_some_and(|asked| asked.elapsed() < FRESH)
    }

    pub(super) fn remember_deleted(&self, id: &str) {
        let mut state = self.lock();
        if state.deleted.len() < MOST_DELETED {
            state.deleted.insert(id.to_owned());
        }
    }

    /// Whether this account accepted the delete of this id.
    pub(super) fn forget_deleted(&self, id: &str) -> bool {
        self.lock().deleted.remove(id)
    }

    fn found(&self, account: &Account) {
        let mut state = self.lock();
        let first = state.account.get_or_insert_with(|| account.clone()).clone();
        if first == *account {
            state.asked = Some(Instant::now());
        } else {
            state.moved_to = Some(account.clone());
        }
    }
}

impl DigitalOcean {
    /// The account that the token opens now: a token belongs to a team where
    /// there is one.
    pub(super) async fn ask_account(&self, kind: Kind) -> Result<Account, ProviderError> {
        let call = Call { kind, ..Call::get("account", &["account"]) };
        let answer: AccountAnswer = self.http.json(call).await?;
        let body = answer.account;
        let uuid = body.team.and_then(|team| team.uuid).or(body.uuid).filter(|uuid| !uuid.is_empty());
        let account = Account(uuid.ok_or_else(|| unknown("account", "the answer has no uuid".to_owned()))?);
        self.verified.found(&account);
        Ok(account)
    }

    /// # Errors
    /// The account cannot be told, or is not the one that it was at first.
    pub(super) async fn verify(&self, kind: Kind) -> Result<(), ProviderError> {
        self.ask_account(kind).await?;
        self.verified.hold()
    }
}
