//! Crash points: with feature `failpoints`, `SANDBAR_CRASH_AT=<n>` ends the
//! process at its n-th API write or provider call, right before the call
//! leaves (`SANDBAR_CRASH_WHEN=before`, the default) or right after its
//! answer came (`after`). `SANDBAR_CRASH_ON=<words>` counts only calls that
//! have all of these words in them, such as `PUT sandboxes` or `create`: what
//! runs side by side comes in another order each time, calls of one sort do
//! not. `SANDBAR_CALL_LOG=<file>` gets a line for every such call, so that one
//! run tells how many there are. Without the feature both functions are empty.

#[cfg(feature = "failpoints")]
mod on {
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Point {
        at: u64,
        after: bool,
        on: Vec<String>,
    }

    static CALLS: AtomicU64 = AtomicU64::new(0);
    static POINT: OnceLock<Option<Point>> = OnceLock::new();
    static LOG: OnceLock<Option<PathBuf>> = OnceLock::new();

    fn point() -> Option<&'static Point> {
        POINT
            .get_or_init(|| {
                let at = std::env::var("SANDBAR_CRASH_AT").ok()?.parse().ok()?;
                let after = std::env::var("SANDBAR_CRASH_WHEN").is_ok_and(|when| when == "after");
                let on = std::env::var("SANDBAR_CRASH_ON").unwrap_or_default();
                Some(Point { at, after, on: on.split_whitespace().map(str::to_owned).collect() })
            })
            .as_ref()
    }

    /// Writes one line in one piece: several threads append.
    fn log(what: &str) {
        let Some(path) = LOG.get_or_init(|| std::env::var_os("SANDBAR_CALL_LOG").map(PathBuf::from)) else { return };
        let file = std::fs::File::options().create(true).append(true).open(path);
        if let Err(error) = file.and_then(|mut file| file.write_all(format!("{what}\n").as_bytes())) {
            eprintln!("SANDBAR_CALL_LOG: cannot write {}: {error}", path.display());
        }
    }

    fn crash(what: &str, call: u64, when: &str) -> ! {
        eprintln!("crash point {call} {when} {what}");
        // SIGKILL, not abort: nothing may run on the way out.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::SIGKILL);
        std::process::abort()
    }

    /// Counts one call that changes or reads something outside, and ends the
    /// process if this is the one and it must not happen. Gives its number;
    /// 0 = not counted.
    pub fn before(what: &str) -> u64 {
        log(what);
        if point().is_some_and(|point| !point.on.iter().all(|word| what.contains(word))) {
            return 0;
        }
        let call = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
        if point().is_some_and(|point| point.at == call && !point.after) {
            crash(what, call, "before");
        }
        call
    }

    /// Ends the process if this is the call and it was to happen first.
    pub fn after(what: &str, call: u64) {
        if point().is_some_and(|point| point.at == call && point.after && call > 0) {
            crash(what, call, "after");
        }
    }
}

#[cfg(not(feature = "failpoints"))]
mod off {
    /// Does nothing: the feature `failpoints` is off.
    #[inline]
    pub fn before(_what: &str) -> u64 {
        0
    }

    /// Does nothing: the feature `failpoints` is off.
    #[inline]
    pub fn after(_what: &str, _call: u64) {}
}

#[cfg(not(feature = "failpoints"))]
pub use off::{after, before};
#[cfg(feature = "failpoints")]
pub use on::{after, before};
