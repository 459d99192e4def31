use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// A condition, as a row of a table says it.
type Said = (Type, bool, Reason);

fn conditions(said: &[Said]) -> Vec<Condition> {
    let wanted: Vec<Wanted> =
        said.iter().map(|(kind, status, reason)| Wanted::new(*kind, *status, *reason, format!("{reason}."))).collect();
    merge(&[], &wanted, Some(1), at(10))
}

/// A request, for an app if one is told of; or a member that is to be hibernated, if that is.
fn spec(said: &[Said]) -> SandboxSpec {
    let mut spec = serde_json::json!({"poolRef": {"name": "python"}, "claim": {"id": "a", "holder": "ada"}});
    if said.iter().any(|(kind, ..)| *kind == Type::AppReady) {
        spec["claim"]["app"] = serde_json::json!({"name": "snake"});
    }
    if said.iter().any(|(kind, ..)| *kind == Type::Hibernated) {
        spec["operatingMode"] = "Hibernated".into();
        spec["slot"] = 0.into();
    }
    serde_json::from_value(spec).expect("a spec")
}

/// What a tool would say, and why.
fn verdict(conditions: &[Condition]) -> (&'static str, String) {
    let is = |kind: Type, status: bool| {
        let found = told(conditions, kind).filter(|told| (told.status == "True") == status);
        found.map(|told| told.message.clone())
    };
    match (is(Type::Reconciling, true), is(Type::Stalled, true), is(Type::Ready, false)) {
        (Some(message), _, _) => ("InProgress", message),
        (_, Some(message), _) => ("Failed", message),
        (_, _, Some(message)) => ("InProgress", message),
        _ => ("Current", String::new()),
    }
}

#[test]
fn a_pool_is_current_when_it_is_level_or_its_own_spec_bounds_it() {
    use Reason::*;
    let fine = (Type::Degraded, false, AsExpected);
    let rows: &[(&[Said], &str, &str)] = &[
        (&[fine], "InProgress", "nothing is made yet"),
        (&[(Type::Available, true, AsExpected), fine], "Current", ""),
        (&[(Type::Available, false, BelowTarget), fine], "InProgress", "BelowTarget."),
        (&[(Type::Available, true, AsExpected), (Type::Progressing, true, Updating)], "InProgress", "Updating."),
        (&[(Type::Available, false, AtCapacity), fine], "Current", ""),
        (&[(Type::Available, false, MonthlyBudget), fine], "Current", ""),
        (&[(Type::Available, false, PriceUnknown), fine], "Failed", "PriceUnknown."),
        (&[(Type::Available, false, ProviderUnavailable), fine], "InProgress", "ProviderUnavailable."),
        (&[(Type::Available, false, BackingOff), (Type::Degraded, true, BackingOff)], "InProgress", "BackingOff."),
        (&[(Type::Available, true, AsExpected), (Type::Degraded, true, InvalidSpec)], "Failed", "InvalidSpec."),
        (&[(Type::Available, true, AsExpected), (Type::Degraded, true, ClockSkew)], "Current", ""),
        (
            &[(Type::Available, false, BelowTarget), (Type::ProviderReachable, false, WrongAccount)],
            "Failed",
            "WrongAccount.",
        ),
    ];
    for (said, expected, message) in rows {
        let mut conditions = conditions(said);
        pool(&mut conditions, Some(1), at(20));
        assert_eq!(verdict(&conditions), (*expected, (*message).to_owned()), "{said:?}");
        let before = conditions.clone();
        pool(&mut conditions, Some(1), at(99));
        assert_eq!(conditions, before, "said again, it is no news (S10)");
    }
}

#[test]
fn a_sandbox_is_current_when_it_is_ready_asleep_or_over() {
    use Reason::*;
    let ready = (Type::Ready, true, Healthy);
    let rows: &[(Phase, Reason, &[Said], &str, &str)] = &[
        (Phase::Pending, Queued, &[(Type::Ready, false, AtCapacity)], "InProgress", "AtCapacity."),
        (Phase::Creating, Creating, &[], "InProgress", "its instance is being made"),
        (
            Phase::Booting,
            Booting,
            &[(Type::InstanceReady, true, Healthy)],
            "InProgress",
            "its agent does not answer yet",
        ),
        (Phase::Pending, SecretMissing, &[(Type::ResolvedRefs, false, SecretMissing)], "Failed", "SecretMissing."),
        (Phase::Warm, Healthy, &[ready], "Current", ""),
        (Phase::Claimed, Claimed, &[ready], "Current", ""),
        (Phase::Launching, Launching, &[ready, (Type::AppReady, false, Launching)], "InProgress", "Launching."),
        (Phase::Running, Healthy, &[ready, (Type::AppReady, true, Healthy)], "Current", ""),
        (Phase::Running, AppSilent, &[ready, (Type::AppReady, false, AppSilent)], "InProgress", "AppSilent."),
        (Phase::Claimed, InstallFailed, &[ready, (Type::AppReady, false, InstallFailed)], "Failed", "InstallFailed."),
        (Phase::Claimed, Claimed, &[ready, (Type::Hibernated, false, NoSnapshotStore)], "Failed", "NoSnapshotStore."),
        (Phase::Claimed, Claimed, &[ready, (Type::Hibernated, false, SnapshotFailed)], "InProgress", "SnapshotFailed."),
        (Phase::Hibernating, Hibernating, &[(Type::Ready, false, Hibernating)], "InProgress", "Hibernating."),
        (Phase::Hibernated, Hibernated, &[(Type::Ready, false, Hibernated)], "Current", ""),
        (Phase::Hibernated, Waking, &[(Type::Ready, false, Waking)], "InProgress", "Waking."),
        (Phase::Hibernated, SnapshotMissing, &[(Type::Ready, false, SnapshotMissing)], "Failed", "SnapshotMissing."),
        (Phase::Failed, InstanceLost, &[(Type::Ready, false, InstanceLost)], "Failed", "InstanceLost."),
        (Phase::Ended, Expired, &[(Type::Ready, false, Expired)], "Current", ""),
        (Phase::Ended, WaitTimeout, &[(Type::Ready, false, WaitTimeout)], "Failed", "WaitTimeout."),
    ];
    for (phase, reason, said, expected, message) in rows {
        let reason = Some(reason.as_str().to_owned());
        let mut status =
            SandboxStatus { phase: Some(*phase), reason, conditions: conditions(said), ..Default::default() };
        sandbox(&mut status, &spec(said), Some(1), at(20));
        assert_eq!(verdict(&status.conditions), (*expected, (*message).to_owned()), "{phase:?} {said:?}");
        let before = status.clone();
        sandbox(&mut status, &spec(said), Some(1), at(99));
        assert_eq!(status, before, "said again, it is no news (S10)");
    }
}

#[test]
fn an_app_that_nobody_has_told_of_yet_is_waited_for() {
    let ready = conditions(&[(Type::Ready, true, Reason::Healthy)]);
    let mut status = SandboxStatus { phase: Some(Phase::Claimed), conditions: ready, ..Default::default() };
    sandbox(&mut status, &spec(&[(Type::AppReady, false, Reason::Launching)]), Some(1), at(20));
    assert_eq!(verdict(&status.conditions), ("InProgress", "its app is about to be launched".to_owned()));
}

#[test]
fn what_ready_said_last_stays_to_be_read() {
    let mut status = SandboxStatus {
        phase: Some(Phase::Hibernated),
        reason: Some(Reason::Hibernated.as_str().to_owned()),
        conditions: conditions(&[(Type::Ready, false, Reason::Hibernated)]),
        ..Default::default()
    };
    sandbox(&mut status, &spec(&[]), Some(1), at(20));
    let asleep = told(&status.conditions, Type::Hibernated).expect("told instead");
    assert_eq!((asleep.status.as_str(), asleep.message.as_str()), ("True", "Hibernated."));

    status.phase = Some(Phase::Claimed);
    status.conditions =
        merge(&status.conditions, &[Wanted::new(Type::Ready, true, Reason::Healthy, "")], Some(1), at(30));
    sandbox(&mut status, &spec(&[]), Some(1), at(30));
    assert!(told(&status.conditions, Type::Hibernated).is_none(), "awake again");

    status.phase = Some(Phase::Ended);
    let gone = Wanted::new(Type::Ready, false, Reason::Expired, "its sandbox is gone");
    status.conditions = merge(&status.conditions, &[gone], Some(1), at(40));
    sandbox(&mut status, &spec(&[]), Some(1), at(40));
    let ended = told(&status.conditions, Type::Ended).expect("told instead");
    assert_eq!((ended.reason.as_str(), ended.message.as_str()), ("Expired", "its sandbox is gone"));
    assert!(told(&status.conditions, Type::Ready).is_none());
}
