//! The invariants, over what was seen and what the cloud's books say.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sandbar::api::conditions::whole_second;
use sandbar::cloudsim::admin::{Call, Entry, Ledger, Op, State};
use sandbar::providers::instance_name;

use super::book::{Book, Member};
use super::{Leeway, Summary};

/// Times in objects have whole seconds.
const WHOLE_SECOND: SignedDuration = SignedDuration::from_secs(1);
/// As near as the operator knows the API server's clock, soon after its start.
const CLOCK: SignedDuration = SignedDuration::from_millis(500);
/// A changed limit reaches the operator and the watcher at different times, and a create is on its way for a while.
const LIMIT_MOVES: SignedDuration = SignedDuration::from_secs(15);

fn mark<'a>(app: &'a Entry, key: &str) -> &'a str {
    app.marks.get(key).map_or("", String::as_str)
}

fn attempt(app: &Entry) -> i64 {
    mark(app, "SANDBAR_ATTEMPT").parse().unwrap_or_default()
}

/// S7: a claimed member's deletion was taken only after its time, or because its holder or owner said so.
pub fn deleted(book: &mut Book, member: &Member) {
    let (Some(claim), Some(deleted)) = (&member.claim, member.deleted) else { return };
    let word = book.all_told || book.told.contains(&member.name) || book.told.contains(&claim.id);
    let request = claim.request.as_ref().and_then(|uid| book.requests.get(uid));
    let request_over = claim.request.is_some() && request.is_none_or(|request| request.over || request.gone);
    // What must be true of the instance then is judged when the member is gone (S4).
    let lost = member.failed;
    let lasted = deleted.duration_since(claim.since);
    // The claim is stamped with the whole second before, and so is the deletion.
    let due = whole_second(claim.since - CLOCK) + claim.ttl - WHOLE_SECOND;
    if !(word || request_over || lost || deleted >= due) {
        let name = &member.name;
        let line = format!("S7: {name} was deleted {lasted:#} after its claim {} of {:#}", claim.id, claim.ttl);
        book.doubts.push((member.pool.clone(), line));
    }
}

/// S4: when a member is gone, every app that was made for it is gone.
pub fn gone(book: &mut Book, uid: &str, ledger: &Ledger) {
    let Some(member) = book.members.get(uid) else { return };
    if member.abandoned {
        return;
    }
    let seen = member.gone.unwrap_or(Timestamp::MAX);
    let left = |app: &&Entry| mark(app, "SANDBAR_UID") == uid && app.gone.is_none_or(|gone| gone > seen);
    let lines: Vec<String> = ledger
        .apps
        .iter()
        .filter(left)
        // A request in the network may make one after the end: the whole time-line is judged for that.
        .filter(|app| app.created <= seen)
        .map(|app| format!("S4: {} was let go at {seen} while its app {} existed: {app:?}", member.name, app.name))
        .collect();
    book.broken.extend(lines);
}

/// Everything that only the whole time-line tells.
pub fn whole(
    book: &Book,
    ledger: &Ledger,
    calls: &[Call],
    installation: &str,
    leeway: Leeway,
    broken: &mut Vec<String>,
) -> Summary {
    let (ours, others): (Vec<&Entry>, Vec<&Entry>) = ledger.apps.iter().partition(|app| is_ours(app, installation));
    let kept = |pool: &str| !book.pools.get(pool).is_some_and(|pool| pool.ends_claims);
    broken.extend(book.doubts.iter().filter(|(pool, _)| kept(pool)).map(|(_, line)| line.clone()));
    made_for_members(book, &ours, leeway, broken);
    one_at_a_time(&ours, broken);
    asleep(book, &ours, broken);
    let peak = inside_limits(book, &ours, leeway, broken);
    let foreign = untouched(book, &others, calls, broken);
    Summary {
        events: book.events,
        members: book.members.len(),
        claims: book.members.values().filter(|member| member.claim.is_some()).count(),
        ends: book.members.values().filter(|member| member.gone.is_some()).count(),
        apps: ours.len(),
        peak,
        foreign,
    }
}

/// Ours is what carries our marks under the name that follows from them.
fn is_ours(app: &Entry, installation: &str) -> bool {
    let number = i32::try_from(attempt(app)).unwrap_or_default();
    mark(app, "SANDBAR_INSTALLATION") == installation
        && app.name == instance_name(installation, mark(app, "SANDBAR_UID"), number)
}

/// S2: for a member that was there, with its finalizer, and under an attempt that was written.
fn made_for_members(book: &Book, ours: &[&Entry], leeway: Leeway, broken: &mut Vec<String>) {
    let mut late = 0;
    for app in ours {
        let Some(member) = book.members.get(mark(app, "SANDBAR_UID")) else {
            broken.push(format!("S2: {} was made for a Sandbox that never was: {app:?}", app.name));
            continue;
        };
        if !member.finalized || app.created + WHOLE_SECOND < member.created {
            broken.push(format!("S2: {} was made before {} had its finalizer", app.name, member.name));
        }
        if member.attempts.get(&attempt(app)) != Some(&app.name) {
            let (name, known) = (&member.name, &member.attempts);
            broken.push(format!("S2: {} was made without a written attempt of {name}: {known:?}", app.name));
        }
        late += usize::from(member.gone.is_some_and(|gone| app.created > gone));
    }
    if late > leeway.in_network {
        broken.push(format!("S2: {late} apps were made after their Sandbox was gone, {} may be", leeway.in_network));
    }
}

/// S1: no two apps of one member at once, and one app for an attempt.
fn one_at_a_time(ours: &[&Entry], broken: &mut Vec<String>) {
    let mut by_member: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for app in ours {
        by_member.entry(mark(app, "SANDBAR_UID")).or_default().push(app);
    }
    for apps in by_member.values_mut() {
        apps.sort_by_key(|app| app.created);
        for pair in apps.windows(2) {
            if pair[0].gone.is_none_or(|gone| gone > pair[1].created) {
                broken.push(format!("S1: two apps of one Sandbox at once: {pair:#?}"));
            }
            if attempt(pair[0]) == attempt(pair[1]) {
                broken.push(format!("S1: two apps of one attempt: {pair:#?}"));
            }
        }
    }
}

/// S4: who is said to sleep has no app of the attempts until then.
fn asleep(book: &Book, ours: &[&Entry], broken: &mut Vec<String>) {
    for app in ours {
        let Some(member) = book.members.get(mark(app, "SANDBAR_UID")) else { continue };
        let during = |(seen, ended): &&(Timestamp, i64)| {
            attempt(app) <= *ended && app.created <= *seen && app.gone.is_none_or(|gone| gone > *seen)
        };
        if let Some((seen, _)) = member.sleeps.iter().find(during) {
            broken.push(format!("S4: {} slept at {seen} while its app {} existed: {app:?}", member.name, app.name));
        }
    }
}

/// S5: no create brought a pool's apps above the limit of that time. Gives the most of one pool at once.
fn inside_limits(book: &Book, ours: &[&Entry], leeway: Leeway, broken: &mut Vec<String>) -> usize {
    let mut peak = 0;
    for app in ours {
        let pool = mark(app, "SANDBAR_POOL_UID");
        let exists = |other: &&&Entry| {
            mark(other, "SANDBAR_POOL_UID") == pool
                && other.created <= app.created
                && other.gone.is_none_or(|gone| gone > app.created)
        };
        let at_once = ours.iter().filter(exists).count();
        peak = peak.max(at_once);
        let Some(known) = book.pools.get(pool) else {
            broken.push(format!("S5: {} is of a pool that never was", app.name));
            continue;
        };
        let limit = limit_around(&known.limits, app.created);
        if at_once > limit + leeway.in_network {
            let (name, when) = (&known.name, app.created);
            broken.push(format!("S5: {at_once} apps of pool {name} at {when}, {limit} allowed"));
        }
    }
    peak
}

/// The highest limit that held around a moment.
fn limit_around(limits: &[(Timestamp, usize)], moment: Timestamp) -> usize {
    let held = |index: usize| {
        let (from, until) = (limits[index].0, limits.get(index + 1).map_or(Timestamp::MAX, |next| next.0));
        let began = index == 0 || from <= moment + LIMIT_MOVES;
        began && (until == Timestamp::MAX || moment <= until + LIMIT_MOVES)
    };
    (0..limits.len()).filter(|index| held(*index)).map(|index| limits[index].1).max().unwrap_or_default()
}

/// S9: nobody asked for the end of what is not ours. Gives how many there are.
fn untouched(book: &Book, others: &[&Entry], calls: &[Call], broken: &mut Vec<String>) -> usize {
    let strangers = others.iter().filter(|app| {
        !book.neighbours.contains(mark(app, "SANDBAR_INSTALLATION")) && !book.touched_by_owner.contains(&app.name)
    });
    let mut count = 0;
    for app in strangers {
        count += 1;
        let path = format!("/v2/apps/{}", app.id);
        let asked = calls.iter().any(|call| call.op == Op::Delete && call.path == path);
        if asked || matches!(app.state, State::Deleting | State::Gone) {
            broken.push(format!("S9: a foreign app was touched: {app:?}"));
        }
    }
    count
}
