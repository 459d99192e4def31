//! Whether an instance exists: the one place that may say "absent".

use super::facts::{Evidence, GetFact};
use crate::api::InstanceStatus;
use crate::providers::Instance;
use jiff::SignedDuration;

/// What can be said of an instance.
#[derive(Clone, Debug)]
pub enum Existence {
    /// It is there.
    Present(Box<Instance>),
    /// It is proved that it is not there.
    Absent,
    /// An instance that is not ours has the name; so ours cannot exist.
    Foreign,
    /// Neither is proved. Causes no create of another instance and no lifting of a finalizer (S3, S4).
    Unknown,
}

/// Judges the evidence for the attempt of the Sandbox with this UID.
///
/// An instance with our name and without marks is not taken for a foreign one
/// just so: an answer may lack what the instance has. It is one if it was
/// there long before we asked for ours.
pub fn judge(evidence: &Evidence, uid: &str, attempt: &InstanceStatus) -> Existence {
    let id = attempt.id.as_deref();
    if evidence.proved_gone {
        return Existence::Absent;
    }
    match &evidence.got {
        Some(GetFact::Gone) => return Existence::Absent,
        Some(GetFact::Present(instance)) => return Existence::Present(instance.clone()),
        Some(GetFact::Unknown) | None => {}
    }
    if let Some(instance) = &evidence.listed {
        let ours = instance.marks.as_ref().is_some_and(|marks| marks.uid == uid);
        let marked_otherwise = instance.marks.is_some() && !ours;
        if id.is_none() && (marked_otherwise || (!ours && older(instance, attempt))) {
            return Existence::Foreign;
        }
        if id.map_or(ours, |id| id == instance.id) {
            return Existence::Present(Box::new(instance.clone()));
        }
    }
    if let Some(instance) = &evidence.created {
        return Existence::Present(Box::new(instance.clone()));
    }
    // S4: a listing alone proves nothing; without an id the provider must also say that the name is free.
    let name_is_free = evidence.name_free == Some(true);
    if id.is_none() && evidence.listed.is_none() && evidence.unlisted_twice && name_is_free {
        return Existence::Absent;
    }
    Existence::Unknown
}

/// Clocks of provider and API server may differ by so much.
const CLOCKS: SignedDuration = SignedDuration::from_secs(600);

fn older(instance: &Instance, attempt: &InstanceStatus) -> bool {
    instance.created_at.is_some_and(|made| attempt.requested_at.0.duration_since(made) > CLOCKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{InstancePhase, Marks};
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn instance(uid: &str, id: &str) -> Instance {
        Instance {
            id: id.into(),
            name: "sb-x".into(),
            marks: Some(Marks {
                installation: "i".into(),
                namespace: "ns".into(),
                name: "pool-0".into(),
                uid: uid.into(),
                attempt: 1,
                pool_uid: "p".into(),
                spec_hash: "h".into(),
            }),
            phase: InstancePhase::Running,
            deployment_id: None,
            url: None,
            created_at: None,
        }
    }

    fn attempt(id: Option<&str>) -> InstanceStatus {
        InstanceStatus {
            provider: "digitalOcean".into(),
            account: "a".into(),
            installation: "i".into(),
            name: "sb-x".into(),
            attempt: 1,
            requested_at: Time(Timestamp::from_second(10_000).expect("in range")),
            id: id.map(str::to_owned),
            deployment_id: None,
            created_at: None,
            restore_began_at: None,
            restore_turn_at: None,
            ready_at: None,
            failure: None,
        }
    }

    #[test]
    fn a_listing_alone_never_proves_absence_s4() {
        let evidence = Evidence { unlisted_twice: true, listing_is_newer: true, ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(None)), Existence::Unknown));
        assert!(matches!(judge(&evidence, "u", &attempt(Some("id"))), Existence::Unknown));
    }

    #[test]
    fn without_an_id_two_listings_and_a_free_name_prove_absence_s4() {
        let evidence = Evidence { unlisted_twice: true, name_free: Some(true), ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(None)), Existence::Absent));
        let taken = Evidence { name_free: Some(false), ..evidence };
        assert!(matches!(judge(&taken, "u", &attempt(None)), Existence::Unknown));
    }

    #[test]
    fn with_an_id_a_free_name_proves_nothing_s4() {
        let evidence = Evidence { unlisted_twice: true, name_free: Some(true), ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(Some("id"))), Existence::Unknown));
    }

    #[test]
    fn gone_by_id_is_absence_whatever_an_old_listing_shows_s4() {
        let evidence = Evidence { listed: Some(instance("u", "id")), got: Some(GetFact::Gone), ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(Some("id"))), Existence::Absent));
    }

    #[test]
    fn an_unclear_answer_leaves_it_unknown_s3() {
        let evidence = Evidence { got: Some(GetFact::Unknown), ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(Some("id"))), Existence::Unknown));
    }

    #[test]
    fn a_look_alike_is_foreign_s9() {
        let evidence = Evidence { listed: Some(instance("other", "id")), ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(None)), Existence::Foreign));
        let bare = Instance { marks: None, ..instance("u", "id") };
        let evidence = Evidence { listed: Some(bare.clone()), ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(None)), Existence::Unknown), "an answer may lack its marks");
        assert!(matches!(judge(&evidence, "u", &attempt(Some("id"))), Existence::Present(_)), "its id is ours");
        let old = Instance { created_at: Timestamp::from_second(9_000).ok(), ..bare };
        let evidence = Evidence { listed: Some(old), ..Evidence::default() };
        assert!(matches!(judge(&evidence, "u", &attempt(None)), Existence::Foreign), "it was there before we asked");
    }
}
