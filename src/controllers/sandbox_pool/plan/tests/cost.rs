//! Cost is taken over once, and a budget is set aside before anything is made.

use super::fixture::*;
use crate::api::conditions::Type;
use crate::api::{Budget, PoolCost, SandboxCost, SandboxPoolStatus, Span, Usd};
use crate::api::{Phase, conditions::is_true};
use crate::controllers::sandbox_pool::facts::{Member, Observed};
use crate::controllers::sandbox_pool::plan::{Plan, plan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn usd(text: &str) -> Usd {
    text.parse().expect(text)
}

fn costing(member: Member, price: &str, since: i64) -> Member {
    let cost = SandboxCost { usd_per_hour: Some(usd(price)), since: Some(Time(at(since))), ..SandboxCost::default() };
    Member { cost, ..member }
}

fn ended(slot: i32, settled: Usd, when: i64) -> Member {
    let cost = SandboxCost { settled_usd: settled, ended_at: Some(Time(at(when))), ..SandboxCost::default() };
    Member { cost, deleting: true, ..member(slot, Phase::Terminating) }
}

fn with_budget(mut observed: Observed, hourly: Option<&str>, monthly: Option<&str>) -> Observed {
    let pool = Arc::make_mut(&mut observed.pool);
    pool.spec.budget = Some(Budget { hourly_usd: hourly.map(usd), monthly_usd: monthly.map(usd) });
    observed.usd_per_hour = Some(usd("1"));
    observed
}

fn status(observed: &Observed) -> SandboxPoolStatus {
    plan(observed).status.or_else(|| observed.pool.status.clone()).expect("a status")
}

fn cost(plan: &Plan) -> PoolCost {
    plan.status.as_ref().and_then(|status| status.cost.clone()).expect("a cost")
}

fn budget_says(observed: &Observed) -> (bool, String, String) {
    let status = status(observed);
    let said = status.conditions.iter().find(|condition| condition.type_ == Type::BudgetExceeded.as_str());
    let said = said.expect("the condition");
    (is_true(&status.conditions, Type::BudgetExceeded), said.reason.clone(), said.message.clone())
}

#[test]
fn a_member_that_ended_is_taken_over_once_s14() {
    let observed = observed(pool(target(0), limits(4, 2)), vec![ended(0, usd("0.25"), 90)], 100);
    let first = plan(&observed);
    assert_eq!((cost(&first).settled_usd, cost(&first).settling), (usd("0.25"), vec!["00000000-uid".to_owned()]));
    // It is seen again and again until its finalizer is off.
    let mut again = with_status(&observed, first.status.expect("a status"));
    assert!(plan(&again).status.is_none());
    again.members.clear();
    again.present.clear();
    let last = cost(&plan(&again));
    assert_eq!((last.settled_usd, last.settling), (usd("0.25"), vec![]));
}

#[test]
fn one_that_cannot_be_read_any_more_stays_taken_over_s14() {
    let before = observed(pool(target(0), limits(4, 2)), vec![ended(0, usd("0.25"), 90)], 100);
    let mut blind = with_status(&before, plan(&before).status.expect("a status"));
    blind.members.clear();
    (blind.hidden, blind.undecodable) = (1, 1);
    let kept = status(&blind);
    let back = with_status(&before, kept);
    assert_eq!(status(&back).cost.map(|cost| cost.settled_usd), Some(usd("0.25")));
}

#[test]
fn the_rate_and_its_begin_stand_for_all_instances_s14() {
    let members = vec![costing(member(0, Phase::Warm), "1", 0), costing(member(1, Phase::Warm), "3", 400)];
    let plan = plan(&observed(pool(target(2), limits(4, 2)), members.clone(), 1000));
    let exact: Usd = members.iter().map(|member| member.cost.to_date(at(4600))).sum();
    assert_eq!((cost(&plan).usd_per_hour, cost(&plan).since), (usd("4"), Some(Time(at(300)))));
    assert_eq!(cost(&plan).to_date(at(4600)), exact);
}

#[test]
fn an_hourly_budget_is_never_exceeded_and_says_so() {
    let members = vec![costing(member(0, Phase::Warm), "1", 0), member(1, Phase::Pending)];
    let observed = with_budget(observed(pool(target(5), limits(9, 9)), members, 100), Some("3.5"), None);
    assert_eq!(created(&plan(&observed)), [2], "one that is not made yet holds its part of the budget");
    assert!(!budget_says(&observed).0, "one more still fits");
    let mut full = observed.clone();
    full.members.push(member(2, Phase::Pending));
    let (exceeded, reason, message) = budget_says(&full);
    assert_eq!((exceeded, reason.as_str()), (true, "HourlyBudget"));
    for figure in ["3 sandboxes cost 3.0000", "one more costs 1.0000", "spec.budget.hourlyUsd is 3.5: raise it"] {
        assert!(message.contains(figure), "{message}");
    }
}

#[test]
fn a_sleeping_sandbox_costs_nothing_and_keeps_its_place_s5_s14() {
    let settled = SandboxCost { settled_usd: usd("0.5"), ..SandboxCost::default() };
    let asleep = Member { phase: Phase::Hibernated, cost: settled, ready_at: None, ..claimed(0, 50) };
    assert!(!asleep.is_creating(), "nothing is made for it, and others may be");
    let back = Member { phase: Phase::Booting, restoring: true, ready_at: None, ..claimed(0, 50) };
    assert!(!back.is_creating(), "its instance is there, and its files may be many");
    assert!(Member { restoring: false, ..back }.is_creating());
    let members = vec![asleep, costing(member(1, Phase::Warm), "1", 0)];
    let observed = with_budget(observed(pool(target(5), limits(3, 9)), members, 2000), Some("9"), None);
    assert_eq!(cost(&plan(&observed)).usd_per_hour, usd("1"));
    assert_eq!(created(&plan(&observed)), [2], "its slot is kept for its waking");
    let tight = with_budget(observed, Some("2.5"), None);
    assert_eq!(created(&plan(&tight)), [] as [i32; 0], "and so is what it costs when it wakes");
}

#[test]
fn a_lowered_budget_takes_back_what_nobody_holds_s7() {
    let members =
        vec![claimed(0, 50), costing(member(1, Phase::Warm), "1", 0), costing(member(2, Phase::Warm), "1", 9)];
    let observed = with_budget(observed(pool(target(2), limits(9, 9)), members, 2000), Some("2"), None);
    let plan = plan(&observed);
    assert_eq!((deleted(&plan), created(&plan)), (vec!["python-1"], vec![]));
}

#[test]
fn a_month_is_spent_once() {
    // 2027-01-15: half a month is left, a claim lasts a day at the most.
    let mut observed = with_budget(observed(pool(target(9), limits(9, 9)), vec![], 0), None, Some("100"));
    // Each sets 24 USD aside, and an hour of all must be left.
    assert_eq!(created(&plan(&observed)).len(), 4);
    Arc::make_mut(&mut observed.pool).status = Some(SandboxPoolStatus {
        cost: Some(PoolCost {
            settled_usd: usd("500"),
            month: Some("2027-01".into()),
            month_usd: usd("90"),
            ..PoolCost::default()
        }),
        ..SandboxPoolStatus::default()
    });
    assert_eq!(created(&plan(&observed)).len(), 0);
    let (exceeded, reason, message) = budget_says(&observed);
    assert_eq!((exceeded, reason.as_str()), (true, "MonthlyBudget"));
    assert!(message.contains("of 100 USD") && message.contains("at least 90 are spent"), "{message}");
    assert!(message.contains("2027-02-01T00:00:00Z"), "{message}");
    observed.now = "2027-02-01T00:00:00Z".parse().expect("a time");
    assert_eq!(created(&plan(&observed)).len(), 4, "another month, another budget");
}

#[test]
fn short_claims_need_less_of_a_month() {
    let mut observed = with_budget(observed(pool(target(9), limits(9, 9)), vec![], 0), None, Some("100"));
    Arc::make_mut(&mut observed.pool).spec.claims.max_ttl = Span::hours(1);
    assert_eq!(created(&plan(&observed)).len(), 9);
}

#[test]
fn without_a_price_a_budget_lets_nothing_be_made() {
    let mut observed = with_budget(observed(pool(target(2), limits(9, 9)), vec![], 0), Some("100"), None);
    observed.usd_per_hour = None;
    assert!(created(&plan(&observed)).is_empty());
    assert_eq!(budget_says(&observed).1, "PriceUnknown");
}

/// What can happen between two looks.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A member ends with this much settled.
    Ends(i32, i64),
    /// The operator looks and its write is lost with it.
    DiesBefore,
    /// It looks and writes.
    Writes,
    /// A member looks: it goes only if it is taken over.
    Looks(i32),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (0_i32..6, 1_i64..1_000_000_000).prop_map(|(slot, nanos)| Happens::Ends(slot, nanos)),
        Just(Happens::DiesBefore),
        Just(Happens::Writes),
        (0_i32..6).prop_map(Happens::Looks),
    ]
}

/// Members that end one after another in a few slots, and what they cost.
struct Books {
    observed: Observed,
    alive: BTreeMap<i32, Member>,
    next: usize,
    spent: Usd,
}

impl Books {
    fn look(&mut self) -> Option<SandboxPoolStatus> {
        self.observed.members = self.alive.values().cloned().collect();
        self.observed.present = self.alive.values().map(|member| member.uid.clone()).collect();
        plan(&self.observed).status
    }

    fn happen(&mut self, event: Happens) {
        match event {
            Happens::Ends(slot, nanos) => {
                if self.alive.contains_key(&slot) {
                    return;
                }
                self.next += 1;
                let uid = format!("uid-{}", self.next);
                self.alive.insert(slot, Member { uid, ..ended(slot, Usd::nanos(nanos), 50) });
                self.spent += Usd::nanos(nanos);
            }
            Happens::DiesBefore => drop(self.look()),
            Happens::Writes => {
                if let Some(status) = self.look() {
                    self.observed = with_status(&self.observed, status);
                }
            }
            Happens::Looks(slot) => {
                let taken = self.stored().settling;
                if self.alive.get(&slot).is_some_and(|member| taken.contains(&member.uid)) {
                    self.alive.remove(&slot);
                }
            }
        }
    }

    fn stored(&self) -> PoolCost {
        self.observed.pool.status.as_ref().and_then(|status| status.cost.clone()).unwrap_or_default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_death_between_two_writes_loses_or_doubles_a_cost_s14_s8(
        script in prop::collection::vec(happens(), 0..60)
    ) {
        let start = observed(pool(target(0), limits(9, 2)), vec![], 100);
        let mut books = Books { observed: start, alive: BTreeMap::new(), next: 0, spent: Usd::ZERO };
        for event in script {
            books.happen(event);
            prop_assert!(books.stored().settled_usd <= books.spent);
        }
        books.happen(Happens::Writes);
        (0..6).for_each(|slot| books.happen(Happens::Looks(slot)));
        prop_assert!(books.alive.is_empty(), "a member is kept for ever");
        books.happen(Happens::Writes);
        let stored = books.stored();
        prop_assert_eq!((stored.settled_usd, stored.settling.len()), (books.spent, 0));
    }

    #[test]
    fn no_create_takes_the_pool_over_its_hourly_budget(
        warm in 0_i32..6, taken in 0_i32..4, hidden in 0_usize..3, want in 0_i32..12, most in 1_i64..12_000
    ) {
        let members = (0..warm).map(|slot| costing(member(slot, Phase::Warm), "1", 0));
        let members: Vec<Member> = members.chain((warm..warm + taken).map(|slot| claimed(slot, 10))).collect();
        let count = members.len();
        let mut observed = observed(pool(target(want), limits(20, 20)), members, 3000);
        observed.hidden = hidden;
        let most = Usd::nanos(most * 1_000_000);
        let observed = with_budget(observed, Some(&most.to_string()), None);
        let plan = plan(&observed);
        let (made, gone) = (created(&plan).len(), deleted(&plan).len());
        prop_assert!(made == 0 || usd("1").times(count + hidden + made) <= most);
        prop_assert!(made == 0 || gone == 0, "made and removed in one pass");
        // What is wanted and affordable is made.
        let wanted = usize::try_from(want).unwrap_or_default().saturating_sub(usize::try_from(warm).unwrap_or_default() + hidden);
        let affordable = (most - usd("1").times(count + hidden)).buys(usd("1"));
        let room = 20_usize.saturating_sub(count + hidden);
        prop_assert_eq!(made, wanted.min(affordable).min(room).min(20_usize.saturating_sub(hidden)));
    }
}
