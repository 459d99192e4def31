//! How a changed template reaches the warm sandboxes.

use super::{ClaimPolicy, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How warm sandboxes of an older template are replaced. Claimed ones never are (S7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    /// Which ones, and when.
    pub strategy: RolloutStrategy,
    /// Rolling: so many warm sandboxes may be missing from the level while no slot is free for a
    /// stand-in; absent = 1. With a free slot the stand-in is warm before the old one goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_unavailable: Option<i32>,
}

impl Rollout {
    /// So many may be missing from the level.
    pub fn unavailable(&self) -> usize {
        usize::try_from(self.max_unavailable.unwrap_or(1)).unwrap_or_default()
    }
}

/// When a warm sandbox of an older template goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RolloutStrategy {
    /// When it is claimed, or too old, or too many: only new ones follow the new template.
    #[default]
    OnReplenish,
    /// At once, all of them: for a template that must not be handed out any more.
    Recreate,
    /// One after the other, as their stand-ins become warm; not while sandboxes fail.
    Rolling,
}

impl Template {
    /// Whether a member with this copy is what a member made from `new` would be. How it came to be
    /// (attempts, back-off, which generation) makes no difference to who claims it.
    pub fn is_like(&self, new: &Self) -> bool {
        let as_made_now = Self {
            pool_uid: new.pool_uid.clone(),
            pool_generation: new.pool_generation,
            create: new.create.clone(),
            // Of the limits only the longest claim is read from the member.
            claims: ClaimPolicy { max_ttl: self.claims.max_ttl, ..new.claims.clone() },
            ..self.clone()
        };
        as_made_now == *new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{EnvVar, SnapshotRef, Span, fixture};

    fn template() -> Template {
        Template {
            pool_uid: "pool".into(),
            pool_generation: 1,
            provider: fixture::provider(),
            image: fixture::image(),
            env: vec![],
            ports: vec![],
            snapshot: None,
            create: Default::default(),
            claims: Default::default(),
        }
    }

    #[test]
    fn what_a_claimer_could_notice_makes_a_member_outdated() {
        let old = template();
        let mut image = template();
        image.image.tag = Some("2".into());
        let variable = EnvVar { name: "A".into(), value: Some("1".into()), value_from: None };
        let env = Template { env: vec![variable], ..template() };
        let ports = Template { ports: vec![5000], ..template() };
        let files = Template { snapshot: Some(SnapshotRef { name: "base".into() }), ..template() };
        let claims = Template { claims: ClaimPolicy { max_ttl: Span::hours(48), ..Default::default() }, ..template() };
        for new in [image, env, ports, files, claims] {
            assert!(!old.is_like(&new), "{new:?}");
        }
    }

    #[test]
    fn what_nobody_could_notice_does_not() {
        let mut new = Template { pool_generation: 7, ..template() };
        new.create.max_attempts = 9;
        new.claims.wait_timeout = Span::minutes(9);
        new.claims.default_ttl = Span::minutes(9);
        assert!(template().is_like(&new));
    }

    #[test]
    fn one_may_be_missing_where_nothing_is_said() {
        assert_eq!(Rollout::default().unavailable(), 1);
        assert_eq!(Rollout { max_unavailable: Some(0), ..Rollout::default() }.unavailable(), 0);
    }
}
