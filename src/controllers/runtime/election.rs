//! Who leads: the rules of election by a Lease, without any I/O, so that whole
//! hours of rivals, lost replies and pauses are tested in milliseconds.
//!
//! The algorithm is that of client-go. A candidate believes a foreign lease
//! for its whole duration after it last *saw it change*, on its own monotonic
//! clock; wall clocks take no part. A holder believes its own lease for the
//! shorter renew deadline after it *sent* its last successful write. The
//! server cannot have changed the lease before that write was sent, and no
//! rival can have seen the change earlier than that; so the holder stops
//! (duration - deadline) before anybody else can start. Every write is a create
//! or a replace with resourceVersion: of two rivals one gets a conflict.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use std::time::Duration;

/// The periods of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How long a lease holds for others after they last saw it change.
    pub duration: Duration,
    /// How long its holder relies on it after sending a renewal. Shorter than
    /// `duration` by the greatest pause between a check and its write.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry: Duration,
}

impl Default for Timings {
    /// client-go's: 15 s, 10 s, 2 s.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// Why periods cannot work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingsError {
    /// The holder would rely on its lease when others may take it.
    #[error("lease duration {duration:?} must be longer than the renew deadline {deadline:?}")]
    Deadline {
        /// The duration given.
        duration: Duration,
        /// The deadline given.
        deadline: Duration,
    },
    /// One failed try would lose the lease.
    #[error("renew deadline {deadline:?} must be at least twice the retry period {retry:?}, which is above zero")]
    Retry {
        /// The deadline given.
        deadline: Duration,
        /// The period given.
        retry: Duration,
    },
}

impl Timings {
    /// Periods for a lease of this duration, in client-go's proportions.
    pub fn of(duration: Duration) -> Self {
        Self { duration, renew_deadline: duration * 2 / 3, retry: duration * 2 / 15 }
    }

    /// # Errors
    /// When the periods do not keep two holders apart, or give no second try.
    pub fn check(self) -> Result<Self, TimingsError> {
        let Self { duration, renew_deadline: deadline, retry } = self;
        if duration <= deadline {
            return Err(TimingsError::Deadline { duration, deadline });
        }
        if retry.is_zero() || deadline < retry * 2 {
            return Err(TimingsError::Retry { deadline, retry });
        }
        Ok(self)
    }

    /// How long one request may take: so short that a hung one leaves time
    /// for another within the deadline.
    pub fn attempt_timeout(self) -> Duration {
        self.renew_deadline / 2
    }
}

/// What a candidate does next.
#[derive(Debug)]
pub enum Next {
    /// Read the lease and report to [`Election::read`].
    Read,
    /// Create this lease and report to [`Election::written`].
    Create(Box<Lease>),
    /// Replace the lease by this one and report to [`Election::written`].
    Replace(Box<Lease>),
    /// Nothing for so long.
    Wait(Duration),
    /// It held the lease and can no longer rely on it. Final.
    Lost,
}

/// One candidate's view of one lease. All `now` are readings of one monotonic
/// clock that does not stand still while the process is stopped.
#[derive(Debug)]
pub struct Election {
    identity: String,
    timings: Timings,
    known: Known,
    not_before: Duration,
    sent: Duration,
    valid_until: Option<Duration>,
    lost: bool,
}

#[derive(Debug)]
struct Known {
    lease: Option<Lease>,
    /// When `lease` was first seen as it is.
    since: Duration,
    /// Whether a decision may be taken on it without reading again.
    fresh: bool,
}

impl Election {
    /// A candidate that knows nothing yet. No two processes may share an
    /// identity.
    pub fn new(identity: String, timings: Timings) -> Self {
        let known = Known { lease: None, since: Duration::ZERO, fresh: false };
        let zero = Duration::ZERO;
        Self { identity, timings, known, not_before: zero, sent: zero, valid_until: None, lost: false }
    }

    /// Until when it holds the lease; none = it never did, or lost it.
    pub fn valid_until(&self) -> Option<Duration> {
        if self.lost { None } else { self.valid_until }
    }

    /// Who held the lease when it was last seen; none = nobody.
    pub fn holder(&self) -> Option<&str> {
        self.known.lease.as_ref().and_then(holder)
    }

    /// What to do now. `wall` is only shown to people, in the lease.
    pub fn next(&mut self, now: Duration, wall: Timestamp) -> Next {
        if self.lost || self.valid_until.is_some_and(|until| now >= until) {
            self.lost = true;
            return Next::Lost;
        }
        if now < self.not_before {
            let until = self.valid_until.map_or(self.not_before, |until| until.min(self.not_before));
            return Next::Wait(until - now);
        }
        if !self.known.fresh {
            return Next::Read;
        }
        // Measured before the request leaves: see the module's text.
        self.sent = now;
        self.known.fresh = false;
        match &self.known.lease {
            None => Next::Create(Box::new(self.taken(None, wall))),
            Some(lease) => Next::Replace(Box::new(self.taken(Some(lease), wall))),
        }
    }

    /// Takes note of what a read gave: the lease, its absence, or `Err` when
    /// the read gave nothing certain.
    pub fn read(&mut self, result: Result<Option<Lease>, ()>, now: Duration) {
        let Ok(lease) = result else {
            self.not_before = now + self.timings.retry;
            return;
        };
        if version(lease.as_ref()) != version(self.known.lease.as_ref()) || self.known.lease.is_none() {
            self.known.since = now;
        }
        self.known.lease = lease;
        let mine = self.holder() == Some(self.identity.as_str());
        if self.valid_until.is_some() && !mine {
            self.lost = true;
            return;
        }
        let free = mine || self.holder().is_none() || now >= self.known.since + self.foreign_duration();
        self.known.fresh = free;
        if !free {
            self.not_before = now + self.timings.retry;
        }
    }

    /// Takes note of what the last write gave: the lease as stored, or `Err`
    /// when it was refused or its outcome is unknown.
    pub fn written(&mut self, result: Result<Lease, ()>, now: Duration) {
        if let Ok(lease) = result {
            self.known = Known { lease: Some(lease), since: now, fresh: true };
            self.valid_until = Some(self.sent + self.timings.renew_deadline);
            self.not_before = self.sent + self.timings.retry;
        } else {
            self.not_before = now + self.timings.retry;
        }
    }

    /// Gives the lease up at once. What to replace it by so that a rival need
    /// not wait; none = not the holder.
    pub fn release(&mut self, now: Duration, wall: Timestamp) -> Option<Lease> {
        let held = self.valid_until().is_some_and(|until| now < until);
        self.lost = true;
        let mut lease = self.known.lease.clone().filter(|_| held)?;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(wall));
        Some(lease)
    }

    /// The holder's own duration if it is longer than ours.
    fn foreign_duration(&self) -> Duration {
        let spec = self.known.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        Duration::from_secs(seconds.unwrap_or(0)).max(self.timings.duration)
    }

    fn taken(&self, old: Option<&Lease>, wall: Timestamp) -> Lease {
        let mut lease = old.cloned().unwrap_or_else(|| Lease { metadata: ObjectMeta::default(), spec: None });
        let renewal = holder(&lease) == Some(self.identity.as_str());
        let spec = lease.spec.get_or_insert_default();
        let transitions = spec.lease_transitions.unwrap_or(0);
        let acquired = if renewal { spec.acquire_time.clone() } else { None };
        *spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(whole_seconds(self.timings.duration)),
            acquire_time: Some(acquired.unwrap_or(MicroTime(wall))),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(if renewal || old.is_none() { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        };
        lease
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

fn version(lease: Option<&Lease>) -> Option<(&str, &str)> {
    let meta = &lease?.metadata;
    Some((meta.uid.as_deref()?, meta.resource_version.as_deref()?))
}

/// Rounded up: the field has whole seconds, and a rival must wait no less.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
