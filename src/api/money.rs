//! Money: US dollars as a whole number of billionths, never as a float.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

/// US dollars in steps of 10⁻⁹, from zero to almost a billion; what would
/// leave that range stays at its end. Written as a decimal: `12`, `0.0179`.
///
/// Fine enough for what one sandbox costs in a second, and sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Usd(i64);

/// The text is no amount of money.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an amount in US dollars: write up to nine digits and at most nine decimals, such as 0.5 or 12")]
pub struct UsdError(String);

const NANOS: i64 = 1_000_000_000;
const DECIMALS: usize = 9;
/// So many digits that every amount of this many fits.
const DIGITS: usize = 9;
/// The most that so many digits can say: what is computed can be written, too.
const MOST: i64 = 1_000_000_000 * NANOS - 1;
const PATTERN: &str = "^(0|[1-9][0-9]{0,8})([.][0-9]{1,9})?$";
const SECONDS_PER_HOUR: i128 = 3_600;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// This many billionths of a dollar; less than none is none, and more than the most is the most.
    pub const fn nanos(nanos: i64) -> Self {
        match nanos {
            ..=0 => Self(0),
            MOST.. => Self(MOST),
            _ => Self(nanos),
        }
    }

    /// Billionths of a dollar.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// What costs this much in a second costs in an hour. Providers tell prices as floats: this is
    /// where they become whole numbers.
    pub fn per_hour(usd_per_second: f64) -> Self {
        Self::nanos((usd_per_second * 3_600.0 * NANOS as f64).round() as i64)
    }

    /// The amount as a float, for metrics and tables.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / NANOS as f64
    }

    /// What `seconds` cost at this price per hour, rounded to the nearest billionth.
    pub fn over(self, seconds: i64) -> Self {
        let exact = i128::from(self.0) * i128::from(seconds.max(0));
        Self::nanos(i64::try_from((exact + SECONDS_PER_HOUR / 2) / SECONDS_PER_HOUR).unwrap_or(i64::MAX))
    }

    /// `share` ÷ `whole` of it; all of it where `whole` is not more than `share`.
    pub fn part(self, share: i64, whole: i64) -> Self {
        if share >= whole {
            return self;
        }
        let exact = i128::from(self.0) * i128::from(share.max(0)) / i128::from(whole.max(1));
        Self::nanos(i64::try_from(exact).unwrap_or(i64::MAX))
    }

    /// So many times as much.
    pub fn times(self, count: usize) -> Self {
        Self::nanos(self.0.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// How often `price` fits into it; without end for what costs nothing.
    pub fn buys(self, price: Self) -> usize {
        if price.0 == 0 { usize::MAX } else { usize::try_from(self.0 / price.0).unwrap_or_default() }
    }

    /// To four decimals, for people.
    pub fn rough(self) -> String {
        let step = NANOS / 10_000;
        let rounded = self.0.saturating_add(step / 2) / step;
        format!("{}.{:04}", rounded / 10_000, rounded % 10_000)
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::nanos(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;

    /// What is left; none where more is taken than there is.
    fn sub(self, other: Self) -> Self {
        Self::nanos(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

impl FromStr for Usd {
    type Err = UsdError;

    fn from_str(text: &str) -> Result<Self, UsdError> {
        let error = || UsdError(text.to_owned());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, DIGITS) || !digits(decimals, DECIMALS) {
            return Err(error());
        }
        let whole: i64 = whole.parse().map_err(|_| error())?;
        let decimals: i64 = format!("{decimals:0<DECIMALS$}").parse().map_err(|_| error())?;
        whole.checked_mul(NANOS).and_then(|nanos| nanos.checked_add(decimals)).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / NANOS, self.0 % NANOS);
        match format!("{decimals:09}").trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            decimals => write!(f, "{whole}.{decimals}"),
        }
    }
}

impl TryFrom<String> for Usd {
    type Error = UsdError;

    fn try_from(text: String) -> Result<Self, UsdError> {
        text.parse()
    }
}

impl From<Usd> for String {
    fn from(usd: Usd) -> Self {
        usd.to_string()
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": PATTERN, "minLength": 1, "maxLength": 20})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Usd {
        text.parse().expect(text)
    }

    #[test]
    fn reads_and_prints_what_people_write() {
        for text in ["0", "12", "0.0179", "0.000000001", "999999999.999999999"] {
            assert_eq!(usd(text).to_string(), text);
        }
        assert_eq!(usd("1.50").to_string(), "1.5");
        assert_eq!((usd("0.017857141").rough(), usd("12").rough()), ("0.0179".to_owned(), "12.0000".to_owned()));
    }

    #[test]
    fn refuses_everything_else_and_says_what_would_be_right() {
        for bad in
            ["", "-1", "+1", ".5", "1.", "1e3", "0.0000000001", "99999999999", "9999999999", "1000000000", "$1", "1,5"]
        {
            let error = bad.parse::<Usd>().expect_err(bad);
            assert!(error.to_string().contains("such as 0.5"), "{error}");
        }
    }

    #[test]
    fn a_price_per_second_becomes_one_per_hour_without_loss() {
        let hour = Usd::per_hour(0.000_004_960_317);
        assert_eq!(hour, usd("0.017857141"));
        assert_eq!(hour.over(60), usd("0.000297619"));
        // A billed month of 28 days.
        assert_eq!(hour.over(28 * 86_400).rough(), "12.0000");
    }

    #[test]
    fn nothing_leaves_the_range() {
        let most = Usd::nanos(i64::MAX);
        assert_eq!(most.to_string().parse(), Ok(most), "what is computed can be stored");
        assert_eq!((most + most, most.times(3), most.over(i64::MAX)), (most, most, most));
        assert_eq!((usd("1") - usd("2"), usd("1").over(-5), Usd::nanos(-1)), (Usd::ZERO, Usd::ZERO, Usd::ZERO));
        assert_eq!((usd("1").buys(usd("0.3")), usd("1").buys(Usd::ZERO)), (3, usize::MAX));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos in 0_i64..) {
            let usd = Usd::nanos(nanos);
            prop_assert_eq!(usd.to_string().parse(), Ok(usd));
        }

        #[test]
        fn a_part_is_never_more_than_the_whole(nanos in 0_i64.., share in -5_i64..100, whole in -5_i64..100) {
            prop_assert!(Usd::nanos(nanos).part(share, whole) <= Usd::nanos(nanos));
        }
    }
}
