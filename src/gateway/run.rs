//! A run as the gateway knows it: what it tells of a Sandbox, and nothing else.

use crate::api::conditions::{Reason, Type};
use crate::api::{ObjectUid, Phase, Sandbox, StartKind, TimelineEntry, Timings};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::Serialize;

/// A claim, seen from outside: of a request, or of a member that was claimed without one.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Name of the object.
    pub name: String,
    /// UID of the object.
    pub uid: String,
    /// Whether the object is a member.
    pub member: bool,
    /// Name of the pool.
    pub pool: String,
    /// The app that it launches.
    pub app: Option<String>,
    /// Who holds it.
    pub holder: String,
    /// The member that it has.
    pub bound: Option<ObjectUid>,
    /// Where the sandbox's agent answers.
    pub url: Option<String>,
    /// Whether it got a sandbox that was warm.
    pub start: Option<StartKind>,
    /// Where it is in its life.
    pub state: State,
    /// Why, as one word.
    pub reason: Option<String>,
    /// Why, in a sentence.
    pub message: Option<String>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it got its sandbox.
    pub claimed: Option<Timestamp>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What its steps took.
    pub timings: Timings,
    /// What has happened; the newest 64 entries.
    pub timeline: Vec<TimelineEntry>,
    /// Whether the object exists no more.
    pub gone: bool,
}

/// How far a run is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RunState")]
pub enum State {
    /// It waits for a sandbox.
    Queued,
    /// It has a sandbox that cannot be used yet.
    Acquiring,
    /// Its app is on its way.
    Launching,
    /// Its app answers; without an app: its sandbox can be used.
    Running,
    /// Its files are kept, and its sandbox sleeps.
    Hibernated,
    /// Its app is not up, or it ended for another reason than its time or its holder.
    Failed,
    /// It is being ended.
    Stopping,
    /// It is over.
    Ended,
}

impl Run {
    /// The run that a Sandbox stands for. None of a member that nobody holds, or that a request holds.
    pub fn of(sandbox: &Sandbox) -> Option<Self> {
        let claim = sandbox.spec.claim.as_ref().filter(|claim| claim.for_.is_none())?;
        let metadata = &sandbox.metadata;
        let status = sandbox.status.clone().unwrap_or_default();
        let told = |kind: Type| status.conditions.iter().find(|told| told.type_ == kind.as_str());
        let (app, ready) = (told(Type::AppReady), told(Type::Ready));
        let over = told(Type::Ended).or(ready);
        let asleep = told(Type::Hibernated).filter(|told| told.status == "True");
        let why =
            if status.ended_at.is_some() { over } else { app.or(ready).or(asleep) }.map(|told| told.message.clone());
        let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
        Some(Self {
            id: claim.id.clone(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            member: sandbox.is_member(),
            pool: sandbox.spec.pool_ref.name.clone(),
            app: claim.app.as_ref().map(|app| app.name.clone()),
            holder: claim.holder.clone(),
            state: state(sandbox, app, ready),
            message: why.filter(|why| !why.is_empty()),
            created: time(&metadata.creation_timestamp).unwrap_or_default(),
            claimed: time(&status.claimed_at),
            expires: time(&status.expires_at),
            ended: time(&status.ended_at),
            bound: status.bound_to,
            url: status.url,
            start: status.start_kind,
            reason: status.reason,
            timings: status.timings.unwrap_or_default(),
            timeline: status.timeline,
            gone: false,
        })
    }

    /// Whether an id that both carry means this one. Of one name, the older has gone; otherwise whoever came later took
    /// an id that was somebody's, which gives them nothing of that run.
    pub fn is_meant_before(&self, other: &Self) -> bool {
        let since = |run: &Self| if run.member { run.claimed.unwrap_or(Timestamp::MAX) } else { run.created };
        match self.name == other.name {
            true => self.created > other.created,
            false => (since(self), &self.uid) < (since(other), &other.uid),
        }
    }

    /// Whether nothing will happen in it any more.
    pub fn is_over(&self) -> bool {
        self.gone || self.ended.is_some()
    }

    /// Whether its launch is: it is up, or will not come up.
    pub fn is_settled(&self) -> bool {
        self.is_over() || matches!(self.state, State::Running | State::Failed)
    }

    /// Whether it waits in its pool's queue.
    pub fn is_queued(&self) -> bool {
        self.state == State::Queued && !self.is_over()
    }
}

fn state(sandbox: &Sandbox, app: Option<&Condition>, ready: Option<&Condition>) -> State {
    let status = sandbox.status.clone().unwrap_or_default();
    let bound = sandbox.is_member() || status.bound_to.is_some();
    match sandbox.phase() {
        Phase::Ended | Phase::Failed | Phase::Terminating => {
            let reason = status.reason.as_deref().map(Reason::of);
            let fine = matches!(reason, None | Some(Reason::Expired | Reason::Released));
            if fine { State::Ended } else { State::Failed }
        }
        _ if sandbox.is_deleting() => State::Stopping,
        Phase::Hibernating | Phase::Hibernated => State::Hibernated,
        _ if !bound => State::Queued,
        _ => match (sandbox.spec.claim.as_ref().and_then(|claim| claim.app.as_ref()), app) {
            (Some(_), Some(app)) => of_app(app),
            (wanted, _) if ready.is_some_and(|ready| ready.status == "True") => {
                if wanted.is_some() {
                    State::Launching
                } else {
                    State::Running
                }
            }
            _ => State::Acquiring,
        },
    }
}

/// An app that fell silent may come back by itself; one that failed does not.
fn of_app(app: &Condition) -> State {
    match Reason::of(&app.reason) {
        _ if app.status == "True" => State::Running,
        Reason::Launching => State::Launching,
        Reason::AppSilent => State::Running,
        Reason::Hibernated => State::Hibernated,
        _ => State::Failed,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A request for an app, with this status.
    pub fn request(id: &str, status: Value) -> Sandbox {
        serde_json::from_value(json!({
            "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
            "metadata": {"name": id, "uid": format!("uid-{id}"), "creationTimestamp": "2026-11-22T10:00:00Z"},
            "spec": {"poolRef": {"name": "python"},
                "claim": {"id": id, "holder": "ada", "app": {"name": "snake"}, "keepEnded": "1h"}},
            "status": status,
        }))
        .expect("a request")
    }

    fn told(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "words",
            "lastTransitionTime": "2026-11-22T10:00:00Z"})
    }

    #[test]
    fn a_run_is_named_by_what_its_holder_waits_for() {
        let bound = json!({"name": "python-0", "uid": "u"});
        let with = |phase: &str, conditions: Value| json!({"phase": phase, "boundTo": bound, "conditions": conditions});
        let states = [
            (json!({}), State::Queued),
            (json!({"phase": "Pending", "reason": "Queued"}), State::Queued),
            (with("Creating", json!([])), State::Acquiring),
            (with("Claimed", json!([told("Ready", "True", "Healthy")])), State::Launching),
            (with("Launching", json!([told("AppReady", "False", "Launching")])), State::Launching),
            (with("Running", json!([told("AppReady", "True", "Healthy")])), State::Running),
            (with("Running", json!([told("AppReady", "False", "AppSilent")])), State::Running),
            (with("Claimed", json!([told("AppReady", "False", "AppExited")])), State::Failed),
            (with("Hibernated", json!([])), State::Hibernated),
            (json!({"phase": "Ended", "reason": "Expired", "endedAt": "2026-11-22T11:00:00Z"}), State::Ended),
            (json!({"phase": "Ended", "reason": "WaitTimeout", "endedAt": "2026-11-22T11:00:00Z"}), State::Failed),
        ];
        for (status, state) in states {
            let run = Run::of(&request("run-1", status.clone())).expect("a run");
            assert_eq!(run.state, state, "{status}");
            assert_eq!(run.is_over(), status.get("endedAt").is_some(), "{status}");
        }
    }

    #[test]
    fn a_member_that_a_request_holds_is_no_run_of_its_own() {
        let mut member = request("run-1", json!({}));
        member.spec.slot = Some(1);
        assert!(Run::of(&member).is_some_and(|run| run.member));
        let claim = member.spec.claim.as_mut().expect("a claim");
        claim.for_ = Some(crate::api::ClaimFor { name: "run-1".into(), uid: "u".into() });
        assert_eq!(Run::of(&member), None);
        member.spec.claim = None;
        assert_eq!(Run::of(&member), None);
    }
}
