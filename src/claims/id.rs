//! Ids of runs.

use data_encoding::BASE32_NOPAD;

/// A text that cannot be the id of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "id {0:?} is no run id: use 1 to 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends \
     and around every '.'"
)]
pub struct BadId(pub String);

/// A new id: `run-` and 80 random bits, so that nobody meets another's by chance.
pub fn fresh_id() -> String {
    format!("run-{}", BASE32_NOPAD.encode(&rand::random::<[u8; 10]>()).to_lowercase())
}

/// Checks an id before it stands in a selector, a name or a spec.
///
/// # Errors
/// When the API server would refuse it as a claim's id or as a request's name.
pub fn check_id(id: &str) -> Result<(), BadId> {
    let part = |part: &str| {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(word) && part.ends_with(word) && part.chars().all(|c| word(c) || c == '-')
    };
    let good = id.len() <= 63 && id.split('.').all(part);
    if good { Ok(()) } else { Err(BadId(id.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_differ_and_are_good() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| fresh_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| check_id(id).is_ok() && id.len() == 20), "{ids:?}");
    }

    #[test]
    fn an_id_that_would_break_a_selector_or_a_name_is_refused() {
        for bad in ["", "A", "a,b", "a=b", "-a", "a-", "a..b", "a.-b", "a b", "é", &"x".repeat(64)] {
            let error = check_id(bad).expect_err(bad);
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
        for good in ["a", "7", "nightly.2", "pr-12-build", &"x".repeat(63)] {
            assert_eq!(check_id(good), Ok(()));
        }
    }
}
