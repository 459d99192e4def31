//! The operator dies at one call, right before it leaves or right after its
//! answer came; another takes over, and the end is the same as without a death
//! (S8). `make test` does this at a fixed sample of calls, `make crash` at every
//! API write and every provider call of the whole [story].

mod life;
mod points;
mod story;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use futures::future::join_all;
use tokio::sync::Semaphore;

use self::life::{Life, live};
use self::points::{Point, When, every_point};

/// Lives that run side by side: they wait more than they compute. `CRASH_JOBS` changes it.
const JOBS: usize = 8;

/// The sample of `make test`: every sort of call that changes something, early and late in the story.
const SAMPLE: [(&str, u32); 14] = [
    // Members, and the Secrets with their agents' tokens.
    ("POST /sandboxes", 2),
    ("POST /secrets", 1),
    // Statuses: the attempt, the note of a claim, a request's binding; the pool's.
    ("PUT /sandboxes", 1),
    ("PUT /sandboxes", 4),
    ("PUT /sandboxes", 9),
    ("PUT /sandboxpools", 2),
    // Finalizers and claims.
    ("PATCH /sandboxes", 1),
    ("PATCH /secrets", 1),
    ("DELETE /sandboxes", 2),
    ("DELETE /secrets", 1),
    // At the provider.
    ("create", 1),
    ("create", 3),
    ("delete", 2),
    ("list", 3),
];

#[tokio::test]
async fn a_death_at_a_sample_of_calls_changes_nothing_s8() {
    let sample = SAMPLE.into_iter().enumerate().flat_map(|(index, (sort, at))| {
        // At every other place before and after, at the rest one of the two.
        let both = [When::Before, When::After].map(|when| Point { sort: sort.to_owned(), at, when });
        both.into_iter()
            .enumerate()
            .filter(move |(side, _)| index % 2 == 0 || side == &(index / 2 % 2))
            .map(|(_, point)| point)
    });
    let lives = all(sample.collect()).await;
    for (point, life) in &lives {
        assert!(life.died, "there was no call {point}");
    }
    eprintln!("{}", figures(&lives));
}

#[tokio::test]
#[ignore = "takes long: make crash"]
async fn a_death_at_every_call_changes_nothing_s8() {
    let began = Instant::now();
    let (undisturbed, counts) = life::count().await;
    let lives = all(every_point(&counts)).await;
    let reached = lives.iter().filter(|(_, life)| life.died).count();
    let mut text = String::new();
    for (sort, calls) in &counts {
        let _ = writeln!(text, "{calls:>5}  {sort}");
    }
    let _ = writeln!(text, "undisturbed: {} apps made", undisturbed.summary.apps);
    for (point, _) in lives.iter().filter(|(_, life)| !life.died) {
        let _ = writeln!(text, "not met: {point}");
    }
    let _ = writeln!(text, "{}", figures(&lives));
    let _ = writeln!(text, "time: {} s", began.elapsed().as_secs());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash.txt");
    std::fs::write(&file, text).expect("the figures can be written");
    // A call that came in one run need not come in another: listings and status writes follow the clock.
    assert!(reached * 10 >= lives.len() * 9, "only {reached} of {} points were met", lives.len());
    let first = lives.iter().find(|(point, life)| point.at == 1 && !life.died);
    assert!(first.is_none(), "no run had a call {}", first.map(|(point, _)| point.to_string()).unwrap_or_default());
}

/// Lives with a death at each of these points, so many at a time.
async fn all(points: Vec<Point>) -> Vec<(Point, Life)> {
    let jobs = std::env::var("CRASH_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(JOBS);
    let turns = Semaphore::new(jobs);
    let lives = points.into_iter().map(async |point| {
        let _turn = turns.acquire().await.expect("nobody closes it");
        let life = live(Some(&point)).await;
        (point, life)
    });
    join_all(lives).await
}

fn figures(lives: &[(Point, Life)]) -> String {
    let died = lives.iter().filter(|(_, life)| life.died).count();
    let mut apps: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, life) in lives {
        *apps.entry(life.summary.apps).or_default() += 1;
    }
    let events: usize = lives.iter().map(|(_, life)| life.summary.events).sum();
    let made: Vec<String> = apps.iter().map(|(apps, lives)| format!("{apps} in {lives} runs")).collect();
    format!(
        "crash points met: {died} of {}, each with the same end; changes judged by the watcher: {events}; apps made: {}",
        lives.len(),
        made.join(", ")
    )
}
