//! What the cloud's ledger proves.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cloudsim::admin::{Entry, Ledger};

/// The mark that says whose instance an app is.
const UID_MARK: &str = "SANDBAR_UID";

/// The sums of a ledger.
#[derive(Debug, PartialEq, Eq)]
pub struct Books {
    /// Apps ever made.
    pub made: usize,
    /// The most that ever existed at one moment.
    pub most: usize,
    /// Sandboxes that ever had two apps at one moment, and apps without a Sandbox's mark.
    pub twice: usize,
    /// Apps that exist now.
    pub left: usize,
}

impl Books {
    /// Reads them.
    pub fn of(ledger: &Ledger) -> Self {
        let mut by_sandbox: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        let mut unmarked = 0;
        for entry in &ledger.apps {
            match entry.marks.get(UID_MARK) {
                Some(uid) => by_sandbox.entry(uid).or_default().push(entry),
                None => unmarked += 1,
            }
        }
        let twice = by_sandbox.values().filter(|apps| most(apps.iter().copied()) > 1).count();
        Self {
            made: ledger.apps.len(),
            most: most(&ledger.apps),
            twice: twice + unmarked,
            left: ledger.existing().count(),
        }
    }
}

/// The most of these apps that existed at one moment; an end comes before a
/// begin at the same time.
fn most<'a>(apps: impl IntoIterator<Item = &'a Entry>) -> usize {
    let mut changes: Vec<(Timestamp, i32)> = Vec::new();
    for app in apps {
        changes.push((app.created, 1));
        changes.extend(app.gone.map(|gone| (gone, -1)));
    }
    changes.sort_unstable();
    let (mut existing, mut most) = (0_i32, 0_i32);
    for (_, change) in changes {
        existing += change;
        most = most.max(existing);
    }
    usize::try_from(most).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudsim::admin::State;

    fn app(uid: Option<&str>, created: i64, gone: Option<i64>) -> Entry {
        let at = |second| Timestamp::from_second(second).unwrap();
        Entry {
            id: format!("{created}"),
            name: "app".to_owned(),
            account: "default".to_owned(),
            marks: uid.map(|uid| (UID_MARK.to_owned(), uid.to_owned())).into_iter().collect(),
            region: "nyc".to_owned(),
            size: "small".to_owned(),
            state: if gone.is_some() { State::Gone } else { State::Active },
            created: at(created),
            ready: None,
            gone: gone.map(at),
            vanished: false,
            deployments: 1,
            usd: 0.0,
        }
    }

    fn books(apps: Vec<Entry>) -> Books {
        Books::of(&Ledger { apps, ..Ledger::default() })
    }

    #[test]
    fn a_second_attempt_after_the_first_is_gone_is_not_twice() {
        let found = books(vec![app(Some("a"), 1, Some(5)), app(Some("a"), 5, Some(9)), app(Some("b"), 6, None)]);
        assert_eq!(found, Books { made: 3, most: 2, twice: 0, left: 1 });
    }

    #[test]
    fn two_at_one_moment_are_twice_s1() {
        let found = books(vec![app(Some("a"), 1, Some(5)), app(Some("a"), 4, Some(9))]);
        assert_eq!((found.twice, found.most), (1, 2));
    }

    #[test]
    fn an_app_that_names_no_sandbox_is_not_passed_over() {
        assert_eq!(books(vec![app(None, 1, None)]).twice, 1);
    }
}
