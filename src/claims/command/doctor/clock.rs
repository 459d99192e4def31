//! Is this machine's clock the API server's?

use super::line::Line;
use crate::claims::command::output::rough;
use jiff::SignedDuration;

/// What the operator tells of its own clock, too.
const LIMIT: SignedDuration = SignedDuration::from_secs(30);
const CHECK: &str = "clock of this machine";

/// `skew` is how far it is ahead.
pub(super) fn check(skew: SignedDuration) -> Line {
    let far = rough(skew.abs().as_secs());
    let way = if skew.is_positive() { "ahead of" } else { "behind" };
    match skew.abs() > LIMIT {
        false => Line::ok(CHECK, "the API server's"),
        true => Line::warning(
            CHECK,
            format!(
                "{far} {way} the API server's; no deadline depends on it, but times are told wrong and tokens may be refused"
            ),
            "set it, for example by NTP",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::command::doctor::line::State;

    #[test]
    fn a_clock_that_is_off_is_told_with_how_far_and_which_way() {
        assert_eq!(check(SignedDuration::from_secs(-29)).state, State::Ok);
        let ahead = check(SignedDuration::from_secs(600));
        assert_eq!(ahead.state, State::Warning);
        assert!(ahead.says.starts_with("10m ahead of the API server's"), "{ahead:?}");
        assert!(check(SignedDuration::from_secs(-31)).says.starts_with("31s behind the API server's"));
    }
}
