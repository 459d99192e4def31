//! The operator's wall clock jumps: deadlines stand in objects and are told by the API server's clock, what is
//! believed of listings by a clock that nobody can set.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use jiff::Timestamp;
use sandbar::api::Sandbox;
use sandbar::cloudsim::admin::{Fault, Op, Rule, Seconds, Shape};
use serde_json::json;
use tempfile::TempDir;

use crate::scene::{Scene, name};
use crate::wait::wait_for;
use crate::world::{OperatorSpec, quick_account};

/// A wall clock that a test can set, for the processes that are started with it.
pub struct WallClock {
    dir: TempDir,
    seconds: File,
}

impl WallClock {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let seconds = File::create(dir.path().join("jump")).expect("a file");
        let clock = Self { dir, seconds };
        clock.set(0);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/faults/wall_clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(clock.library()).args([source, "-ldl"]);
        let built = compiler.output().expect("a C compiler");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        clock
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("wall_clock.so")
    }

    /// Sets it so many seconds ahead of the real one.
    pub fn set(&self, seconds: i64) {
        self.seconds.write_all_at(&seconds.to_ne_bytes(), 0).expect("eight bytes");
    }

    /// What a process is started with to go by it.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: PathBuf| path.to_str().expect("a plain path").to_owned();
        [("LD_PRELOAD", text(self.library())), ("WALL_CLOCK_JUMP", text(self.dir.path().join("jump")))]
    }

    fn operator(&self) -> OperatorSpec {
        let quick = OperatorSpec::default().args(&["--visibility-grace", "3s"]);
        self.environment().iter().fold(quick, |spec, (name, value)| spec.env(name, value))
    }
}

async fn after_a_jump_of(seconds: i64, test: &str) {
    let clock = WallClock::new();
    let lagging = |token: String| {
        let mut account = quick_account(token);
        account.timings.list_lag_seconds = Seconds::Fixed(2.0);
        account
    };
    let mut scene = Scene::with(test, lagging, clock.operator()).await;
    scene.pool(json!({"warm": {"target": 1, "maxAge": "30m"}})).await;
    scene.level(1).await;
    let held = scene.claim_one("run-1", "25s").await;
    let expires = held.status.as_ref().unwrap().expires_at.clone().unwrap().0;
    // Watched from here on: on a slow machine it may end before the last operator starts.
    let (sandboxes, member) = (scene.sandboxes.clone(), name(&held));
    let ended =
        tokio::spawn(async move { wait_for(&sandboxes, &member, "its time is over", Sandbox::is_deleting).await });
    scene.level(1).await;
    // An app whose create had no answer, and that listings do not show yet.
    let lost = Rule::new(Fault::ErrorAfter(Shape::Reset {})).on([Op::Create]).times(1);
    scene.env.sim.set_rules(&scene.env.account, [lost]).await.unwrap();
    scene.scale(2).await;
    scene.books_show("made, and nobody was told", |totals| totals.made == 3).await;
    clock.set(seconds);
    // The operator itself says that the jump is real.
    scene.pool_says("Degraded", "True", "ClockSkew").await;
    scene.pool_shows("the level, with what was there", |status| status.warm == 2 && status.creating == 0).await;
    assert_eq!(scene.totals().await.made, 3, "what was asked for was not believed absent");
    // One that starts with a wrong clock knows no more and no less.
    assert!(scene.operator.stop().await.success());
    scene.operator.restart().await;
    let deleted = ended.await.expect("it ends");
    assert_eq!(deleted.metadata.uid, held.metadata.uid, "it was there until now");
    let at = deleted.metadata.deletion_timestamp.unwrap().0;
    assert!(at >= expires && at <= Timestamp::now(), "deleted at {at}, its claim was good until {expires}");
    scene.books_show("its app gone", |totals| totals.existing == 2).await;
    assert_eq!(scene.totals().await.made, 3);

    // Told as soon as there is something to look at the pool for.
    clock.set(0);
    scene.scale(1).await;
    scene.pool_says("Degraded", "False", "AsExpected").await;
    scene.level(1).await;
    assert_eq!(scene.totals().await.made, 3);
    scene.sound(3).await;
    scene.delete_pool().await;
}

#[tokio::test]
async fn a_clock_ten_minutes_ahead_ends_nothing_early_and_makes_nothing_twice_s1_s7() {
    after_a_jump_of(600, "ahead").await;
}

#[tokio::test]
async fn a_clock_ten_minutes_behind_ends_nothing_late_and_makes_nothing_twice_s1_s7() {
    after_a_jump_of(-600, "behind-clock").await;
}
