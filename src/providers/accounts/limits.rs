//! What the owner of a credentials Secret allows in the account that it opens.

use crate::api::{ACCOUNT_HOURLY_ANNOTATION, ACCOUNT_MAX_ANNOTATION, Usd};
use std::collections::BTreeMap;

/// Bounds over all pools of one account. Empty = none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Sandboxes at most.
    pub max_sandboxes: Option<usize>,
    /// US dollars per hour at most.
    pub hourly_usd: Option<Usd>,
    /// An annotation that cannot be read: nothing is made until it can, for it was meant as a bound.
    pub problem: Option<String>,
}

impl AccountLimits {
    /// Whether anything is bounded.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// The tighter of two, of each bound.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        fn least<T: Ord + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            max_sandboxes: least(self.max_sandboxes, other.max_sandboxes),
            hourly_usd: least(self.hourly_usd, other.hourly_usd),
            problem: self.problem.or_else(|| other.problem.clone()),
        }
    }
}

/// Reads the annotations of the Secret `place`.
pub(super) fn read(annotations: Option<&BTreeMap<String, String>>, place: &str) -> AccountLimits {
    let mut limits = AccountLimits::default();
    let value = |name: &str| annotations.and_then(|all| all.get(name)).map(|value| value.trim());
    if let Some(text) = value(ACCOUNT_MAX_ANNOTATION) {
        match text.parse() {
            Ok(count) => limits.max_sandboxes = Some(count),
            Err(_) => limits.problem = Some(bad(ACCOUNT_MAX_ANNOTATION, place, text, "a whole number such as 20")),
        }
    }
    if let Some(text) = value(ACCOUNT_HOURLY_ANNOTATION) {
        match text.parse() {
            Ok(usd) => limits.hourly_usd = Some(usd),
            Err(_) => {
                limits.problem = Some(bad(ACCOUNT_HOURLY_ANNOTATION, place, text, "US dollars per hour such as 2.5"));
            }
        }
    }
    limits
}

fn bad(annotation: &str, place: &str, text: &str, right: &str) -> String {
    format!(
        "annotation {annotation} of Secret {place} is {text:?}: write {right}, or remove it; nothing is made until then"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> AccountLimits {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(Some(&pairs.collect()), "ns/do")
    }

    #[test]
    fn annotations_bound_an_account_and_none_bounds_nothing() {
        let limits = of(&[(ACCOUNT_MAX_ANNOTATION, " 20 "), (ACCOUNT_HOURLY_ANNOTATION, "2.5"), ("other", "x")]);
        assert_eq!((limits.max_sandboxes, limits.hourly_usd), (Some(20), "2.5".parse().ok()));
        assert!(limits.any() && !of(&[]).any() && !read(None, "ns/do").any());
    }

    #[test]
    fn what_was_meant_as_a_bound_and_is_none_is_told() {
        for (name, value) in [(ACCOUNT_MAX_ANNOTATION, "many"), (ACCOUNT_HOURLY_ANNOTATION, "-1")] {
            let problem = of(&[(name, value)]).problem.expect("a problem");
            for words in [name, "ns/do", value, "such as"] {
                assert!(problem.contains(words), "{problem}");
            }
        }
    }

    #[test]
    fn of_two_secrets_of_one_account_the_tighter_bound_counts() {
        let one = of(&[(ACCOUNT_MAX_ANNOTATION, "20")]);
        let both = one.and(&of(&[(ACCOUNT_MAX_ANNOTATION, "5"), (ACCOUNT_HOURLY_ANNOTATION, "1")]));
        assert_eq!((both.max_sandboxes, both.hourly_usd), (Some(5), "1".parse().ok()));
    }
}
