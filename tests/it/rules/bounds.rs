//! What the schema refuses before any rule is asked.

use super::{Row, bad, pool, request};
use serde_json::{Value, json};

fn ports(count: i32) -> Value {
    (0..count).map(|port| json!(5000 + port)).collect()
}

pub fn rows() -> Vec<Row> {
    vec![
        bad(
            "target minimum",
            pool("low", &json!({"warm": {"target": -1}})),
            "SandboxPool.sandbar.dev \"low\" is invalid: [spec.warm.target: Invalid value: -1: spec.warm.target in body should be greater than or equal to 0, .spec.warm.target: Invalid value: -1: should be a non-negative integer]",
        ),
        bad(
            "target maximum",
            pool("high", &json!({"warm": {"target": 1001}})),
            "SandboxPool.sandbar.dev \"high\" is invalid: [spec.warm.target: Invalid value: 1001: spec.warm.target in body should be less than or equal to 1000, spec: Invalid value: P8: spec.warm.target: 1001 is more than spec.limits.maxSandboxes (5); lower the one or raise the other]",
        ),
        bad(
            "hitRate maximum",
            pool("sure", &json!({"warm": {"sizing": {"policy": "HitRate", "hitRate": 1.0}}})),
            "SandboxPool.sandbar.dev \"sure\" is invalid: spec.warm.sizing.hitRate: Invalid value: 1: spec.warm.sizing.hitRate in body should be less than or equal to 0.999",
        ),
        bad(
            "maxSandboxes minimum",
            pool("none", &json!({"limits": {"maxSandboxes": 0}, "warm": {"target": 0}})),
            "SandboxPool.sandbar.dev \"none\" is invalid: spec.limits.maxSandboxes: Invalid value: 0: spec.limits.maxSandboxes in body should be greater than or equal to 1",
        ),
        bad(
            "type",
            pool("text", &json!({"warm": {"target": "two"}})),
            "SandboxPool.sandbar.dev \"text\" is invalid: [spec.warm.target: Invalid value: \"string\": spec.warm.target in body must be of type integer: \"string\", .spec.warm.target: Invalid value: 0: .spec.warm.target accessor error: two is of the type string, expected int64, <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]",
        ),
        bad(
            "region enum",
            pool("mars", &json!({"provider": {"digitalOcean": {"region": "mars1"}}})),
            "SandboxPool.sandbar.dev \"mars\" is invalid: [spec.provider.digitalOcean.region: Unsupported value: \"mars1\": supported values: \"ams\", \"atl\", \"blr\", \"fra\", \"lon\", \"nyc\", \"sfo\", \"sgp\", \"syd\", \"tor\", <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]",
        ),
        bad(
            "registry enum",
            pool("quay", &json!({"image": {"registryType": "QUAY"}})),
            "SandboxPool.sandbar.dev \"quay\" is invalid: [spec.image.registryType: Unsupported value: \"QUAY\": supported values: \"GHCR\", \"DOCR\", \"DOCKER_HUB\", <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]",
        ),
        bad(
            "span pattern",
            pool("span", &json!({"claims": {"maxTTL": "1 day"}})),
            "SandboxPool.sandbar.dev \"span\" is invalid: [spec.claims.maxTTL: Invalid value: \"1 day\": spec.claims.maxTTL in body should match '^([0-9]+h)?([0-9]+m)?([0-9]+s)?$', spec.claims: Invalid value: \"object\": type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule: refused by rule P9]",
        ),
        bad(
            "snapshot pattern",
            request("files", &json!({"claim": {"snapshot": {"name": "../x"}}})),
            "Sandbox.sandbar.dev \"files\" is invalid: spec.claim.snapshot.name: Invalid value: \"../x\": spec.claim.snapshot.name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
        ),
        bad(
            "span empty",
            pool("empty", &json!({"claims": {"maxTTL": ""}})),
            "SandboxPool.sandbar.dev \"empty\" is invalid: [spec.claims.maxTTL: Invalid value: \"\": spec.claims.maxTTL in body should be at least 2 chars long, spec.claims: Invalid value: \"object\": type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule: refused by rule P9]",
        ),
        bad(
            "digest pattern",
            pool("digest", &json!({"image": {"tag": null, "digest": format!("sha256:{}", "G".repeat(64))}})),
            "SandboxPool.sandbar.dev \"digest\" is invalid: spec.image.digest: Invalid value: \"sha256:GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG\": spec.image.digest in body should match '^sha256:[0-9a-f]{64}$'",
        ),
        bad(
            "snapshot pattern",
            pool("snapshot", &json!({"snapshot": {"name": "A/B"}})),
            "SandboxPool.sandbar.dev \"snapshot\" is invalid: spec.snapshot.name: Invalid value: \"A/B\": spec.snapshot.name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
        ),
        bad(
            "ports maxItems",
            pool("ports", &json!({"ports": ports(17)})),
            "SandboxPool.sandbar.dev \"ports\" is invalid: [spec.ports: Too many: 17: must have at most 16 items, <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]",
        ),
        bad(
            "ports twice",
            pool("twice", &json!({"ports": [5000, 5000]})),
            "SandboxPool.sandbar.dev \"twice\" is invalid: spec.ports[1]: Duplicate value: 5000",
        ),
        bad(
            "port range",
            pool("port", &json!({"ports": [70000]})),
            "SandboxPool.sandbar.dev \"port\" is invalid: spec.ports[0]: Invalid value: 70000: spec.ports[0] in body should be less than or equal to 65535",
        ),
        bad(
            "env twice",
            pool("env", &json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]})),
            "SandboxPool.sandbar.dev \"env\" is invalid: spec.env[1]: Duplicate value: {\"name\":\"A\"}",
        ),
        bad(
            "env name",
            pool("name", &json!({"env": [{"name": "1A", "value": "1"}]})),
            "SandboxPool.sandbar.dev \"name\" is invalid: spec.env[0].name: Invalid value: \"1A\": spec.env[0].name in body should match '^[A-Za-z_][A-Za-z0-9_]*$'",
        ),
        bad(
            "secret name",
            pool(
                "lead",
                &json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "../../other/secrets/x", "key": "k"}}}]}),
            ),
            "SandboxPool.sandbar.dev \"lead\" is invalid: spec.env[0].valueFrom.secretKeyRef.name: Invalid value: \"../../other/secrets/x\": spec.env[0].valueFrom.secretKeyRef.name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
        ),
        bad(
            "credentials name",
            pool("path", &json!({"provider": {"digitalOcean": {"credentialsRef": {"name": "a/b"}}}})),
            "SandboxPool.sandbar.dev \"path\" is invalid: spec.provider.digitalOcean.credentialsRef.name: Invalid value: \"a/b\": spec.provider.digitalOcean.credentialsRef.name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
        ),
        bad(
            "credentials missing",
            pool("key", &json!({"provider": {"digitalOcean": {"credentialsRef": {"key": null}}}})),
            "SandboxPool.sandbar.dev \"key\" is invalid: [spec.provider.digitalOcean.credentialsRef.key: Required value, <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]",
        ),
        bad(
            "usd type",
            pool("usd", &json!({"budget": {"hourlyUsd": 0.5}})),
            "SandboxPool.sandbar.dev \"usd\" is invalid: [spec.budget.hourlyUsd: Invalid value: \"number\": spec.budget.hourlyUsd in body must be of type string: \"number\", <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]",
        ),
        bad(
            "usd pattern",
            pool("usd", &json!({"budget": {"monthlyUsd": "1e3"}})),
            "SandboxPool.sandbar.dev \"usd\" is invalid: spec.budget.monthlyUsd: Invalid value: \"1e3\": spec.budget.monthlyUsd in body should match '^(0|[1-9][0-9]{0,8})([.][0-9]{1,9})?$'",
        ),
        bad(
            "usd digits",
            pool("rich", &json!({"budget": {"hourlyUsd": "9999999999"}})),
            "SandboxPool.sandbar.dev \"rich\" is invalid: spec.budget.hourlyUsd: Invalid value: \"9999999999\": spec.budget.hourlyUsd in body should match '^(0|[1-9][0-9]{0,8})([.][0-9]{1,9})?$'",
        ),
        bad(
            "claim id",
            request("claim-id", &json!({"claim": {"id": "Not an id"}})),
            "Sandbox.sandbar.dev \"claim-id\" is invalid: spec.claim.id: Invalid value: \"Not an id\": spec.claim.id in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
        ),
        bad(
            "holder missing",
            request("holder", &json!({"claim": {"holder": null}})),
            "Sandbox.sandbar.dev \"holder\" is invalid: [spec.claim.holder: Required value, <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]",
        ),
    ]
}
