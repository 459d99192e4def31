//! What a snapshot may be called.

/// Names that begin so are the operator's own: what it keeps of hibernated sandboxes.
pub const HIBERNATED: &str = "hibernate-";

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
        for good in ["a", "snap-0123456789ab", "python.3", "hibernate-7d9a2c1e-0000-4000-8000-000000000001-12"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "..", "a/b", "A", "a b", "a\n", "ä", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
