//! The table of background processes. It lives as long as the agent.

use super::children::{self, Group};
use super::{clock, exec};
use crate::agent::wire::{ProcessInfo, ProcessStatus};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Processes remembered; beyond that the oldest stopped ones are forgotten, running ones never.
const MAX_TRACKED: usize = 1000;

/// How often a group whose leader has gone is looked at.
const POLL: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
struct Tracked {
    info: ProcessInfo,
    log: PathBuf,
    order: u64,
}

#[derive(Debug, Default)]
struct Table {
    by_pid: BTreeMap<i32, Tracked>,
    started: u64,
}

/// Background processes by process id.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    table: Arc<Mutex<Table>>,
}

impl Processes {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a started command and watches it to its end; gives its process id.
    pub fn track(&self, group: Group, command: String, log_file: String, log: PathBuf) -> Option<i32> {
        let id = group.id()?;
        let pid = id.as_raw();
        let status = ProcessStatus::Running;
        let info = ProcessInfo { pid, command, status, log_file, started_at: clock::now(), exit_code: None };
        let mut table = self.table();
        table.started += 1;
        let order = table.started;
        table.by_pid.insert(pid, Tracked { info, log, order });
        while table.by_pid.len() > MAX_TRACKED && forget_oldest_stopped(&mut table) {}
        drop(table);
        tokio::spawn(self.clone().watch(group, id, order));
        Some(pid)
    }

    async fn watch(self, mut group: Group, id: Pid, order: u64) {
        let exit_code = group.wait().await.map_or(-1, exec::code);
        group.release();
        self.change(id, order, |info| info.exit_code = Some(exit_code));
        // Members keep the group's id from being given away, so it may be signalled as long as they are there.
        while children::exists(id) {
            sleep(POLL).await;
        }
        self.change(id, order, |info| info.status = ProcessStatus::Stopped);
    }

    // The order tells a process from a later one with the same id.
    fn change(&self, id: Pid, order: u64, with: impl FnOnce(&mut ProcessInfo)) {
        if let Some(tracked) = self.table().by_pid.get_mut(&id.as_raw()).filter(|tracked| tracked.order == order) {
            with(&mut tracked.info);
        }
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Vec<ProcessInfo> {
        let mut all: Vec<Tracked> = self.table().by_pid.values().cloned().collect();
        all.sort_by_key(|tracked| tracked.order);
        all.into_iter().map(|tracked| tracked.info).collect()
    }

    /// One of them.
    pub fn get(&self, pid: i32) -> Option<ProcessInfo> {
        self.table().by_pid.get(&pid).map(|tracked| tracked.info.clone())
    }

    /// Where its log is on this machine.
    pub fn log(&self, pid: i32) -> Option<PathBuf> {
        self.table().by_pid.get(&pid).map(|tracked| tracked.log.clone())
    }

    /// Signals its whole group; none when it is not tracked.
    pub fn signal(&self, pid: i32, signal: i32) -> Option<Result<(), Errno>> {
        let status = self.get(pid)?.status;
        // The id of a stopped group may belong to somebody else by now.
        if status == ProcessStatus::Stopped {
            return Some(Err(Errno::ESRCH));
        }
        let signal = match signal {
            0 => Ok(None),
            number => nix::sys::signal::Signal::try_from(number).map(Some),
        };
        Some(signal.and_then(|signal| nix::sys::signal::killpg(Pid::from_raw(pid), signal)))
    }
}

fn forget_oldest_stopped(table: &mut Table) -> bool {
    let stopped = table.by_pid.iter().filter(|(_, tracked)| tracked.info.status == ProcessStatus::Stopped);
    let Some(oldest) = stopped.min_by_key(|(_, tracked)| tracked.order).map(|(pid, _)| *pid) else { return false };
    table.by_pid.remove(&oldest).is_some()
}
