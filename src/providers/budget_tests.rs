use super::*;
use proptest::prelude::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Admits as much as possible at one moment.
fn drain(budget: &Budget, kind: Kind, now: Instant) -> u32 {
    (0..10_000).take_while(|_| budget.admit_at(kind, now).is_ok()).count() as u32
}

#[test]
fn a_fifth_of_the_minute_is_kept_for_deletes() {
    let (budget, now) = (Budget::new(), Instant::now());
    assert_eq!(drain(&budget, Kind::Create, now), 200);
    assert_eq!(drain(&budget, Kind::Read, now), 0);
    assert_eq!(drain(&budget, Kind::Delete, now), 50);
}

#[test]
fn listings_use_at_most_half_of_the_hour() {
    let (budget, start) = (Budget::new(), Instant::now());
    let listed: u32 = (0..58).map(|minute| drain(&budget, Kind::List, start + seconds(minute * 62))).sum();
    assert_eq!(listed, LISTINGS_PER_HOUR);
    assert!(budget.admit_at(Kind::Read, start + seconds(58 * 62)).is_ok());
}

#[test]
fn a_refusal_says_when_to_come_back_and_that_is_true() {
    let (budget, now) = (Budget::new(), Instant::now());
    drain(&budget, Kind::Read, now);
    let until = budget.admit_at(Kind::Read, now).expect_err("the minute is full");
    assert!(budget.admit_at(Kind::Read, until - Duration::from_millis(1)).is_err());
    assert!(budget.admit_at(Kind::Read, until).is_ok());
}

#[test]
fn calls_of_other_programs_count_as_the_headers_tell() {
    let (budget, now) = (Budget::new(), Instant::now());
    budget.admit_at(Kind::Read, now).expect("fresh");
    budget.told_at(Told { limit: Some(5_000), remaining: Some(900), reset: None }, now);
    assert!(budget.admit_at(Kind::Read, now).is_err(), "less than a fifth is left");
    assert!(budget.admit_at(Kind::Delete, now).is_ok(), "deletes may use it");
    assert!(budget.admit_at(Kind::Read, now + HOUR).is_ok(), "an hour later they are gone");
}

#[test]
fn nothing_is_admitted_before_the_reset_of_an_empty_budget() {
    let (budget, now) = (Budget::new(), Instant::now());
    budget.told_at(Told { limit: None, remaining: Some(0), reset: Some(seconds(90)) }, now);
    assert_eq!(budget.admit_at(Kind::Delete, now), Err(now + seconds(90)));
}

#[test]
fn a_smaller_limit_of_the_account_is_obeyed() {
    let (budget, now) = (Budget::new(), Instant::now());
    budget.told_at(Told { limit: Some(100), remaining: Some(100), reset: None }, now);
    assert_eq!(drain(&budget, Kind::Create, now), 80);
    assert_eq!(drain(&budget, Kind::Delete, now), 20);
}

#[test]
fn a_429_shuts_every_kind() {
    let budget = Budget::new();
    budget.shut(seconds(30));
    assert!(budget.admit(Kind::Delete).is_err());
    assert!(budget.admit_at(Kind::Delete, Instant::now() + seconds(31)).is_ok());
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::List), Just(Kind::Read), Just(Kind::Create), Just(Kind::Delete)]
}

/// Most calls in any window of this length that begins with a call.
fn busiest(calls: &[Instant], length: Duration) -> usize {
    let mut end = 0;
    (0..calls.len())
        .map(|begin| {
            while end < calls.len() && calls[end] < calls[begin] + length {
                end += 1;
            }
            end - begin
        })
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Callers that ask far too often, in bursts, for hours of virtual time;
    /// the provider's count is made here, apart from the budget's own.
    #[test]
    fn calls_in_any_minute_and_hour_stay_inside_s12(
        bursts in proptest::collection::vec((0_u64..400, 1_usize..400, kind()), 50..150),
        foreign in 0_u32..2_000,
    ) {
        let (budget, start) = (Budget::new(), Instant::now());
        let mut now = start;
        let mut admitted = vec![];
        let mut listings = vec![];
        budget.told_at(Told { limit: Some(PER_HOUR), remaining: Some(PER_HOUR - foreign), reset: None }, now);
        for (pause, asked, kind) in bursts {
            now += seconds(pause);
            for _ in 0..asked {
                match budget.admit_at(kind, now) {
                    Ok(()) => {
                        admitted.push(now);
                        if kind == Kind::List { listings.push(now) }
                    }
                    Err(until) => prop_assert!(until > now, "a refusal must point to the future"),
                }
            }
        }
        prop_assert!(busiest(&admitted, MINUTE) <= PER_MINUTE as usize);
        prop_assert!(busiest(&admitted, HOUR) <= PER_HOUR as usize);
        prop_assert!(busiest(&listings, HOUR) <= LISTINGS_PER_HOUR as usize);
    }
}

#[test]
fn a_hungry_pool_leaves_a_small_one_its_part_of_the_creates() {
    let (budget, start) = (Budget::new(), Instant::now());
    let burst = |pool: &str, now: Instant| (0..500).take_while(|_| budget.admit_create_at(pool, now).is_ok()).count();
    assert_eq!(burst("hungry", start), 200, "alone it may have all of it");
    assert_eq!(burst("small", start), 0);
    // The minute is over, and the hungry one comes first again.
    let next = start + seconds(62);
    budget.admit_create_at("small", next - seconds(2)).expect_err("still full");
    assert_eq!(burst("hungry", next), 100);
    assert_eq!(burst("small", next), 100);
    // Who does not come back is not waited for.
    let later = next + seconds(124);
    assert_eq!(burst("hungry", later), 200);
}

proptest! {
    #[test]
    fn every_pool_gets_its_even_part_whatever_the_others_do(
        order in prop::collection::vec(0_usize..4, 1..400), cap in 4_u32..60
    ) {
        // All four wait all the time; the order in which they ask is anything.
        let mut had = [0_u32; 4];
        for pool in order.iter().chain([0, 1, 2, 3].repeat(60).iter()) {
            let left = cap - had.iter().sum::<u32>();
            let waiting: Vec<u32> = (0..4).filter(|other| other != pool).map(|other| had[other]).collect();
            if may_call(had[*pool], &waiting, left, cap) {
                had[*pool] += 1;
            }
            prop_assert!(had.iter().sum::<u32>() <= cap);
        }
        prop_assert!(had.iter().all(|had| *had >= cap / 4), "{had:?} of {cap}");
        prop_assert!(had.iter().sum::<u32>() == cap, "{had:?} of {cap}: something is left although all wait");
    }
}
