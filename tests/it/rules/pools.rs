//! Bad pools.

use super::{Row, bad, change, pool};
use serde_json::{Value, json};

const FORTY_ONE: &str = "a-pool-whose-name-is-far-too-long-for-its";

fn from_secret() -> Value {
    json!({"secretKeyRef": {"name": "keys", "key": "api"}})
}

pub fn rows() -> Vec<Row> {
    let digest = format!("sha256:{}", "a".repeat(64));
    vec![
        bad(
            "P1",
            pool(FORTY_ONE, &json!({})),
            "SandboxPool.sandbar.dev \"a-pool-whose-name-is-far-too-long-for-its\" is invalid: <nil>: Invalid value: P1: metadata.name: a-pool-whose-name-is-far-too-long-for-its has 41 characters; use at most 40, so that the names of members fit",
        ),
        bad(
            "P2",
            pool("p2", &json!({"provider": {"digitalOcean": null}})),
            "SandboxPool.sandbar.dev \"p2\" is invalid: spec.provider: Invalid value: P2: spec.provider: no provider is set; set exactly one, such as digitalOcean",
        ),
        change(
            "P3",
            pool("p3", &json!({})),
            json!({"spec": {"provider": {"digitalOcean": {"region": "fra"}}}}),
            "SandboxPool.sandbar.dev \"p3\" is invalid: spec.provider.digitalOcean.region: Invalid value: \"fra\": P3: spec.provider.digitalOcean.region: fra cannot replace nyc: running sandboxes stay where they are; make another pool for fra",
        ),
        bad(
            "P4",
            pool("p4", &json!({"image": {"digest": digest}})),
            "SandboxPool.sandbar.dev \"p4\" is invalid: spec.image: Invalid value: P4: spec.image: tag 1 and digest sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa are both set; set exactly one",
        ),
        bad(
            "P4",
            pool("p4", &json!({"image": {"tag": null}})),
            "SandboxPool.sandbar.dev \"p4\" is invalid: spec.image: Invalid value: P4: spec.image: neither tag nor digest is set; set exactly one",
        ),
        bad(
            "P5",
            pool("p5", &json!({"image": {"registryType": "DOCR"}})),
            "SandboxPool.sandbar.dev \"p5\" is invalid: spec.image: Invalid value: P5: spec.image.registry: example is set, but DOCR takes it from the account; remove it",
        ),
        bad(
            "P5",
            pool("p5", &json!({"image": {"registry": null}})),
            "SandboxPool.sandbar.dev \"p5\" is invalid: spec.image: Invalid value: P5: spec.image.registry: is not set; GHCR needs the owner of the repository",
        ),
        bad(
            "P6",
            pool("p6", &json!({"env": [{"name": "MODE", "value": "x"}, {"name": "PORT", "value": "1"}]})),
            "SandboxPool.sandbar.dev \"p6\" is invalid: spec.env[1]: Invalid value: P6: spec.env: PORT is the operator's own; use a name that is not PORT and starts neither with SANDBAR_ nor with SANDBOX_",
        ),
        bad(
            "P6",
            pool("p6", &json!({"env": [{"name": "SANDBAR_UID", "value": ""}]})),
            "SandboxPool.sandbar.dev \"p6\" is invalid: spec.env[0]: Invalid value: P6: spec.env: SANDBAR_UID is the operator's own; use a name that is not PORT and starts neither with SANDBAR_ nor with SANDBOX_",
        ),
        bad(
            "P6",
            pool("p6", &json!({"env": [{"name": "SANDBOX_API_TOKEN", "value": ""}]})),
            "SandboxPool.sandbar.dev \"p6\" is invalid: spec.env[0]: Invalid value: P6: spec.env: SANDBOX_API_TOKEN is the operator's own; use a name that is not PORT and starts neither with SANDBAR_ nor with SANDBOX_",
        ),
        bad(
            "P7",
            pool("p7", &json!({"onEmpty": "Fail", "warm": {"activation": "OnFirstClaim"}})),
            "SandboxPool.sandbar.dev \"p7\" is invalid: spec: Invalid value: P7: spec.onEmpty: Fail with spec.warm.activation: OnFirstClaim could never start; use onEmpty: Create or Wait, or activation: Always",
        ),
        bad(
            "P8",
            pool("p8", &json!({"warm": {"target": 6}})),
            "SandboxPool.sandbar.dev \"p8\" is invalid: spec: Invalid value: P8: spec.warm.target: 6 is more than spec.limits.maxSandboxes (5); lower the one or raise the other",
        ),
        change(
            "P8",
            pool("p8", &json!({})),
            json!({"spec": {"limits": {"maxSandboxes": 1}}}),
            "SandboxPool.sandbar.dev \"p8\" is invalid: spec: Invalid value: P8: spec.warm.target: 2 is more than spec.limits.maxSandboxes (1); lower the one or raise the other",
        ),
        bad(
            "P9",
            pool("p9", &json!({"claims": {"maxTTL": "10m"}})),
            "SandboxPool.sandbar.dev \"p9\" is invalid: spec.claims: Invalid value: P9: spec.claims.defaultTTL: 30m is more than spec.claims.maxTTL (10m); lower the one or raise the other",
        ),
        bad(
            "P10",
            pool("p10", &json!({"create": {"backoff": {"initial": "1h"}}})),
            "SandboxPool.sandbar.dev \"p10\" is invalid: spec.create.backoff: Invalid value: P10: spec.create.backoff: initial 1h must be more than 0s and at most max (10m)",
        ),
        bad(
            "P10",
            pool("p10", &json!({"create": {"backoff": {"initial": "0s"}}})),
            "SandboxPool.sandbar.dev \"p10\" is invalid: spec.create.backoff: Invalid value: P10: spec.create.backoff: initial 0s must be more than 0s and at most max (10m)",
        ),
        bad(
            "P11",
            pool("p11", &json!({"create": {"deadline": "0s"}})),
            "SandboxPool.sandbar.dev \"p11\" is invalid: spec.create.deadline: Invalid value: \"0s\": P11: spec.create.deadline: 0s gives no attempt any time; use more than 0s, such as 10m",
        ),
        bad(
            "P12",
            pool("p12", &json!({"claims": {"waitTimeout": "0s"}})),
            "SandboxPool.sandbar.dev \"p12\" is invalid: spec.claims: Invalid value: P12: spec.claims: defaultTTL 30m and waitTimeout 0s must be more than 0s",
        ),
        bad(
            "P13",
            pool("p13", &json!({"warm": {"maxAge": "0s"}})),
            "SandboxPool.sandbar.dev \"p13\" is invalid: spec.warm.maxAge: Invalid value: \"0s\": P13: spec.warm.maxAge: 0s would replace every sandbox at once; use more than 0s, such as 30m, or leave it out",
        ),
        bad(
            "P14",
            pool("p14", &json!({"ports": [5000, 8080]})),
            "SandboxPool.sandbar.dev \"p14\" is invalid: spec.ports[1]: Invalid value: 8080: P14: spec.ports: 8080 is the agent's own port; leave it out",
        ),
        bad(
            "P30",
            pool("p30", &json!({"env": [{"name": "API_KEY", "value": "x", "valueFrom": from_secret()}]})),
            "SandboxPool.sandbar.dev \"p30\" is invalid: spec.env[0]: Invalid value: P30: spec.env: API_KEY has both value and valueFrom; set exactly one",
        ),
        bad(
            "P30",
            pool("p30", &json!({"env": [{"name": "MODE", "value": ""}, {"name": "API_KEY"}]})),
            "SandboxPool.sandbar.dev \"p30\" is invalid: spec.env[1]: Invalid value: P30: spec.env: API_KEY has neither value nor valueFrom; set exactly one",
        ),
        bad(
            "P31",
            pool(
                "p31",
                &json!({"image": {"registryType": "DOCR", "registry": null, "pullSecretRef": {"name": "ghcr", "key": "token"}}}),
            ),
            "SandboxPool.sandbar.dev \"p31\" is invalid: spec.image: Invalid value: P31: spec.image.pullSecretRef: Secret ghcr is named, but DOCR images are pulled with the account's own rights; remove it",
        ),
        bad(
            "P20",
            pool("p20", &json!({"rollout": {"strategy": "Recreate", "maxUnavailable": 2}})),
            "SandboxPool.sandbar.dev \"p20\" is invalid: spec.rollout: Invalid value: P20: spec.rollout.maxUnavailable: 2 is for strategy Rolling; remove it, or set strategy: Rolling instead of Recreate",
        ),
        bad(
            "P21",
            pool("p21", &json!({"warm": {"target": 5}, "rollout": {"strategy": "Rolling", "maxUnavailable": 0}})),
            "SandboxPool.sandbar.dev \"p21\" is invalid: spec: Invalid value: P21: spec.rollout.maxUnavailable: 0 needs a free slot for a stand-in, but spec.warm.target is spec.limits.maxSandboxes (5); use at least 1, or raise the limit",
        ),
        bad(
            "P22",
            pool("p22", &json!({"warm": {"sizing": {"policy": "HitRate"}}})),
            "SandboxPool.sandbar.dev \"p22\" is invalid: spec.warm.sizing: Invalid value: P22: spec.warm.sizing.hitRate: is not set; policy HitRate needs one, such as 0.99",
        ),
        bad(
            "P22",
            pool("p22", &json!({"warm": {"sizing": {"hitRate": 0.9}}})),
            "SandboxPool.sandbar.dev \"p22\" is invalid: spec.warm.sizing: Invalid value: P22: spec.warm.sizing.hitRate: is for policy HitRate; remove it, or set policy: HitRate instead of Fixed",
        ),
        bad(
            "P23",
            pool("p23", &json!({"warm": {"max": 4}})),
            "SandboxPool.sandbar.dev \"p23\" is invalid: spec.warm: Invalid value: P23: spec.warm.max: 4 is for spec.warm.sizing.policy HitRate; remove it, or set that policy instead of Fixed",
        ),
        bad(
            "P24",
            pool("p24", &json!({"warm": {"max": 6, "sizing": {"policy": "HitRate", "hitRate": 0.99}}})),
            "SandboxPool.sandbar.dev \"p24\" is invalid: spec: Invalid value: P24: spec.warm.max: 6 must lie between spec.warm.target (2) and spec.limits.maxSandboxes (5)",
        ),
        bad(
            "P50",
            pool("p50", &json!({"provider": {"digitalOcean": {"mode": "Worker"}}, "ports": [10080]})),
            "SandboxPool.sandbar.dev \"p50\" is invalid: spec: Invalid value: P50: spec.ports: 10080 cannot be reached in spec.provider.digitalOcean.mode Worker, which has no address; remove spec.ports, or use mode: Service",
        ),
        bad(
            "P51",
            pool("p51", &json!({"provider": {"digitalOcean": {"mode": "Worker"}}, "snapshot": {"name": "base"}})),
            "SandboxPool.sandbar.dev \"p51\" is invalid: spec: Invalid value: P51: spec.snapshot.name: base cannot be put into sandboxes of spec.provider.digitalOcean.mode Worker, whose console is too narrow for it; remove spec.snapshot, or use mode: Service",
        ),
        bad(
            "P52",
            pool("p52", &json!({"apps": [{"name": "good", "run": "x"}, {"name": "snake", "run": "x", "port": 8080}]})),
            "SandboxPool.sandbar.dev \"p52\" is invalid: spec.apps[1]: Invalid value: P52: spec.apps[snake].port: 8080 is the agent's; let the app listen on another port, such as 5000",
        ),
        bad(
            "P53",
            pool(
                "p53",
                &json!({"provider": {"digitalOcean": {"mode": "Worker"}}, "apps": [{"name": "snake", "run": "x"}]}),
            ),
            "SandboxPool.sandbar.dev \"p53\" is invalid: spec: Invalid value: P53: spec.apps[snake] cannot be reached in spec.provider.digitalOcean.mode Worker, which has no address; remove spec.apps, or use mode: Service",
        ),
        bad(
            "P40",
            pool("p40", &json!({"budget": {}})),
            "SandboxPool.sandbar.dev \"p40\" is invalid: spec.budget: Invalid value: P40: spec.budget: neither hourlyUsd nor monthlyUsd is set; set one of them, such as hourlyUsd: \"0.5\", or leave budget out",
        ),
        bad(
            "P41",
            pool("p41", &json!({"budget": {"hourlyUsd": "0"}})),
            "SandboxPool.sandbar.dev \"p41\" is invalid: spec.budget.hourlyUsd: Invalid value: \"0\": P41: spec.budget.hourlyUsd: 0 pays for no sandbox; use more than 0, such as \"0.5\", or warm.target: 0 to have none",
        ),
        bad(
            "P42",
            pool("p42", &json!({"budget": {"monthlyUsd": "0.0"}})),
            "SandboxPool.sandbar.dev \"p42\" is invalid: spec.budget.monthlyUsd: Invalid value: \"0.0\": P42: spec.budget.monthlyUsd: 0.0 pays for no sandbox; use more than 0, such as \"40\", or warm.target: 0 to have none",
        ),
    ]
}
