//! How long a member takes to be ready, from its creation on.

use crate::controllers::sandbox_pool::facts::Member;

/// Seconds where no member tells it: the median of real creates.
const LEAD_TIME: f64 = 60.0;

/// How many seconds the members that are there took, on average.
pub(super) fn lead_time(members: &[Member]) -> f64 {
    let took: Vec<f64> = members
        .iter()
        .filter_map(|member| Some(member.ready_at?.duration_since(member.created?).as_secs_f64()))
        .filter(|seconds| *seconds > 0.0)
        .collect();
    if took.is_empty() { LEAD_TIME } else { took.iter().sum::<f64>() / took.len() as f64 }
}
