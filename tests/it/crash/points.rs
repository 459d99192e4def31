//! Where a life can end: a sort of call, and which one of it. What runs side
//! by side comes in another order each time, calls of one sort do not.

use std::collections::BTreeMap;
use std::fmt;

/// One place to die.
#[derive(Clone, Debug)]
pub struct Point {
    /// Words that only calls of this sort have in them.
    pub sort: String,
    /// Counts from 1.
    pub at: u32,
    pub when: When,
}

/// Whether the call has its effect first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

impl When {
    /// As the operator takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {}, {} it", self.sort, self.at, self.when.as_str())
    }
}

/// How many calls of each sort a log of calls holds.
pub fn count(log: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        *counts.entry(sort(line)).or_default() += 1;
    }
    counts
}

/// `PUT /apis/…/namespaces/n/sandboxes/python-0/status` is `PUT /sandboxes`; a provider call is its operation.
fn sort(call: &str) -> String {
    let Some((method, path)) = call.split_once(' ') else { return call.to_owned() };
    let resource = path.split("/namespaces/").nth(1).and_then(|rest| rest.split('/').nth(1));
    format!("{method} /{}", resource.unwrap_or_default())
}

/// Before and after every call.
pub fn every_point(counts: &BTreeMap<String, u32>) -> Vec<Point> {
    let of = |(sort, calls): (&String, &u32)| {
        let sort = sort.clone();
        (1..=*calls).flat_map(move |at| [When::Before, When::After].map(|when| Point { sort: sort.clone(), at, when }))
    };
    counts.iter().flat_map(of).collect()
}

#[test]
fn calls_are_counted_by_sort() {
    let log = "POST /api/v1/namespaces/n/secrets\ncreate\n\
               PUT /apis/sandbar.dev/v1alpha1/namespaces/n/sandboxes/python-0/status\n\
               PUT /apis/sandbar.dev/v1alpha1/namespaces/n/sandboxes/python-1/status\n";
    let counts = count(log);
    let expected = [("POST /secrets", 1), ("PUT /sandboxes", 2), ("create", 1)];
    assert_eq!(counts, expected.map(|(sort, calls)| (sort.to_owned(), calls)).into());
    assert_eq!(every_point(&counts).len(), 8);
}
