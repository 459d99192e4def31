//! Bad members and claims on them. Their rules are tried as the operator, to
//! whom the slot policy does not speak.

use super::{Row, bad, change, member};
use serde_json::{Value, json};

fn claim() -> Value {
    json!({"claim": {"id": "run-1", "holder": "alice", "ttl": "30m"}})
}

pub fn rows() -> Vec<Row> {
    vec![
        bad("B1", member("b1", &json!({"template": null})), "Sandbox.sandbar.dev \"b1-0\" is invalid: spec: Invalid value: B1: spec: slot is set alone; only the operator makes members, with both; ask for a sandbox with spec.claim"),
        bad("B1", member("b1", &json!({"slot": null})), "Sandbox.sandbar.dev \"b1-0\" is invalid: [spec: Invalid value: B1: spec: template is set alone; only the operator makes members, with both; ask for a sandbox with spec.claim, spec: Invalid value: B2: spec.claim: is not set; a request for a sandbox of pool b1 needs id and holder]"),
        bad("B3", member("b3", &json!({"slot": 7})), "Sandbox.sandbar.dev \"b3-0\" is invalid: <nil>: Invalid value: B3: metadata.name: b3-0 is not the name of this slot; it must be b3-7"),
        bad("B3", member("b3", &json!({"poolRef": {"name": "other"}})), "Sandbox.sandbar.dev \"b3-0\" is invalid: <nil>: Invalid value: B3: metadata.name: b3-0 is not the name of this slot; it must be other-0"),
        change("B4", member("b4", &json!({})), json!({"spec": {"poolRef": {"name": "b4x"}}}), "Sandbox.sandbar.dev \"b4-0\" is invalid: [<nil>: Invalid value: B3: metadata.name: b4-0 is not the name of this slot; it must be b4x-0, spec.poolRef: Invalid value: B4: spec.poolRef.name: b4x cannot replace b4; make another Sandbox]"),
        change("B5", member("b5", &json!({})), json!({"spec": {"slot": 1}}), "Sandbox.sandbar.dev \"b5-0\" is invalid: [<nil>: Invalid value: B3: metadata.name: b5-0 is not the name of this slot; it must be b5-1, spec: Invalid value: B5: spec.slot: cannot be changed; it was 0]"),
        change("B6", member("b6", &json!({})), json!({"spec": {"template": {"image": {"tag": "2"}}}}), "Sandbox.sandbar.dev \"b6-0\" is invalid: spec: Invalid value: B6: spec.template: cannot be changed; edit the pool b6 and new members will follow"),
        change("B7", member("b7", &claim()), json!({"spec": {"claim": {"id": "run-2"}}}), "Sandbox.sandbar.dev \"b7-0\" is invalid: spec: Invalid value: B7: spec.claim: held by claim run-1 and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one"),
        change("B7", member("b7-taken", &claim()), json!({"spec": {"claim": null}}), "Sandbox.sandbar.dev \"b7-taken-0\" is invalid: spec: Invalid value: B7: spec.claim: held by claim run-1 and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one"),
        change("B7", member("b7-for", &claim()), json!({"spec": {"claim": {"for": {"name": "x", "uid": "y"}}}}), "Sandbox.sandbar.dev \"b7-for-0\" is invalid: spec: Invalid value: B7: spec.claim: held by claim run-1 and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one"),
        change("B8", member("b8", &claim()), json!({"spec": {"claim": {"ttl": "29m59s"}}}), "Sandbox.sandbar.dev \"b8-0\" is invalid: spec: Invalid value: B8: spec.claim.ttl: 29m59s is less than 30m; a claim can only be extended; delete the Sandbox to end it"),
        change("B9", member("b9", &claim()), json!({"spec": {"claim": {"ttl": "2h1s"}}}), "Sandbox.sandbar.dev \"b9-0\" is invalid: spec: Invalid value: B9: spec.claim.ttl: 2h1s is more than the pool's claims.maxTTL (2h); ask for at most that"),
        change("B10", member("b10", &json!({})), json!({"spec": {"claim": {"id": "run-1", "holder": "alice"}}}), "Sandbox.sandbar.dev \"b10-0\" is invalid: spec: Invalid value: B10: spec.claim.ttl: is not set; a claim on a member says how long, such as 30m"),
        change("B11", member("b11", &json!({})), json!({"spec": claim()}), "Sandbox.sandbar.dev \"b11-0\" is invalid: <nil>: Invalid value: B11: spec.claim: b11-0 is Terminating and cannot be claimed any more; claim another one").status(json!({"phase": "Terminating"})),
        change("B11", member("b11-failed", &json!({})), json!({"spec": claim()}), "Sandbox.sandbar.dev \"b11-failed-0\" is invalid: <nil>: Invalid value: B11: spec.claim: b11-failed-0 is Failed and cannot be claimed any more; claim another one")
            .status(json!({"phase": "Failed"})),
        change("B12", member("b12", &claim()), json!({"spec": {"claim": {"keepEnded": "1h"}}}), "Sandbox.sandbar.dev \"b12-0\" is invalid: spec: Invalid value: B12: spec.claim.keepEnded: is for requests only; remove it"),
        change("B14", member("b14", &json!({})), json!({"spec": {"operatingMode": "Hibernated"}}), "Sandbox.sandbar.dev \"b14-0\" is invalid: spec: Invalid value: B14: spec.operatingMode: Hibernated is for a sandbox that somebody holds; claim it first"),
        change(
            "B50",
            member("b50", &json!({"claim": claim()["claim"], "template": {"provider": {"digitalOcean": {"mode": "Worker"}}}})),
            json!({"spec": {"operatingMode": "Hibernated"}}),
            "Sandbox.sandbar.dev \"b50-0\" is invalid: spec: Invalid value: B50: spec.operatingMode: Hibernated needs an agent that keeps the files, and sandboxes of pool b50 are in mode Worker, which has none that can be reached; copy the files out with sandbar cp and release it, or use a pool in mode Service",
        ),
        change(
            "B51",
            member("b51", &json!({"template": {"provider": {"digitalOcean": {"mode": "Worker"}}}})),
            json!({"spec": {"claim": {"id": "run-1", "holder": "alice", "ttl": "30m", "snapshot": {"name": "notes"}, "for": {"name": "run-1", "uid": "u"}}}}),
            "Sandbox.sandbar.dev \"b51-0\" is invalid: spec: Invalid value: B51: spec.claim.snapshot.name: notes cannot be put into sandboxes of pool b51, which are in mode Worker, whose console is too narrow for it; leave snapshot out, or use a pool in mode Service",
        ),
        change(
            "B52",
            member("b52", &json!({})),
            json!({"spec": {"claim": {"id": "run-1", "holder": "alice", "ttl": "30m", "snapshot": {"name": "notes"}}}}),
            "Sandbox.sandbar.dev \"b52-0\" is invalid: spec: Invalid value: B52: spec.claim.snapshot.name: notes cannot be asked for by a claim on a warm sandbox, which is Ready before its files would be there; ask with a request: a Sandbox with poolRef b52 and this claim",
        ),
        change(
            "B53",
            member("b53", &json!({"template": {"provider": {"digitalOcean": {"mode": "Worker"}}}})),
            json!({"spec": {"claim": {"id": "run-1", "holder": "alice", "ttl": "30m", "app": {"name": "snake"}}}}),
            "Sandbox.sandbar.dev \"b53-0\" is invalid: spec: Invalid value: B53: spec.claim.app.name: snake cannot be launched in sandboxes of pool b53, which are in mode Worker and have no address; leave app out, or use a pool in mode Service",
        ),
        change(
            "B13",
            member("b13", &json!({})),
            json!({"spec": {"claim": {"id": "r", "holder": "a", "ttl": "0s"}}}),
            "Sandbox.sandbar.dev \"b13-0\" is invalid: spec.claim: Invalid value: B13: spec.claim.ttl: 0s ends at once; use more than 0s, such as 30m",
        ),
    ]
}

/// What the admission policy says to everybody else. Changes are the rules' business.
pub fn policy_rows() -> Vec<Row> {
    vec![bad(
        "V1",
        member("v1", &json!({})),
        "sandboxes.sandbar.dev \"v1-0\" is forbidden: ValidatingAdmissionPolicy 'sandbar-slot' with binding 'sandbar-slot' denied request: V1: spec.slot: 0 is only for the operator (system:serviceaccount:sandbar-system:sandbar) to set, not for sandbar-dev: to get a sandbox, create one with spec.claim and without spec.slot and spec.template; to get more of them, raise spec.warm.target of the SandboxPool",
    )]
}
