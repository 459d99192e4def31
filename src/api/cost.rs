//! What sandboxes cost: computed from times and prices that stand in objects,
//! so that no restart can lose or double it (S14).

use super::Usd;
use super::conditions::whole_second;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a pool may cost. A sandbox that would take it over is not made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Most US dollars per hour of all its sandboxes together, such as "0.5".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hourly_usd: Option<Usd>,
    /// Most US dollars in a calendar month (UTC), such as "40": what was spent, and what sandboxes
    /// that exist may still cost until their claims can have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_usd: Option<Usd>,
}

/// The least that an instance is billed for, in seconds (DigitalOcean's staff: per second, at least one minute).
pub const LEAST_BILLED_SECONDS: i64 = 60;

/// What one Sandbox costs. To date: `settledUsd`, and `usdPerHour` since `since`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SandboxCost {
    /// Of its instances that are gone.
    pub settled_usd: Usd,
    /// The part of `settledUsd` since it was claimed.
    pub held_usd: Usd,
    /// Price of the instance that it has or asks for; absent while nobody knows it, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_hour: Option<Usd>,
    /// When that instance began to cost; absent while none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When nothing was left at the provider: its pool takes the cost over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

impl SandboxCost {
    /// An instance of this price is asked for; none is known yet.
    pub fn ask(&mut self, usd_per_hour: Option<Usd>) {
        self.usd_per_hour = usd_per_hour;
        self.since = None;
    }

    /// The instance is known to be there since then.
    pub fn begin(&mut self, since: Timestamp) {
        self.since.get_or_insert(Time(whole_second(since)));
    }

    /// The instance is gone. Gives the seconds that cannot be priced: nobody knew what it costs.
    pub fn end(&mut self, claimed: Option<Timestamp>, now: Timestamp) -> i64 {
        let unpriced = match (&self.since, self.usd_per_hour) {
            (Some(since), None) => seconds(since.0, now),
            _ => 0,
        };
        self.held_usd += self.held(claimed, now);
        self.settled_usd += self.running(now);
        self.usd_per_hour = None;
        self.since = None;
        unpriced
    }

    /// Of the instance that it has now, at least a minute's worth.
    pub fn running(&self, now: Timestamp) -> Usd {
        match (&self.since, self.usd_per_hour) {
            (Some(since), Some(price)) => price.over(seconds(since.0, now).max(LEAST_BILLED_SECONDS)),
            _ => Usd::ZERO,
        }
    }

    /// Of the instance that it has now, since it was claimed.
    fn held(&self, claimed: Option<Timestamp>, now: Timestamp) -> Usd {
        match (&self.since, self.usd_per_hour, claimed) {
            (Some(since), Some(price), Some(claimed)) if since.0 < claimed => price.over(seconds(claimed, now)),
            (_, _, Some(_)) => self.running(now),
            (_, _, None) => Usd::ZERO,
        }
    }

    /// All of it until now.
    pub fn to_date(&self, now: Timestamp) -> Usd {
        self.settled_usd + self.running(now)
    }

    /// What its holder has cost until now: of every instance that it had since then, and nothing while it slept.
    pub fn held_to_date(&self, claimed: Option<Timestamp>, now: Timestamp) -> Usd {
        self.held_usd + self.held(claimed, now)
    }
}

/// What a pool costs. To date: `settledUsd`, and `usdPerHour` since `since`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolCost {
    /// Of Sandboxes that ended, ever.
    pub settled_usd: Usd,
    /// Of its instances together, now.
    pub usd_per_hour: Usd,
    /// When they began to cost: the mean of their beginnings, weighted by price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The month (UTC) that `monthUsd` speaks of, such as 2026-11.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7))]
    pub month: Option<String>,
    /// The part of `settledUsd` that falls into that month.
    pub month_usd: Usd,
    /// UIDs of Sandboxes whose cost is in `settledUsd` and that still exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2000), inner(length(max = 64)))]
    pub settling: Vec<String>,
}

impl PoolCost {
    /// All of it until now.
    pub fn to_date(&self, now: Timestamp) -> Usd {
        let running = self.since.as_ref().map(|since| self.usd_per_hour.over(seconds(since.0, now)));
        self.settled_usd + running.unwrap_or_default()
    }

    /// The settled part that falls into the month of `now`.
    pub fn settled_in_month(&self, now: Timestamp) -> Usd {
        if self.month.as_deref() == Some(month_of(now).as_str()) { self.month_usd } else { Usd::ZERO }
    }
}

/// Whole seconds from one time to another; none if it is not later.
pub fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second().saturating_sub(from.as_second()).max(0)
}

/// The calendar month (UTC) of a time, such as 2026-11.
pub fn month_of(time: Timestamp) -> String {
    time.strftime("%Y-%m").to_string()
}

/// When the month of a time began, and when the next one does (UTC).
pub fn month_bounds(time: Timestamp) -> (Timestamp, Timestamp) {
    let first = time.to_zoned(TimeZone::UTC).date().first_of_month();
    let start = |date: jiff::civil::Date| date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let next = first.checked_add(jiff::Span::new().months(1)).unwrap_or(first);
    (start(first).unwrap_or(time), start(next).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).expect("in range")
    }

    fn usd(text: &str) -> Usd {
        text.parse().expect(text)
    }

    #[test]
    fn an_instance_costs_from_its_begin_to_its_end_and_at_least_a_minute() {
        let mut cost = SandboxCost::default();
        cost.ask(Some(usd("3.6")));
        assert_eq!(cost.to_date(at(1000)), Usd::ZERO, "nothing is known to exist");
        cost.begin(at(0));
        cost.begin(at(500));
        assert_eq!((cost.to_date(at(5)), cost.to_date(at(100))), (usd("0.06"), usd("0.1")));
        assert_eq!(cost.end(None, at(100)), 0);
        assert_eq!((cost.to_date(at(9999)), cost.since.clone()), (usd("0.1"), None));
        assert_eq!(cost.end(None, at(200)), 0, "an end that is seen twice counts once");
        assert_eq!(cost.settled_usd, usd("0.1"));
        cost.ask(Some(usd("3.6")));
        cost.begin(at(300));
        cost.end(None, at(310));
        assert_eq!(cost.settled_usd, usd("0.16"), "the next attempt is added");
    }

    #[test]
    fn what_has_no_price_is_told() {
        let mut cost = SandboxCost::default();
        cost.ask(None);
        cost.begin(at(0));
        assert_eq!((cost.end(None, at(70)), cost.settled_usd), (70, Usd::ZERO));
    }

    #[test]
    fn a_month_is_a_calendar_month_in_utc() {
        let time: Timestamp = "2026-12-31T23:59:59Z".parse().expect("a time");
        let (first, next) = month_bounds(time);
        assert_eq!(
            (first.to_string(), next.to_string()),
            ("2026-12-01T00:00:00Z".into(), "2027-01-01T00:00:00Z".into())
        );
        assert_eq!(month_of(time), "2026-12");
        let cost = PoolCost { month: Some("2026-12".into()), month_usd: usd("3"), ..PoolCost::default() };
        assert_eq!((cost.settled_in_month(time), cost.settled_in_month(next)), (usd("3"), Usd::ZERO));
    }

    proptest! {
        #[test]
        fn cost_depends_on_the_times_alone_and_never_falls_s14(
            price in 0_i64..1_000_000_000, since in 0_i64..1000, looks in prop::collection::vec(0_i64..100_000, 1..10)
        ) {
            let mut cost = SandboxCost::default();
            cost.ask(Some(Usd::nanos(price)));
            cost.begin(at(since));
            let mut looks = looks;
            looks.sort_unstable();
            let seen: Vec<Usd> = looks.iter().map(|look| cost.to_date(at(*look))).collect();
            prop_assert!(seen.is_sorted());
            // What is stored and read back by another process gives the same.
            let text = serde_json::to_string(&cost).expect("JSON");
            let mut other: SandboxCost = serde_json::from_str(&text).expect("the same");
            let last = looks.last().copied().unwrap_or_default();
            prop_assert_eq!(other.to_date(at(last)), cost.to_date(at(last)));
            cost.end(None, at(last));
            other.end(None, at(last));
            prop_assert_eq!(&cost, &other);
            prop_assert_eq!(cost.settled_usd, seen.last().copied().unwrap_or_default());
        }
    }
}
