//! How the warm level is found: written down, or computed from measured demand.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the warm level is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sizing {
    /// Written down, or computed.
    pub policy: SizingPolicy,
    /// HitRate: share of claims that shall find a warm sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.5, max = 0.999))]
    pub hit_rate: Option<f64>,
}

impl Sizing {
    /// The share of claims that shall find a warm sandbox, where the level follows demand.
    pub fn wanted_hit_rate(&self) -> Option<f64> {
        self.hit_rate.filter(|_| self.policy == SizingPolicy::HitRate)
    }
}

/// Where the warm level comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SizingPolicy {
    /// `warm.target`.
    #[default]
    Fixed,
    /// The smallest level at which `hitRate` of the claims find a warm sandbox, from measured
    /// claims and lead time; at least `warm.target`, at most `warm.max`.
    HitRate,
}

/// Claims of the last two hours, counted: all that the level is computed from, so that a restart
/// forgets nothing. Written with the claims that change it and at no other time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Demand {
    /// Since when claims are counted.
    pub since: Time,
    /// Begin of the newest interval in `claims` and `misses`.
    pub latest: Time,
    /// Claims per interval of 30 s, the newest last. Intervals before the first are empty.
    #[serde(default)]
    pub claims: Counts,
    /// Those of them that found no warm sandbox.
    #[serde(default)]
    pub misses: Counts,
    /// Mean time from a member's creation until it is ready, of claimed members, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time_seconds: Option<f64>,
    /// Lead times in that mean, up to 50; later ones move it by a fiftieth each.
    #[serde(default)]
    pub lead_times: i32,
    /// Requests (first eight characters of the UID) that ended without a sandbox and are counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 8)))]
    pub lost: Vec<String>,
}

/// What the level was decided from, as of the last claim or change of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizingStatus {
    /// The level that demand asks for, within its bounds.
    pub level: i32,
    /// When it last changed.
    pub since: Time,
    /// Claims per minute.
    pub claims_per_minute: f64,
    /// Variance of the claims during one lead time over their mean; 1 = they come by chance.
    pub burstiness: f64,
    /// From a member's creation until it is ready, in seconds.
    pub lead_time_seconds: f64,
    /// Share of the counted claims that found a warm sandbox; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_rate: Option<f64>,
    /// Why it is this level, in a sentence.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// Numbers in a line, such as `3 0 12`: a list of them would be a page in YAML.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Counts(pub Vec<u32>);

/// The text is no line of numbers.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no line of numbers such as \"3 0 12\"")]
pub struct CountsError(String);

impl FromStr for Counts {
    type Err = CountsError;

    fn from_str(text: &str) -> Result<Self, CountsError> {
        let numbers: Result<Vec<u32>, _> = text.split_whitespace().map(str::parse).collect();
        numbers.map(Self).map_err(|_| CountsError(text.to_owned()))
    }
}

impl TryFrom<String> for Counts {
    type Error = CountsError;

    fn try_from(text: String) -> Result<Self, CountsError> {
        text.parse()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

impl From<Counts> for String {
    fn from(counts: Counts) -> Self {
        counts.to_string()
    }
}

impl JsonSchema for Counts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Counts".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9]+( [0-9]+)*)?$", "maxLength": 4096})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_line_of_numbers_is_refused() {
        for bad in ["a", "1,2", "-1", "4294967296"] {
            assert!(bad.parse::<Counts>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hit_rate_counts_only_with_its_policy() {
        let sizing = Sizing { policy: SizingPolicy::Fixed, hit_rate: Some(0.9) };
        assert_eq!(sizing.wanted_hit_rate(), None);
        assert_eq!(Sizing { policy: SizingPolicy::HitRate, ..sizing }.wanted_hit_rate(), Some(0.9));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(numbers in prop::collection::vec(any::<u32>(), 0..20)) {
            let counts = Counts(numbers);
            prop_assert_eq!(counts.to_string().parse(), Ok(counts));
        }
    }
}
