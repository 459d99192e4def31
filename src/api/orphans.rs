//! The list of orphans: what the operator writes about instances whose Sandbox is gone, and how a person approves
//! their deletion when the brakes hold it back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The Lease of an operator that was not told another one.
pub const DEFAULT_LEASE: &str = "sandbar";
/// Data key of the ConfigMap: a JSON array of [`Orphan`].
pub const DATA_KEY: &str = "orphans.json";
/// Annotation on it: the [`approval`] of the list that a person saw.
pub const APPROVE_ANNOTATION: &str = "sandbar.dev/approve";

/// Name of the ConfigMap, in the operator's namespace, that holds the list of the operator with this Lease.
pub fn config_map_name(lease: &str) -> String {
    if lease == DEFAULT_LEASE { "sandbar-orphans".to_owned() } else { format!("sandbar-orphans-{lease}") }
}

/// One instance that carries our marks and whose Sandbox no longer exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Orphan {
    /// The provider account that it is in.
    pub account: String,
    /// The provider's id.
    pub id: String,
    /// Its name at the provider.
    pub name: String,
    /// Namespace of the Sandbox that it was made for.
    pub sandbox_namespace: String,
    /// Name of that Sandbox.
    pub sandbox_name: String,
    /// UID of that Sandbox.
    pub uid: String,
    /// When the provider made it, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Sweeps that had seen it as an orphan when the list was written: sweeps alone are not worth a write.
    pub seen_sweeps: u32,
    /// What is being done.
    pub state: OrphanState,
    /// Why, in a sentence.
    pub reason: String,
    /// A person approved its deletion.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
}

/// What is being done about an orphan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrphanState {
    /// Not sure enough yet.
    #[default]
    Watching,
    /// A brake holds its deletion back.
    Braked,
    /// Its deletion is asked for until it is gone.
    Deleting,
    /// The operator was told to delete none.
    Reported,
}

impl OrphanState {
    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watching => "Watching",
            Self::Braked => "Braked",
            Self::Deleting => "Deleting",
            Self::Reported => "Reported",
        }
    }
}

/// What stands for "exactly these may be deleted": lower-case hex SHA-256 over account and id of each, in order.
///
/// States and sweeps are left out, so that the approval of a list outlives the next sweep, but not the next orphan.
pub fn approval(orphans: &[Orphan]) -> String {
    let mut which: Vec<_> = orphans.iter().map(|orphan| (orphan.account.as_str(), orphan.id.as_str())).collect();
    which.sort_unstable();
    which.dedup();
    let mut hasher = Sha256::new();
    for (account, id) in which {
        for part in [account, id] {
            hasher.update(part.as_bytes());
            hasher.update([0]);
        }
    }
    data_encoding::HEXLOWER.encode(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphan(account: &str, id: &str) -> Orphan {
        Orphan { account: account.to_owned(), id: id.to_owned(), ..Orphan::default() }
    }

    #[test]
    fn an_approval_is_for_these_instances_and_no_others() {
        let (a, b) = (orphan("x", "1"), orphan("x", "2"));
        let both = approval(&[a.clone(), b.clone()]);
        assert_eq!(both, approval(&[b.clone(), Orphan { state: OrphanState::Braked, seen_sweeps: 3, ..a.clone() }]));
        for other in [vec![a.clone()], vec![a.clone(), b, orphan("x", "3")], vec![a, orphan("y", "2")]] {
            assert_ne!(both, approval(&other), "{other:?}");
        }
        assert_ne!(approval(&[orphan("ab", "c")]), approval(&[orphan("a", "bc")]));
    }

    #[test]
    fn operators_with_their_own_lease_have_their_own_list() {
        assert_eq!(config_map_name("sandbar"), "sandbar-orphans");
        assert_eq!(config_map_name("blue"), "sandbar-orphans-blue");
    }

    #[test]
    fn a_list_reads_back_as_it_was_written_and_tells_only_what_is_known() {
        let written = serde_json::to_string(&orphan("x", "1")).expect("JSON");
        assert!(!written.contains("createdAt") && !written.contains("approved"), "{written}");
        assert_eq!(serde_json::from_str::<Orphan>(&written).expect("an orphan"), orphan("x", "1"));
    }
}
