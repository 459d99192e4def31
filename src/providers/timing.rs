//! Periods, time-outs and graces that the operator's command line can change.

use std::time::Duration;

/// How often the operator looks, how long it waits, how long it distrusts.
/// Every value is a duration such as `500ms`, `10s` or `2m`, longer than zero.
#[derive(clap::Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Timing")]
pub struct Timing {
    /// Between two listings of an account while something is in flight there;
    /// longer by itself where half of the hourly rate limit demands it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive, hide_short_help = true)]
    pub listing_period: Duration,
    /// Between two listings of an account where every pool is level
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = positive, hide_short_help = true)]
    pub listing_slow: Duration,
    /// Longest wait for the answer to a create call; must stay below the lease's
    /// duration, so that a successor never meets a create of its predecessor
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive, hide_short_help = true)]
    pub create_timeout: Duration,
    /// Longest wait for the answer to any other provider call
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = positive, hide_short_help = true)]
    pub call_timeout: Duration,
    /// For so long after a create ended, a listing without the instance proves
    /// nothing: the provider's listings may lag
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = positive, hide_short_help = true)]
    pub visibility_grace: Duration,
    /// For so long a credentials Secret is used without being read again: the
    /// longest time until a rotated token is noticed
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = positive, hide_short_help = true)]
    pub credentials_ttl: Duration,
    /// Between two probes of a warm sandbox's agent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive, hide_short_help = true)]
    pub probe_warm: Duration,
    /// Between two probes of a claimed sandbox's agent: three failures in a row
    /// are to show within 30 s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive, hide_short_help = true)]
    pub probe_claimed: Duration,
    /// Longest wait for the answer to one probe
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive, hide_short_help = true)]
    pub probe_timeout: Duration,
    /// A warm sandbox whose agent has not answered for so long is replaced
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = positive, hide_short_help = true)]
    pub replace_unreachable: Duration,
    /// An instance younger than this is never taken for an orphan: its Sandbox
    /// may not be visible yet
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = positive, hide_short_help = true)]
    pub orphan_grace: Duration,
    /// Between two sweeps for orphans; an orphan must be seen in two
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = positive, hide_short_help = true)]
    pub orphan_sweep: Duration,
    /// Most orphans that one sweep deletes, so that a mistake stays small
    #[arg(long, value_name = "N", default_value_t = 10, hide_short_help = true)]
    pub orphans_per_sweep: usize,
    /// For so long the store keeps what hibernation left there and no Sandbox
    /// speaks of any more, such as files that could not be put back in time
    #[arg(long, value_name = "TIME", default_value = "168h", value_parser = positive, hide_short_help = true)]
    pub snapshot_keep: Duration,
    /// Between two sweeps for such snapshots; one must be seen in two
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = positive, hide_short_help = true)]
    pub snapshot_sweep: Duration,
}

impl Default for Timing {
    /// The defaults of the command line.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            timing: Timing,
        }
        <Defaults as clap::Parser>::parse_from(["sandbar"]).timing
    }
}

/// Reads a duration longer than zero.
fn positive(text: &str) -> Result<Duration, TimingError> {
    let bad = || TimingError(text.to_owned());
    let signed: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
    Duration::try_from(signed).ok().filter(|duration| !duration.is_zero()).ok_or_else(bad)
}

/// A text that is no duration, or none that can be waited for.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a duration longer than zero: write a number and a unit, such as 500ms, 10s or 2m")]
struct TimingError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_come_from_the_command_line() {
        let timing = Timing::default();
        assert_eq!(timing.listing_period, Duration::from_secs(10));
        assert_eq!(timing.replace_unreachable, Duration::from_secs(120));
        assert_eq!(timing.orphans_per_sweep, 10);
    }

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h30m", 5_400_000)] {
            assert_eq!(positive(text).expect(text), Duration::from_millis(millis));
        }
    }

    #[test]
    fn refuses_what_cannot_be_waited_for_and_says_what_would_be_right() {
        for text in ["", "5", "0s", "-1s", "soon", "1y"] {
            let error = positive(text).expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("such as 500ms"), "{error}");
        }
    }
}
