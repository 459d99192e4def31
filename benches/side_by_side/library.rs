//! The library's process.

use crate::Result;
use crate::clock::Clock;
use crate::script::{self, Script};
use crate::users::{Served, Users};
use crate::world::World;
use sandbar::dev::nursery::Child;
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From everybody's end to the end of the process: the shutdown, and what doctl still has under way.
const SHUTDOWN: f64 = 900.0;
/// doctl's tries after the first, and the longest it waits for all of them together (1 + 2 + 4 + 8 + 16 s).
const DOCTL_TRIES: u32 = 5;
const DOCTL_WAITS: f64 = 31.0;

/// The users of the library, in a process of their own.
pub struct Library {
    child: Child,
    clock: Clock,
    users: Vec<script::User>,
    ends: f64,
    events: PathBuf,
}

/// A line of what happened.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
enum Event {
    Acquired {
        at: f64,
        number: usize,
        warm: bool,
    },
    ShutDown {
        clean: bool,
        why: Option<String>,
    },
    #[serde(other)]
    Other,
}

impl Library {
    /// Starts the process; its users begin when the clock shows zero.
    pub async fn start(python: &Path, world: &World, script: &Script, clock: Clock, folder: &Path) -> Result<Self> {
        let (wanted, events) = (folder.join("wanted.json"), folder.join("events.jsonl"));
        let text = json!({
            "speed": script.speed, "startsAt": clock.began_at(), "ends": script.ends, "users": script.users,
            "target": script::TARGET, "cap": script::CAP, "size": script::SIZE, "region": script::REGION,
            "maxWarmAge": script::MAX_WARM_AGE, "patience": script::PATIENCE, "askAgain": script::ASK_AGAIN,
        });
        std::fs::write(&wanted, text.to_string())?;
        let mut command = Command::new(python);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/side_by_side/library.py"))
            .args([&wanted, &events])
            // Nobody's own doctl settings; no file of doctl outside of this folder.
            .env("HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .env("DIGITALOCEAN_TOKEN", &world.library_token)
            .env("DIGITALOCEAN_API_URL", world.cloud_url());
        if script.speed > 1.0 {
            command.env("DIGITALOCEAN_HTTP_RETRY_WAIT_MAX", longest_wait(script.speed).to_string());
        }
        let child = Child::spawn("library", command, &folder.join("library.log")).await?;
        Ok(Self { child, clock, users: script.users.clone(), ends: script.ends, events })
    }

    /// Waits until it has shut down, and says what became of its users.
    pub async fn ended(self) -> Result<Users> {
        let within = self.clock.wall(self.ends + SHUTDOWN - self.clock.now());
        let Ok(status) = tokio::time::timeout(within, self.child.wait()).await else {
            return Err(format!("the library has not ended {SHUTDOWN} simulated seconds after its users").into());
        };
        if !status.success() {
            return Err(format!("the library's process ended with {status}:\n{}", self.child.tail(20)).into());
        }
        self.users()
    }

    fn users(&self) -> Result<Users> {
        let mut users = Users { served: vec![Served::Nothing; self.users.len()], remark: None };
        for line in std::fs::read_to_string(&self.events)?.lines() {
            match serde_json::from_str(line)? {
                Event::Acquired { at, number, warm } => {
                    users.served[number] = Served::Got { waited: at - self.users[number].at, warm };
                }
                Event::ShutDown { clean: false, why } => users.remark = why,
                Event::ShutDown { clean: true, .. } | Event::Other => {}
            }
        }
        Ok(users)
    }
}

/// The longest pause between two tries of doctl, in whole seconds, with which all of them together last as long as they
/// do in earnest. Pauses double from one second on.
fn longest_wait(speed: f64) -> u32 {
    let all = |most: u32| (0..DOCTL_TRIES).map(|n| 2_u32.pow(n).min(most)).sum::<u32>();
    let off = |most: &u32| (f64::from(all(*most)) - DOCTL_WAITS / speed).abs();
    (1..=16).min_by(|one, other| off(one).total_cmp(&off(other))).unwrap_or(1)
}
