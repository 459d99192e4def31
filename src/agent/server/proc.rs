//! Which processes are below the agent, as `/proc` tells it.

use nix::unistd::{Pid, getpid};
use std::collections::BTreeMap;
use std::fs;

/// Every living process below this one, at any depth; zombies do not count.
pub fn descendants() -> Vec<Pid> {
    let mut below: BTreeMap<i32, Vec<(i32, bool)>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((state, parent)) = state_and_parent(&stat) {
            below.entry(parent).or_default().push((pid, state != 'Z'));
        }
    }
    let mut found = Vec::new();
    let mut open = vec![getpid().as_raw()];
    while let Some(parent) = open.pop() {
        for (pid, alive) in below.remove(&parent).unwrap_or_default() {
            open.push(pid);
            if alive {
                found.push(Pid::from_raw(pid));
            }
        }
    }
    found
}

/// State and parent from `/proc/<pid>/stat` (proc(5)). The name before them may itself hold spaces and parentheses.
fn state_and_parent(stat: &str) -> Option<(char, i32)> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_disguise_state_and_parent() {
        assert_eq!(state_and_parent("42 (a) Z 1 (b)) S 7 42 42 0"), Some(('S', 7)));
        assert_eq!(state_and_parent("42 (cut"), None);
    }
}
