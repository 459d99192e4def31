use super::*;
use proptest::prelude::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn error(class: ErrorClass) -> ProviderError {
    ProviderError { class, operation: "list", message: "no".to_owned() }
}

/// A schedule whose first listing was made at `now` without trouble.
fn listed(urgency: Urgency, calls: u32, now: Instant) -> Schedule {
    let mut schedule = Schedule::new(&Timing::default(), now);
    schedule.want(urgency, now);
    schedule.started(now);
    schedule.succeeded(calls);
    schedule
}

#[test]
fn the_first_listing_is_due_at_once() {
    let now = Instant::now();
    assert_eq!(Schedule::new(&Timing::default(), now).due(now), now);
}

#[test]
fn level_accounts_are_listed_slowly_s10() {
    let now = Instant::now();
    assert_eq!(listed(Urgency::Level, 2, now).due(now), now + seconds(120));
}

#[test]
fn interest_in_flight_pulls_the_next_listing_nearer_and_ends() {
    let now = Instant::now();
    let mut schedule = listed(Urgency::Level, 2, now);
    assert!(schedule.want(Urgency::InFlight, now + seconds(50)), "it moved nearer");
    assert!(schedule.due(now + seconds(50)) <= now + seconds(50));
    schedule.started(now + seconds(50));
    schedule.succeeded(2);
    assert_eq!(schedule.due(now + seconds(51)), now + seconds(60));
    assert!(!schedule.want(Urgency::InFlight, now + seconds(55)), "it is near already");
    assert_eq!(schedule.due(now + seconds(55 + 31)), now + seconds(50 + 120), "nobody said it again");
}

#[test]
fn a_large_account_is_listed_as_often_as_half_of_the_hour_allows_s12() {
    let start = Instant::now();
    let mut now = start;
    let mut schedule = listed(Urgency::InFlight, 50, now);
    let mut listings = 1;
    while now < start + seconds(3_600) {
        schedule.want(Urgency::InFlight, now);
        now = now.max(schedule.due(now));
        schedule.started(now);
        schedule.succeeded(50);
        listings += 1;
    }
    assert!((48..=51).contains(&listings), "50 calls each, 2500 an hour: {listings}");
}

#[test]
fn failures_back_off_and_success_forgets_them() {
    let now = Instant::now();
    let mut schedule = listed(Urgency::InFlight, 1, now);
    let pauses: Vec<Duration> = (0..8)
        .map(|_| {
            schedule.failed(&error(ErrorClass::Unknown), now, 0.5);
            schedule.due(now).saturating_duration_since(now)
        })
        .collect();
    assert_eq!(pauses[0], Duration::from_millis(2_500));
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
    assert_eq!(pauses[7], seconds(120));
    schedule.succeeded(1);
    assert_eq!(schedule.due(now), now + seconds(10));
}

#[test]
fn a_limit_is_waited_for() {
    let now = Instant::now();
    let mut schedule = listed(Urgency::InFlight, 1, now);
    schedule.failed(&error(ErrorClass::Limited { until: now + seconds(300) }), now, 0.0);
    assert_eq!(schedule.due(now), now + seconds(300));
    assert!(!schedule.want(Urgency::InFlight, now + seconds(10)));
}

#[test]
fn an_account_that_nobody_wants_is_forgotten() {
    let now = Instant::now();
    let mut schedule = listed(Urgency::Level, 1, now);
    assert!(!schedule.is_forgotten(now + seconds(599)));
    assert!(schedule.is_forgotten(now + seconds(600)));
    schedule.want(Urgency::Level, now + seconds(300));
    assert!(!schedule.is_forgotten(now + seconds(600)));
}

proptest! {
    /// Whoever wants it, however often: listings stay inside half of the hour.
    #[test]
    fn listings_stay_inside_half_of_the_hour_s12(
        calls in 1_u32..400,
        wants in proptest::collection::vec(1_u64..30, 10..300),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut schedule = listed(Urgency::InFlight, calls, now);
        let mut spent = u64::from(calls);
        for pause in wants {
            now += seconds(pause);
            schedule.want(Urgency::InFlight, now);
            if schedule.due(now) <= now {
                schedule.started(now);
                schedule.succeeded(calls);
                spent += u64::from(calls);
            }
        }
        let hours = now.duration_since(start).as_secs_f64() / 3_600.0;
        let (steady, burst) = (f64::from(LISTINGS_PER_HOUR - BURST_CALLS), f64::from(BURST_CALLS));
        prop_assert!(spent as f64 <= hours * steady + burst + f64::from(2 * calls));
    }
}
