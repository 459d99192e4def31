//! Bad requests, made by people.

use super::{Row, bad, change, request};
use serde_json::json;

pub fn rows() -> Vec<Row> {
    vec![
        bad(
            "B2",
            request("b2", &json!({"claim": null})),
            "Sandbox.sandbar.dev \"b2\" is invalid: spec: Invalid value: B2: spec.claim: is not set; a request for a sandbox of pool python needs id and holder",
        ),
        change(
            "B4",
            request("b4", &json!({})),
            json!({"spec": {"poolRef": {"name": "node"}}}),
            "Sandbox.sandbar.dev \"b4\" is invalid: spec.poolRef: Invalid value: B4: spec.poolRef.name: node cannot replace python; make another Sandbox",
        ),
        change(
            "B7",
            request("b7", &json!({})),
            json!({"spec": {"claim": {"holder": "bob"}}}),
            "Sandbox.sandbar.dev \"b7\" is invalid: spec: Invalid value: B7: spec.claim: held by claim b7 and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one",
        ),
        change(
            "B7",
            request("b7-id", &json!({})),
            json!({"spec": {"claim": {"id": "another"}}}),
            "Sandbox.sandbar.dev \"b7-id\" is invalid: spec: Invalid value: B7: spec.claim: held by claim b7-id and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one",
        ),
        change(
            "B7",
            request("b7-files", &json!({"claim": {"snapshot": {"name": "notes"}}})),
            json!({"spec": {"claim": {"snapshot": {"name": "others"}}}}),
            "Sandbox.sandbar.dev \"b7-files\" is invalid: spec: Invalid value: B7: spec.claim: held by claim b7-files and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one",
        ),
        change(
            "B7",
            request("b7-app", &json!({"claim": {"app": {"name": "snake"}}})),
            json!({"spec": {"claim": {"app": {"name": "memory"}}}}),
            "Sandbox.sandbar.dev \"b7-app\" is invalid: spec: Invalid value: B7: spec.claim: held by claim b7-app and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one",
        ),
        change(
            "B8",
            request("b8", &json!({"claim": {"ttl": "30m"}})),
            json!({"spec": {"claim": {"ttl": "10m"}}}),
            "Sandbox.sandbar.dev \"b8\" is invalid: spec: Invalid value: B8: spec.claim.ttl: 10m is less than 30m; a claim can only be extended; delete the Sandbox to end it",
        ),
        change(
            "B8",
            request("b8-not", &json!({"claim": {"ttl": "30m"}})),
            json!({"spec": {"claim": {"ttl": null}}}),
            "Sandbox.sandbar.dev \"b8-not\" is invalid: spec: Invalid value: B8: spec.claim.ttl: nothing is less than 30m; a claim can only be extended; delete the Sandbox to end it",
        ),
        bad(
            "B12",
            request("b12", &json!({"claim": {"for": {"name": "x", "uid": "y"}}})),
            "Sandbox.sandbar.dev \"b12\" is invalid: spec: Invalid value: B12: spec.claim.for: is for members only; remove it",
        ),
        bad(
            "B13",
            request("b13", &json!({"claim": {"ttl": "0s"}})),
            "Sandbox.sandbar.dev \"b13\" is invalid: spec.claim: Invalid value: B13: spec.claim.ttl: 0s ends at once; use more than 0s, such as 30m",
        ),
        bad(
            "B14",
            request("b14", &json!({"operatingMode": "Hibernated"})),
            "Sandbox.sandbar.dev \"b14\" is invalid: spec: Invalid value: B14: spec.operatingMode: Hibernated is for a sandbox that somebody holds; set it on the sandbox in status.boundTo of this request",
        ),
    ]
}
