//! Every call the simulated cloud was asked: the newest in full, all counted.

use super::faults::Op;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many calls are kept in full.
pub const KEPT: usize = 20_000;

/// One call under `/v2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// When it came.
    pub time: Timestamp,
    /// The account of the token; absent when the token is unknown.
    pub account: Option<String>,
    /// What was asked.
    pub op: Op,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What was answered; absent when the connection was cut or left hanging.
    pub status: Option<u16>,
    /// The faults that met the call, in order.
    pub faults: Vec<String>,
    /// Whether an app was made or its end begun.
    pub effect: bool,
}

/// How many calls of one kind there were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// Whose token it was; absent when the token is unknown.
    pub account: Option<String>,
    /// What was asked.
    pub op: Op,
    /// What was answered; absent when nothing was.
    pub status: Option<u16>,
    /// Whether an app was made or its end begun.
    pub effect: bool,
    /// How many.
    pub calls: u64,
}

/// Every call counted, and the most any token made in a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All calls.
    pub total: u64,
    /// All calls by kind.
    pub counts: Vec<Count>,
    /// Per account: the busiest minute and hour of any of its tokens.
    pub peaks: BTreeMap<String, Peak>,
}

/// The busiest minute and hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peak {
    /// Most calls in a simulated minute.
    pub minute: u32,
    /// Most calls in a simulated hour.
    pub hour: u32,
}

impl Summary {
    /// Calls of one operation, whatever came of them.
    pub fn of(&self, account: &str, op: Op) -> u64 {
        self.sum(|count| count.account.as_deref() == Some(account) && count.op == op)
    }

    /// Calls that made an app or began its end.
    pub fn effects(&self, account: &str, op: Op) -> u64 {
        self.sum(|count| count.account.as_deref() == Some(account) && count.op == op && count.effect)
    }

    fn sum(&self, wanted: impl Fn(&Count) -> bool) -> u64 {
        self.counts.iter().filter(|count| wanted(count)).map(|count| count.calls).sum()
    }
}

type Kind = (Option<String>, Op, Option<u16>, bool);

/// The log of calls.
#[derive(Debug, Default)]
pub struct CallLog {
    newest: VecDeque<Call>,
    total: u64,
    counts: BTreeMap<Kind, u64>,
}

impl CallLog {
    /// Adds a call and gives it its number.
    pub fn add(&mut self, mut call: Call) {
        self.total += 1;
        call.seq = self.total;
        let kind = (call.account.clone(), call.op, call.status, call.effect);
        *self.counts.entry(kind).or_default() += 1;
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(call);
    }

    /// The calls kept, after number `since`, of one account or of all.
    pub fn after(&self, since: u64, account: Option<&str>) -> Vec<Call> {
        let fits = |call: &&Call| account.is_none_or(|account| call.account.as_deref() == Some(account));
        let start = self.newest.partition_point(|call| call.seq <= since);
        self.newest.range(start..).filter(fits).cloned().collect()
    }

    /// Everything counted.
    pub fn summary(&self) -> Summary {
        let count = |((account, op, status, effect), calls): (&Kind, &u64)| Count {
            account: account.clone(),
            op: *op,
            status: *status,
            effect: *effect,
            calls: *calls,
        };
        Summary { total: self.total, counts: self.counts.iter().map(count).collect(), peaks: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_exact_when_old_calls_are_dropped() {
        let mut log = CallLog::default();
        for _ in 0..KEPT + 10 {
            log.add(Call {
                seq: 0,
                time: Timestamp::UNIX_EPOCH,
                account: Some("a".into()),
                op: Op::List,
                method: "GET".into(),
                path: "/v2/apps".into(),
                status: Some(200),
                faults: vec![],
                effect: false,
            });
        }
        assert_eq!(log.summary().of("a", Op::List), KEPT as u64 + 10);
        assert_eq!(log.after(0, None).len(), KEPT);
        assert_eq!(log.after(KEPT as u64, Some("a")).len(), 10);
        assert!(log.after(0, Some("b")).is_empty());
    }
}
