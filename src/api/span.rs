//! Durations as people write them: `90s`, `2m`, `1h30m`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration in whole seconds, written as hours, minutes and seconds in that
/// order, each at most once: `2m`, `1h30m`, `90s`.
///
/// CEL's `duration()` reads the same text, so the API server can compare two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u32);

/// The text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a duration: write hours, minutes and seconds in that order, such as 90s, 2m or 1h30m")]
pub struct SpanError(String);

/// What the API server matches: it cannot say "at least one part", `minLength` does.
const PATTERN: &str = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$";

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// A span of whole minutes.
    pub const fn minutes(minutes: u32) -> Self {
        Self(minutes * 60)
    }

    /// A span of whole hours.
    pub const fn hours(hours: u32) -> Self {
        Self(hours * 3600)
    }

    /// The span as a [`Duration`].
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// The span as a signed duration, to add to a timestamp.
    pub const fn signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(self.0 as i64)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.to_owned());
        let mut rest = text;
        let mut total: u32 = 0;
        for (unit, seconds) in [('h', 3600_u32), ('m', 60), ('s', 1)] {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            let number: u32 = number.parse().map_err(|_| error())?;
            total = number.checked_mul(seconds).and_then(|part| total.checked_add(part)).ok_or_else(error)?;
            rest = after;
        }
        if text.is_empty() || !rest.is_empty() || text.contains('+') { Err(error()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 % 3600 / 60, self.0 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if seconds > 0 || self.0 == 0 {
            write!(f, "{seconds}s")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": PATTERN, "minLength": 2, "maxLength": 16})
    }
}

#[cfg(test)]
mod tests {
    use super::Span;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("90s".parse(), Ok(Span::seconds(90)));
        assert_eq!("2m".parse(), Ok(Span::minutes(2)));
        assert_eq!("1h30m".parse(), Ok(Span::minutes(90)));
        assert_eq!("1h1s".parse(), Ok(Span::seconds(3601)));
    }

    #[test]
    fn refuses_everything_else_and_says_what_would_be_right() {
        for bad in ["", "5", "m", "1m1h", "1d", "-1s", "+1s", "1.5h", "4294967295h", "1s1s", " 1s"] {
            let error = bad.parse::<Span>().expect_err(bad);
            assert!(error.to_string().contains("such as 90s"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(seconds in 0_u32..2_000_000) {
            let span = Span::seconds(seconds);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
