//! What a snapshot may be called.

use crate::api::short_hash;

/// Names that begin so are the operator's own: what it keeps of hibernated sandboxes.
pub const HIBERNATED: &str = "hibernate-";

/// Name of the snapshot for one try to keep the files of a hibernated sandbox. It says whose it is: the installation, so
/// that others with the same store leave it alone, and the Sandbox.
pub fn hibernated_name(installation: &str, uid: &str, generation: i64, tries: i32) -> String {
    format!("{}{generation}-{tries}", hibernated_prefix(installation, uid))
}

/// How the names of all snapshots begin that this installation makes of hibernated Sandboxes.
pub fn hibernated_by(installation: &str) -> String {
    format!("{HIBERNATED}{}-", short_hash(&[installation], 8))
}

/// The same of the Sandbox with this UID.
pub fn hibernated_prefix(installation: &str, uid: &str) -> String {
    format!("{}{}-", hibernated_by(installation), uid.replace('-', ""))
}

/// The longest name, in characters.
const LONGEST: usize = 63;

/// Not a name of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a name of a snapshot: use 1 to {LONGEST} of a-z, 0-9, '-' and '.', the first and last no sign"
)]
pub struct BadName {
    /// What was given.
    pub name: String,
}

/// Whether this can be the name of a snapshot; such a name is one part of a key, and leads nowhere else.
///
/// # Errors
/// [`BadName`].
pub fn check_name(name: &str) -> Result<(), BadName> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let ends = bytes.first().zip(bytes.last()).is_some_and(|(first, last)| plain(*first) && plain(*last));
    let fits = bytes.len() <= LONGEST && bytes.iter().all(|byte| plain(*byte) || matches!(byte, b'-' | b'.'));
    if ends && fits { Ok(()) } else { Err(BadName { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_key() {
        let own = hibernated_name("i", "7d9a2c1e-0000-4000-8000-000000000001", 99_999, 99_999);
        for good in ["a", "snap-0123456789ab", "python.3", &own] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "..", "a/b", "A", "a b", "a\n", "ä", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
