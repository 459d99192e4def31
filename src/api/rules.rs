//! What the API server refuses, as CEL rules: one table, each rule with an id
//! that tests name, and a message that says the field, the value, and what
//! would be right.

/// The kind that a rule belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SandboxPool.
    Pool,
    /// Sandbox.
    Sandbox,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its id, in test names and messages.
    pub id: &'static str,
    /// The kind whose schema it stands in.
    pub kind: Kind,
    /// Where in the schema, as property names; `[]` steps into a list's items. Empty = the object itself.
    pub path: &'static [&'static str],
    /// The CEL expression that must hold.
    pub holds: &'static str,
    /// CEL expression of the message when it does not.
    pub message: &'static str,
}

/// CEL for one decimal digit of a number; "" above its first one.
macro_rules! digit {
    ($number:literal, $unit:literal) => {
        concat!(
            "(",
            $number,
            " >= ",
            $unit,
            " ? '0123456789'.substring(",
            $number,
            " / ",
            $unit,
            " % 10, ",
            $number,
            " / ",
            $unit,
            " % 10 + 1) : '')"
        )
    };
}

/// CEL for a number in 0–9999 as text. `string()` would do, but the API server
/// takes its result to be of any length and refuses the cost.
macro_rules! number {
    ($number:literal) => {
        concat!(
            "(",
            $number,
            " == 0 ? '0' : ",
            digit!($number, "1000"),
            " + ",
            digit!($number, "100"),
            " + ",
            digit!($number, "10"),
            " + ",
            digit!($number, "1"),
            ")"
        )
    };
}

const fn pool(id: &'static str, path: &'static [&'static str], holds: &'static str, message: &'static str) -> Rule {
    Rule { id, kind: Kind::Pool, path, holds, message }
}

const fn sandbox(id: &'static str, path: &'static [&'static str], holds: &'static str, message: &'static str) -> Rule {
    Rule { id, kind: Kind::Sandbox, path, holds, message }
}

/// Every rule of the API.
pub const RULES: &[Rule] = &[
    pool(
        "P1",
        &[],
        "self.metadata.name.size() <= 40",
        concat!(
            "'P1: metadata.name: ' + self.metadata.name + ' has ' + ",
            number!("self.metadata.name.size()"),
            " + ' characters; use at most 40, so that the names of members fit'"
        ),
    ),
    pool(
        "P2",
        &["spec", "provider"],
        "has(self.digitalOcean)",
        "'P2: spec.provider: no provider is set; set exactly one, such as digitalOcean'",
    ),
    pool(
        "P3",
        &["spec", "provider", "digitalOcean", "region"],
        "self == oldSelf",
        "'P3: spec.provider.digitalOcean.region: ' + self + ' cannot replace ' + oldSelf + ': running sandboxes stay where they are; make another pool for ' + self",
    ),
    pool(
        "P4",
        &["spec", "image"],
        "has(self.tag) != has(self.digest)",
        "'P4: spec.image: ' + (has(self.tag) ? 'tag ' + self.tag + ' and digest ' + self.digest + ' are both set' : 'neither tag nor digest is set') + '; set exactly one'",
    ),
    pool(
        "P5",
        &["spec", "image"],
        "(self.registryType == 'DOCR') != has(self.registry)",
        "'P5: spec.image.registry: ' + (has(self.registry) ? self.registry + ' is set, but DOCR takes it from the account; remove it' : 'is not set; ' + self.registryType + ' needs the owner of the repository')",
    ),
    pool(
        "P6",
        &["spec", "env", "[]"],
        "self.name != 'PORT' && !self.name.startsWith('SANDBAR_') && !self.name.startsWith('SANDBOX_')",
        "'P6: spec.env: ' + self.name + ' is the operator\\'s own; use a name that is not PORT and starts neither with SANDBAR_ nor with SANDBOX_'",
    ),
    pool(
        "P7",
        &["spec"],
        "!(self.onEmpty == 'Fail' && self.warm.activation == 'OnFirstClaim')",
        "'P7: spec.onEmpty: Fail with spec.warm.activation: OnFirstClaim could never start; use onEmpty: Create or Wait, or activation: Always'",
    ),
    pool(
        "P8",
        &["spec"],
        "self.warm.target <= self.limits.maxSandboxes",
        concat!(
            "'P8: spec.warm.target: ' + ",
            number!("self.warm.target"),
            " + ' is more than spec.limits.maxSandboxes (' + ",
            number!("self.limits.maxSandboxes"),
            " + '); lower the one or raise the other'"
        ),
    ),
    pool(
        "P9",
        &["spec", "claims"],
        "duration(self.defaultTTL) <= duration(self.maxTTL)",
        "'P9: spec.claims.defaultTTL: ' + self.defaultTTL + ' is more than spec.claims.maxTTL (' + self.maxTTL + '); lower the one or raise the other'",
    ),
    pool(
        "P10",
        &["spec", "create", "backoff"],
        "duration('0s') < duration(self.initial) && duration(self.initial) <= duration(self.max)",
        "'P10: spec.create.backoff: initial ' + self.initial + ' must be more than 0s and at most max (' + self.max + ')'",
    ),
    pool(
        "P11",
        &["spec", "create", "deadline"],
        "duration(self) > duration('0s')",
        "'P11: spec.create.deadline: ' + self + ' gives no attempt any time; use more than 0s, such as 10m'",
    ),
    pool(
        "P12",
        &["spec", "claims"],
        "duration(self.defaultTTL) > duration('0s') && duration(self.waitTimeout) > duration('0s')",
        "'P12: spec.claims: defaultTTL ' + self.defaultTTL + ' and waitTimeout ' + self.waitTimeout + ' must be more than 0s'",
    ),
    pool(
        "P13",
        &["spec", "warm", "maxAge"],
        "duration(self) > duration('0s')",
        "'P13: spec.warm.maxAge: ' + self + ' would replace every sandbox at once; use more than 0s, such as 30m, or leave it out'",
    ),
    pool(
        "P14",
        &["spec", "ports", "[]"],
        "self != 8080",
        "'P14: spec.ports: 8080 is the agent\\'s own port; leave it out'",
    ),
    pool(
        "P30",
        &["spec", "env", "[]"],
        "has(self.value) != has(self.valueFrom)",
        "'P30: spec.env: ' + self.name + (has(self.value) ? ' has both value and valueFrom' : ' has neither value nor valueFrom') + '; set exactly one'",
    ),
    pool(
        "P31",
        &["spec", "image"],
        "self.registryType != 'DOCR' || !has(self.pullSecretRef)",
        "'P31: spec.image.pullSecretRef: Secret ' + self.pullSecretRef.name + ' is named, but DOCR images are pulled with the account\\'s own rights; remove it'",
    ),
    pool(
        "P20",
        &["spec", "rollout"],
        "self.strategy == 'Rolling' || !has(self.maxUnavailable)",
        concat!(
            "'P20: spec.rollout.maxUnavailable: ' + ",
            number!("self.maxUnavailable"),
            " + ' is for strategy Rolling; remove it, or set strategy: Rolling instead of ' + self.strategy"
        ),
    ),
    pool(
        "P21",
        &["spec"],
        "!has(self.rollout.maxUnavailable) || self.rollout.maxUnavailable > 0 || self.warm.target < self.limits.maxSandboxes",
        concat!(
            "'P21: spec.rollout.maxUnavailable: 0 needs a free slot for a stand-in, but spec.warm.target is spec.limits.maxSandboxes (' + ",
            number!("self.limits.maxSandboxes"),
            " + '); use at least 1, or raise the limit'"
        ),
    ),
    pool(
        "P22",
        &["spec", "warm", "sizing"],
        "(self.policy == 'HitRate') == has(self.hitRate)",
        "'P22: spec.warm.sizing.hitRate: ' + (has(self.hitRate) ? 'is for policy HitRate; remove it, or set policy: HitRate instead of ' + self.policy : 'is not set; policy HitRate needs one, such as 0.99')",
    ),
    pool(
        "P23",
        &["spec", "warm"],
        "!has(self.max) || self.sizing.policy == 'HitRate'",
        concat!(
            "'P23: spec.warm.max: ' + ",
            number!("self.max"),
            " + ' is for spec.warm.sizing.policy HitRate; remove it, or set that policy instead of ' + self.sizing.policy"
        ),
    ),
    pool(
        "P24",
        &["spec"],
        "!has(self.warm.max) || (self.warm.target <= self.warm.max && self.warm.max <= self.limits.maxSandboxes)",
        concat!(
            "'P24: spec.warm.max: ' + ",
            number!("self.warm.max"),
            " + ' must lie between spec.warm.target (' + ",
            number!("self.warm.target"),
            " + ') and spec.limits.maxSandboxes (' + ",
            number!("self.limits.maxSandboxes"),
            " + ')'"
        ),
    ),
    pool(
        "P50",
        &["spec"],
        "!has(self.provider.digitalOcean) || !has(self.provider.digitalOcean.mode) || self.provider.digitalOcean.mode != 'Worker' || !has(self.ports) || self.ports.size() == 0",
        concat!(
            "'P50: spec.ports: ' + ",
            digit!("self.ports[0]", "10000"),
            " + ",
            number!("self.ports[0]"),
            " + ' cannot be reached in spec.provider.digitalOcean.mode Worker, which has no address; remove spec.ports, or use mode: Service'"
        ),
    ),
    pool(
        "P51",
        &["spec"],
        "!has(self.provider.digitalOcean) || !has(self.provider.digitalOcean.mode) || self.provider.digitalOcean.mode != 'Worker' || !has(self.snapshot)",
        "'P51: spec.snapshot.name: ' + self.snapshot.name + ' cannot be put into sandboxes of spec.provider.digitalOcean.mode Worker, whose console is too narrow for it; remove spec.snapshot, or use mode: Service'",
    ),
    pool(
        "P52",
        &["spec", "apps", "[]"],
        "self.port != 8080",
        "'P52: spec.apps[' + self.name + '].port: 8080 is the agent\\'s; let the app listen on another port, such as 5000'",
    ),
    pool(
        "P53",
        &["spec"],
        "!has(self.provider.digitalOcean) || !has(self.provider.digitalOcean.mode) || self.provider.digitalOcean.mode != 'Worker' || !has(self.apps) || self.apps.size() == 0",
        "'P53: spec.apps[' + self.apps[0].name + '] cannot be reached in spec.provider.digitalOcean.mode Worker, which has no address; remove spec.apps, or use mode: Service'",
    ),
    pool(
        "P40",
        &["spec", "budget"],
        "has(self.hourlyUsd) || has(self.monthlyUsd)",
        "'P40: spec.budget: neither hourlyUsd nor monthlyUsd is set; set one of them, such as hourlyUsd: \"0.5\", or leave budget out'",
    ),
    pool(
        "P41",
        &["spec", "budget", "hourlyUsd"],
        "double(self) > 0.0",
        "'P41: spec.budget.hourlyUsd: ' + self + ' pays for no sandbox; use more than 0, such as \"0.5\", or warm.target: 0 to have none'",
    ),
    pool(
        "P42",
        &["spec", "budget", "monthlyUsd"],
        "double(self) > 0.0",
        "'P42: spec.budget.monthlyUsd: ' + self + ' pays for no sandbox; use more than 0, such as \"40\", or warm.target: 0 to have none'",
    ),
    sandbox(
        "B1",
        &["spec"],
        "has(self.slot) == has(self.template)",
        "'B1: spec: ' + (has(self.slot) ? 'slot' : 'template') + ' is set alone; only the operator makes members, with both; ask for a sandbox with spec.claim'",
    ),
    sandbox(
        "B2",
        &["spec"],
        "has(self.slot) || has(self.claim)",
        "'B2: spec.claim: is not set; a request for a sandbox of pool ' + self.poolRef.name + ' needs id and holder'",
    ),
    sandbox(
        "B3",
        &[],
        "!has(self.spec.slot) || (self.metadata.name.matches('-(0|[1-9][0-9]{0,2})$') && self.metadata.name.startsWith(self.spec.poolRef.name + '-') && int(self.metadata.name.substring(self.spec.poolRef.name.size() + 1)) == self.spec.slot)",
        concat!(
            "'B3: metadata.name: ' + self.metadata.name + ' is not the name of this slot; it must be ' + self.spec.poolRef.name + '-' + ",
            number!("self.spec.slot")
        ),
    ),
    sandbox(
        "B4",
        &["spec", "poolRef"],
        "self == oldSelf",
        "'B4: spec.poolRef.name: ' + self.name + ' cannot replace ' + oldSelf.name + '; make another Sandbox'",
    ),
    sandbox(
        "B5",
        &["spec"],
        "has(self.slot) == has(oldSelf.slot) && (!has(self.slot) || self.slot == oldSelf.slot)",
        concat!(
            "'B5: spec.slot: cannot be changed; it was ' + (has(oldSelf.slot) ? ",
            number!("oldSelf.slot"),
            " : 'not set')"
        ),
    ),
    sandbox(
        "B6",
        &["spec"],
        "!has(self.template) || !has(oldSelf.template) || self.template == oldSelf.template",
        "'B6: spec.template: cannot be changed; edit the pool ' + self.poolRef.name + ' and new members will follow'",
    ),
    sandbox(
        "B7",
        &["spec"],
        "!has(oldSelf.claim) || (has(self.claim) && self.claim.id == oldSelf.claim.id && self.claim.holder == oldSelf.claim.holder && has(self.claim.__for__) == has(oldSelf.claim.__for__) && (!has(self.claim.__for__) || self.claim.__for__ == oldSelf.claim.__for__) && has(self.claim.snapshot) == has(oldSelf.claim.snapshot) && (!has(self.claim.snapshot) || self.claim.snapshot == oldSelf.claim.snapshot) && has(self.claim.app) == has(oldSelf.claim.app) && (!has(self.claim.app) || self.claim.app == oldSelf.claim.app))",
        "'B7: spec.claim: held by claim ' + oldSelf.claim.id + ' and never moved or taken away (id, holder, for, snapshot and app stay); end it by deleting the Sandbox, or claim another one'",
    ),
    sandbox(
        "B8",
        &["spec"],
        "!has(oldSelf.claim) || !has(self.claim) || !has(oldSelf.claim.ttl) || (has(self.claim.ttl) && duration(self.claim.ttl) >= duration(oldSelf.claim.ttl))",
        "'B8: spec.claim.ttl: ' + (has(self.claim.ttl) ? self.claim.ttl : 'nothing') + ' is less than ' + oldSelf.claim.ttl + '; a claim can only be extended; delete the Sandbox to end it'",
    ),
    sandbox(
        "B9",
        &["spec"],
        "!has(self.claim) || !has(self.template) || !has(self.claim.ttl) || duration(self.claim.ttl) <= duration(self.template.claims.maxTTL)",
        "'B9: spec.claim.ttl: ' + self.claim.ttl + ' is more than the pool\\'s claims.maxTTL (' + self.template.claims.maxTTL + '); ask for at most that'",
    ),
    sandbox(
        "B10",
        &["spec"],
        "!has(self.slot) || !has(self.claim) || has(self.claim.ttl)",
        "'B10: spec.claim.ttl: is not set; a claim on a member says how long, such as 30m'",
    ),
    sandbox(
        "B11",
        &[],
        "!has(self.spec.slot) || !has(self.spec.claim) || has(oldSelf.spec.claim) || !has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['Pending', 'Creating', 'Booting', 'Warm']",
        "'B11: spec.claim: ' + self.metadata.name + ' is ' + oldSelf.status.phase + ' and cannot be claimed any more; claim another one'",
    ),
    sandbox(
        "B12",
        &["spec"],
        "!has(self.claim) || (has(self.slot) ? !has(self.claim.keepEnded) : !has(self.claim.__for__))",
        "'B12: spec.claim.' + (has(self.slot) ? 'keepEnded: is for requests' : 'for: is for members') + ' only; remove it'",
    ),
    sandbox(
        "B13",
        &["spec", "claim"],
        "!has(self.ttl) || duration(self.ttl) > duration('0s')",
        "'B13: spec.claim.ttl: ' + self.ttl + ' ends at once; use more than 0s, such as 30m'",
    ),
    sandbox(
        "B14",
        &["spec"],
        "!has(self.operatingMode) || self.operatingMode == 'Running' || (has(self.slot) && has(self.claim))",
        "'B14: spec.operatingMode: Hibernated is for a sandbox that somebody holds; ' + (has(self.slot) ? 'claim it first' : 'set it on the sandbox in status.boundTo of this request')",
    ),
    sandbox(
        "B50",
        &["spec"],
        "!has(self.operatingMode) || self.operatingMode == 'Running' || !has(self.template) || !has(self.template.provider.digitalOcean) || !has(self.template.provider.digitalOcean.mode) || self.template.provider.digitalOcean.mode != 'Worker'",
        "'B50: spec.operatingMode: Hibernated needs an agent that keeps the files, and sandboxes of pool ' + self.poolRef.name + ' are in mode Worker, which has none that can be reached; copy the files out with sandbar cp and release it, or use a pool in mode Service'",
    ),
    sandbox(
        "B51",
        &["spec"],
        "!has(self.claim) || !has(self.claim.snapshot) || !has(self.template) || !has(self.template.provider.digitalOcean) || !has(self.template.provider.digitalOcean.mode) || self.template.provider.digitalOcean.mode != 'Worker'",
        "'B51: spec.claim.snapshot.name: ' + self.claim.snapshot.name + ' cannot be put into sandboxes of pool ' + self.poolRef.name + ', which are in mode Worker, whose console is too narrow for it; leave snapshot out, or use a pool in mode Service'",
    ),
    sandbox(
        "B52",
        &["spec"],
        "!has(self.slot) || !has(self.claim) || !has(self.claim.snapshot) || has(self.claim.__for__)",
        "'B52: spec.claim.snapshot.name: ' + self.claim.snapshot.name + ' cannot be asked for by a claim on a warm sandbox, which is Ready before its files would be there; ask with a request: a Sandbox with poolRef ' + self.poolRef.name + ' and this claim'",
    ),
    sandbox(
        "B53",
        &["spec"],
        "!has(self.claim) || !has(self.claim.app) || !has(self.template) || !has(self.template.provider.digitalOcean) || !has(self.template.provider.digitalOcean.mode) || self.template.provider.digitalOcean.mode != 'Worker'",
        "'B53: spec.claim.app.name: ' + self.claim.app.name + ' cannot be launched in sandboxes of pool ' + self.poolRef.name + ', which are in mode Worker and have no address; leave app out, or use a pool in mode Service'",
    ),
];
