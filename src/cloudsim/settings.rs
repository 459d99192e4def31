//! What an account of the simulated cloud is like: tokens, timings, limits.

use super::clock::LONGEST_SECONDS;
use super::offer::{Offer, PrivateRegistry};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// An account and everything about it that stays until it is changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountSettings {
    /// Bearer tokens that belong to the account.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// Absent: made from the account's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How long things take.
    #[serde(default)]
    pub timings: Timings,
    /// Rate limits of each token.
    #[serde(default)]
    pub limits: Limits,
    /// A create above so many existing apps answers 422. Absent: no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_apps: Option<u32>,
    /// Sizes and regions that are not what the official lists say.
    #[serde(default)]
    pub offer: Offer,
    /// Registries that give their images only to who has the credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private_registries: Vec<PrivateRegistry>,
}

impl AccountSettings {
    /// An account with one token and everything else as at the real cloud.
    pub fn with_token(token: impl Into<String>) -> Self {
        Self {
            tokens: vec![token.into()],
            email: None,
            timings: Timings::default(),
            limits: Limits::default(),
            max_apps: None,
            offer: Offer::default(),
            private_registries: Vec::new(),
        }
    }

    /// What is wrong with the settings, naming field and value.
    pub fn problem(&self) -> Option<String> {
        if let Some(token) = self.tokens.iter().find(|token| token.is_empty() || token.contains(char::is_whitespace)) {
            return Some(format!("tokens: {token:?} is not a bearer token; use text without blanks"));
        }
        let limits = &self.limits;
        if limits.per_minute == 0 || limits.per_hour == 0 {
            return Some("limits: perMinute and perHour must be at least 1; switch with limits.enabled".into());
        }
        if let Some(problem) = self.offer.problem() {
            return Some(problem);
        }
        self.timings.fields().into_iter().find_map(|(name, seconds)| seconds.problem(&format!("timings.{name}")))
    }
}

/// Durations in simulated seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timings {
    /// From the create call to phase ACTIVE. Measured at the real cloud over
    /// 25 creates: median 60, minimum 43, maximum 97.
    pub ready_seconds: Seconds,
    /// From the create call to phase ERROR of a deployment that fails.
    pub fail_seconds: Seconds,
    /// From an accepted DELETE until GET answers 404 and the name is free.
    pub delete_seconds: Seconds,
    /// How long `live_url` comes after phase ACTIVE.
    pub url_delay_seconds: Seconds,
    /// How long the listing lags behind creates and deletes.
    pub list_lag_seconds: Seconds,
    /// How long a name stays taken after its app is gone.
    pub name_hold_seconds: Seconds,
    /// How long the answer to a create takes after its effect.
    pub create_call_seconds: Seconds,
    /// How long the answer to a delete takes after its effect.
    pub delete_call_seconds: Seconds,
    /// How long the address of a console opens; not known of the real cloud.
    pub console_seconds: Seconds,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            ready_seconds: Seconds::Spread { median: 60.0, min: 43.0, max: 97.0 },
            fail_seconds: Seconds::Fixed(180.0),
            delete_seconds: Seconds::Fixed(5.0),
            url_delay_seconds: Seconds::Fixed(0.0),
            list_lag_seconds: Seconds::Fixed(0.0),
            name_hold_seconds: Seconds::Fixed(0.0),
            create_call_seconds: Seconds::Fixed(0.0),
            delete_call_seconds: Seconds::Fixed(0.0),
            console_seconds: Seconds::Fixed(600.0),
        }
    }
}

impl Timings {
    fn fields(&self) -> [(&'static str, Seconds); 9] {
        [
            ("readySeconds", self.ready_seconds),
            ("failSeconds", self.fail_seconds),
            ("deleteSeconds", self.delete_seconds),
            ("urlDelaySeconds", self.url_delay_seconds),
            ("listLagSeconds", self.list_lag_seconds),
            ("nameHoldSeconds", self.name_hold_seconds),
            ("createCallSeconds", self.create_call_seconds),
            ("deleteCallSeconds", self.delete_call_seconds),
            ("consoleSeconds", self.console_seconds),
        ]
    }
}

/// A duration: one number, or log-normal around `median`, cut to `min..max`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seconds {
    /// Always the same.
    Fixed(f64),
    /// Drawn anew each time.
    Spread { median: f64, min: f64, max: f64 },
}

impl Seconds {
    /// One duration in simulated seconds.
    pub fn draw(self, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Spread { median, min, max } => {
                // `max` stands 2.2 standard deviations out: about one draw in 70 is cut.
                let sigma = (max / median).ln() / 2.2;
                let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * rng.random::<f64>()).cos();
                (median * (sigma * normal).exp()).clamp(min, max)
            }
        }
    }

    fn problem(self, field: &str) -> Option<String> {
        let sound = |seconds: f64| (0.0..=LONGEST_SECONDS).contains(&seconds);
        match self {
            Self::Fixed(seconds) if sound(seconds) => None,
            Self::Fixed(seconds) => Some(format!("{field}: {seconds} must lie in 0..={LONGEST_SECONDS}")),
            Self::Spread { median, min, max } => {
                let ordered = sound(min) && sound(max) && min <= median && median <= max && median > 0.0;
                (!ordered)
                    .then(|| format!("{field}: min {min}, median {median}, max {max} must ascend, median above 0"))
            }
        }
    }
}

/// Rate limits of one token, over sliding windows that run with `--speed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Off: no call is refused; the headers still count.
    pub enabled: bool,
    /// Calls in 60 simulated seconds.
    pub per_minute: u32,
    /// Calls in 3600 simulated seconds.
    pub per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { enabled: true, per_minute: 250, per_hour: 5000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn creation_takes_the_measured_spread_of_time() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut drawn: Vec<f64> = (0..1000).map(|_| Timings::default().ready_seconds.draw(&mut rng)).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        assert!(drawn[0] >= 43.0 && drawn[999] <= 97.0, "{} to {}", drawn[0], drawn[999]);
        assert!((58.0..62.0).contains(&drawn[500]), "median {}", drawn[500]);
        assert!(drawn[900] > 70.0 && drawn[100] < 52.0, "they differ: {} and {}", drawn[100], drawn[900]);
    }

    #[test]
    fn bad_settings_are_named() {
        let settings = |edit: fn(&mut AccountSettings)| {
            let mut settings = AccountSettings::with_token("t");
            edit(&mut settings);
            settings.problem().expect("a problem")
        };
        assert!(settings(|s| s.tokens.push("a b".into())).contains("\"a b\""));
        assert!(settings(|s| s.limits.per_minute = 0).contains("perMinute"));
        assert!(settings(|s| s.timings.delete_seconds = Seconds::Fixed(-1.0)).contains("timings.deleteSeconds: -1"));
        let upside_down = Seconds::Spread { median: 1.0, min: 2.0, max: 3.0 };
        assert!(upside_down.problem("f").is_some());
        assert_eq!(AccountSettings::with_token("t").problem(), None);
    }
}
