//! What holds for every pool, whatever was observed.

use super::fixture::*;
use crate::api::{Activation, Phase, SandboxPoolStatus, Sizing, SizingPolicy, Span, Warm};
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::{Member, Observed};
use crate::controllers::sandbox_pool::plan::{Effect, plan};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn any_member(slot: i32) -> impl Strategy<Value = Member> {
    let phase = prop_oneof![
        1 => Just(Phase::Pending),
        1 => Just(Phase::Creating),
        1 => Just(Phase::Booting),
        4 => Just(Phase::Warm),
        1 => Just(Phase::Claimed),
        1 => Just(Phase::Terminating),
        1 => Just(Phase::Failed),
    ];
    (phase, any::<bool>(), any::<bool>(), 0_i64..2000).prop_map(move |(phase, deleting, bound, ready)| {
        let base = match phase {
            Phase::Claimed => claimed(slot, ready),
            Phase::Failed => failed(slot, ready),
            _ => member(slot, phase),
        };
        Member { deleting, bound, ready_at: base.ready_at.map(|_| at(ready)), ..base }
    })
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::btree_set(0_i32..12, 0..10)
        .prop_flat_map(|slots| slots.into_iter().map(any_member).collect::<Vec<_>>())
}

prop_compose! {
    fn any_pool()(
        members in members(),
        max in 1_i32..10,
        want in 0_i32..10,
        concurrent in 1_i32..10,
        queue in prop::collection::vec(0_i64..3000, 0..6),
        blocked in prop::collection::btree_set(0_i32..12, 0..3),
        hidden in 0_usize..3,
        first_claim in any::<bool>(),
        aged in any::<bool>(),
        sized in any::<bool>(),
        open in prop::bool::weighted(0.9),
        ending in prop::bool::weighted(0.2),
        now in 0_i64..4000,
    ) -> Observed {
        let activation = if first_claim { Activation::OnFirstClaim } else { Activation::Always };
        let sizing = if sized { Sizing { policy: SizingPolicy::HitRate, hit_rate: Some(0.99) } } else { Sizing::default() };
        let warm = Warm { activation, sizing, max_age: aged.then(|| Span::minutes(20)), ..target(want.min(max)) };
        let mut pool = pool(warm, limits(max, concurrent));
        if ending {
            pool.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
        }
        let mut observed = observed(pool, members, now);
        observed.queue = queue.into_iter().map(at).collect();
        observed.blocked_slots = blocked;
        observed.hidden = hidden;
        if !open {
            let reason = crate::api::conditions::Reason::ProviderUnavailable;
            observed.provider = ProviderFact::Shut { reason, message: "down".into() };
        }
        observed
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn creates_never_go_above_the_cap_or_the_concurrency_s5(observed in any_pool()) {
        let plan = plan(&observed);
        let created = created(&plan);
        let limits = &observed.pool.spec.limits;
        let total = observed.members.len() + observed.hidden;
        if !created.is_empty() {
            prop_assert!(total + created.len() <= limits.max_sandboxes as usize);
            let creating = observed.members.iter().filter(|member| member.is_creating()).count() + observed.hidden;
            prop_assert!(creating + created.len() <= limits.max_concurrent_creates as usize);
        }
        let taken: BTreeSet<i32> = observed.members.iter().map(|member| member.slot).chain(observed.blocked_slots.clone()).collect();
        prop_assert!(created.iter().all(|slot| !taken.contains(slot) && *slot < limits.max_sandboxes));
        prop_assert_eq!(created.iter().collect::<BTreeSet<_>>().len(), created.len());
    }

    #[test]
    fn a_claimed_member_is_never_deleted_by_its_pool_s7(observed in any_pool()) {
        let plan = plan(&observed);
        for name in deleted(&plan) {
            let member = observed.members.iter().find(|member| member.name == name).expect("a member");
            prop_assert!(!member.claimed && !member.deleting);
        }
    }

    #[test]
    fn a_closed_provider_causes_no_create_s3(observed in any_pool()) {
        if matches!(observed.provider, ProviderFact::Shut { .. }) {
            prop_assert!(created(&plan(&observed)).is_empty());
        }
    }

    #[test]
    fn every_deletion_carries_the_version_that_was_seen_s7(observed in any_pool()) {
        for effect in plan(&observed).effects {
            if let Effect::DeleteMember { uid, resource_version, .. } = effect {
                prop_assert!(!uid.is_empty() && !resource_version.is_empty());
            }
        }
    }

    #[test]
    fn a_plan_whose_status_was_written_writes_no_other_s10(observed in any_pool()) {
        let first = plan(&observed);
        let settled = with_status(&observed, first.status.unwrap_or_default());
        let second = plan(&settled);
        prop_assert!(second.status.is_none(), "{:?}", second.status);
    }

    #[test]
    fn an_idle_pool_on_first_claim_keeps_nothing_free_s11(mut observed in any_pool()) {
        let long_ago = observed.members.iter().all(|member| !member.claimed);
        let idle = observed.pool.spec.warm.activation == Activation::OnFirstClaim && long_ago;
        if idle && observed.pool.metadata.deletion_timestamp.is_none() {
            observed.queue.clear();
            observed = with_status(&observed, SandboxPoolStatus::default());
            let plan = plan(&observed);
            prop_assert!(created(&plan).is_empty());
            let gone = deleted(&plan);
            let left = observed.members.iter().filter(|member| member.is_free() && !gone.contains(&member.name.as_str()));
            prop_assert_eq!(left.count(), 0);
        }
    }
}
