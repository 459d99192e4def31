//! The base-stock rule: the smallest level at which claims find a warm sandbox often enough.

use super::demand::Measured;
use statrs::distribution::{DiscreteCDF, NegativeBinomial, Poisson};

/// Below this, claims come by chance as far as anybody could tell.
const BY_CHANCE: f64 = 1.001;
/// A claim in a burst sees, on average, half of the burst's surplus before it: with
/// logarithmically distributed bursts, which is what makes a negative binomial demand.
const SEEN_OF_A_BURST: f64 = 0.5;
/// Squared coefficient of variation of lead times: real creates (43 to 97 s, mean 64 s) show less.
const LEAD_TIME_SPREAD: f64 = 0.1;
/// So near to the most that creates can do, no level is enough.
const SATURATED: f64 = 0.98;

/// Smallest level S ≥ 1 at which a share `hit_rate` (0 < x < 1) of the claims find a warm sandbox,
/// with so many creates at once; none if creates cannot keep up with the claims.
///
/// Without a limit on creates that is the smallest S with P(claims during a lead time < S) ≥
/// `hit_rate`, and only the mean of the lead time matters (Palm's theorem). With a limit c, orders
/// wait in line: at least c by Erlang's formula, and then with a geometric tail (Kingman), whose
/// ratio is exact for exponential lead times.
pub fn base_stock(measured: &Measured, hit_rate: f64, creates: i32) -> Option<i32> {
    let load = measured.load();
    let busy = load / f64::from(creates.max(1));
    if busy >= SATURATED {
        return None;
    }
    let in_line = queued(load, creates.max(1), measured.dispersion, hit_rate);
    Some(unlimited(load, measured.dispersion, hit_rate).max(in_line))
}

/// With as many creates as there are claims.
fn unlimited(load: f64, dispersion: f64, hit_rate: f64) -> i32 {
    let negative_binomial = || {
        let surplus = dispersion - 1.0;
        NegativeBinomial::new(load / surplus + SEEN_OF_A_BURST, 1.0 / dispersion).ok()
    };
    let others = if dispersion < BY_CHANCE {
        Poisson::new(load).ok().map(|claims| claims.inverse_cdf(hit_rate))
    } else {
        negative_binomial().map(|claims| claims.inverse_cdf(hit_rate))
    };
    // No distribution: no load.
    i32::try_from(others.unwrap_or_default()).unwrap_or(i32::MAX).saturating_add(1)
}

/// With orders that wait for one of `creates`; 0 where they hardly ever wait.
fn queued(load: f64, creates: i32, dispersion: f64, hit_rate: f64) -> i32 {
    let busy = load / f64::from(creates);
    let blocked = (1..=creates).fold(1.0, |blocked, n| load * blocked / (f64::from(n) + load * blocked));
    let waits = blocked / (1.0 - busy * (1.0 - blocked));
    let missed = 1.0 - hit_rate;
    if waits <= missed {
        return 0;
    }
    let ratio = 1.0 / (1.0 + 2.0 * (1.0 - busy) / (busy * (dispersion + LEAD_TIME_SPREAD)));
    let line = ((missed / waits).ln() / ratio.ln()).ceil();
    creates.saturating_add(line as i32)
}
