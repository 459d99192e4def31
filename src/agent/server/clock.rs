//! The time as the wire API writes it.

/// Seconds since the epoch, with fractions.
pub fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}
