//! The list of orphans: what the operator writes about instances whose Sandbox is gone, and how a person approves
//! their deletion when the brakes hold it back.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// ConfigMap in the operator's namespace that holds the list.
pub const CONFIG_MAP: &str = "sandbar-orphans";
/// Its data key: a JSON array of [`Orphan`].
pub const DATA_KEY: &str = "orphans.json";
/// Annotation on it: the [`approval`] of the list that a person saw.
pub const APPROVE_ANNOTATION: &str = "sandbar.dev/approve";

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
    /// Seconds since it was made, at the last sweep.
    pub age_seconds: i64,
    /// Sweeps that saw it as an orphan.
    pub seen_sweeps: i64,
    /// What is being done, in one word.
    pub state: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// What stands for "exactly these may be deleted": lower-case hex SHA-256 over account and id of each, in order.
///
/// Ages and sweeps are left out, so that the approval of a list outlives the next sweep, but not the next orphan.
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
        assert_eq!(both, approval(&[b.clone(), Orphan { age_seconds: 7, seen_sweeps: 3, ..a.clone() }]));
        for other in [vec![a.clone()], vec![a.clone(), b, orphan("x", "3")], vec![a, orphan("y", "2")]] {
            assert_ne!(both, approval(&other), "{other:?}");
        }
        assert_ne!(approval(&[orphan("ab", "c")]), approval(&[orphan("a", "bc")]));
    }
}
