//! The sandbox's side: folders into an archive and back, by its own shell and tar.
//!
//! Everything is relative to the parent of `/workspace`, so that it works wherever the agent has its folders, and the
//! archive's names are those of the public SDK: `workspace/...`.

use super::manifest::Manifest;
use super::transfer::Unpack;
use crate::agent::client::{AgentClient, AgentError, Ended};
use crate::agent::wire::{ExecRequest, WORKSPACE};

/// Folders that a snapshot may hold.
pub(super) const FOLDERS: [&str; 2] = [WORKSPACE, "/home/sandbox"];
/// The longest that tar may take, in seconds.
const LIMIT: u64 = 3600;
/// Exit codes of the scripts for what has words of its own.
const TOO_LARGE: i32 = 77;

/// Why the sandbox's side was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The agent did not do it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// More than may be kept.
    #[error("the files have {} MiB, more than the {} MiB that a snapshot may hold", .kib / 1024, .limit / 1024 / 1024)]
    TooLarge {
        /// What there is, in KiB.
        kib: u64,
        /// What may be, in bytes.
        limit: u64,
    },
    /// The sandbox's own programs failed.
    #[error("{what} in the sandbox failed with exit code {code}: {said}")]
    Failed {
        /// What was done.
        what: &'static str,
        /// The exit code.
        code: i32,
        /// The end of its words.
        said: String,
    },
    /// Not a folder that can be kept.
    #[error("{folder:?} cannot be in a snapshot; use folders in or below {}", FOLDERS.join(" or "))]
    BadFolder {
        /// What was given.
        folder: String,
    },
}

/// Begins every script; `cd` to the parent of `/workspace` wherever that is.
pub(crate) const FROM_THE_ROOT: &str = r#"set -eu
umask 077
case "$PWD" in
*/workspace) cd "${PWD%workspace}" ;;
*) echo "/workspace is a link to $PWD; it must be a folder of its own" >&2; exit 78 ;;
esac
"#;

/// First it removes what transfers have left that were cut off long ago: their space is needed.
const PACK: &str = r#"find ./tmp -maxdepth 1 -name '.sandbar-*' -mmin +120 -exec rm -f {} + 2>/dev/null || true
for folder in $FOLDERS; do
  [ -d "$folder" ] || { echo "there is no folder /$folder" >&2; exit 78; }
done
kib=$(du -sck $FOLDERS 2>/dev/null | tail -n 1 | cut -f 1)
if [ "$kib" -gt "$LIMIT_KIB" ]; then echo "$kib"; exit 77; fi
code=0
tar "$@" -czf "./tmp/$ARCHIVE" $FOLDERS || code=$?
# GNU tar says 1 where a file changed while it was read; what it wrote is whole.
if [ $code -eq 1 ] && tar --version 2>/dev/null | grep -q GNU; then code=0; fi
if [ $code -ne 0 ]; then rm -f "./tmp/$ARCHIVE"; exit $code; fi
wc -c < "./tmp/$ARCHIVE"
"#;

/// With `ONCE` two that come at once, one of them late, do it one after the other, and the second finds it done.
const UNPACK: &str = r#"trap 'rm -f "./tmp/$ARCHIVE".*' EXIT
if [ -n "$ONCE" ]; then
  exec 9> "./tmp/$ONCE.lock"
  if command -v flock > /dev/null; then flock 9; fi
  if [ -e "./tmp/$ONCE" ]; then exit 0; fi
fi
bytes=$(cat "./tmp/$ARCHIVE".* | wc -c)
if [ "$bytes" -ne "$BYTES" ]; then echo "$bytes of $BYTES bytes arrived" >&2; exit 78; fi
if [ -n "$REPLACE" ]; then
  for folder in $FOLDERS; do
    mkdir -p "$folder"
    find "$folder" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
  done
fi
umask 022
cat "./tmp/$ARCHIVE".* | tar -xzpf -
if [ -n "$ONCE" ]; then : > "./tmp/$ONCE"; fi
"#;

/// Checks folders, and gives them as the archive names them.
pub(super) fn relative(folders: &[String]) -> Result<Vec<String>, PackError> {
    let inside = |folder: &str| {
        let below = FOLDERS.iter().find_map(|root| folder.strip_prefix(root));
        // Neither blanks nor patterns: the names go through a shell's list.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
            && folder.chars().all(plain)
            && !folder.split('/').any(|part| part == "..")
    };
    let named = |folder: &String| match folder.trim_end_matches('/') {
        folder if inside(folder) => Ok(folder.trim_start_matches('/').to_owned()),
        _ => Err(PackError::BadFolder { folder: folder.clone() }),
    };
    folders.iter().map(named).collect()
}

/// Makes an archive of these folders in the sandbox's `/tmp`, and gives its size in bytes.
pub(super) async fn pack(
    agent: &AgentClient,
    archive: &str,
    folders: &[String],
    exclude: &[String],
    limit: u64,
) -> Result<u64, PackError> {
    let patterns: Vec<String> = exclude.iter().map(|pattern| format!("--exclude={pattern}")).collect();
    let zero =
        |_| PackError::Failed { what: "excluding files", code: 1, said: "a pattern holds a zero byte".to_owned() };
    let set = match patterns.is_empty() {
        true => "set --\n".to_owned(),
        false => format!("set -- {}\n", shlex::try_join(patterns.iter().map(String::as_str)).map_err(zero)?),
    };
    let request = ExecRequest::new(format!("{FROM_THE_ROOT}{set}{PACK}"))
        .timeout(LIMIT)
        .env("ARCHIVE", archive)
        .env("FOLDERS", relative(folders)?.join(" "))
        .env("LIMIT_KIB", (limit / 1024).to_string());
    let ended = agent.exec_whole(&request).await?;
    let number = ended.stdout.trim().rsplit('\n').next().and_then(|line| line.trim().parse::<u64>().ok());
    match (ended.code, number) {
        (0, Some(bytes)) => Ok(bytes),
        (TOO_LARGE, Some(kib)) => Err(PackError::TooLarge { kib, limit }),
        (code, _) => Err(PackError::Failed { what: "packing the files", code, said: ended.stderr }),
    }
}

/// Unpacks the pieces `archive.*` in the sandbox's `/tmp`, and removes them.
pub(super) async fn unpack(
    agent: &AgentClient,
    archive: &str,
    manifest: &Manifest,
    how: Unpack,
) -> Result<(), PackError> {
    // Not by the archive: one who comes late may have read an older one of the same name.
    let once = match how {
        Unpack::Once { purpose } => format!(".sandbar_has-{purpose}-{}", manifest.snapshot_id),
        Unpack::Over | Unpack::Instead => String::new(),
    };
    let request = ExecRequest::new(format!("{FROM_THE_ROOT}{UNPACK}"))
        .timeout(LIMIT)
        .env("ARCHIVE", archive)
        .env("BYTES", manifest.size_bytes.to_string())
        .env("FOLDERS", relative(&manifest.paths)?.join(" "))
        .env("REPLACE", if how == Unpack::Over { "" } else { "yes" })
        .env("ONCE", once);
    match agent.exec_whole(&request).await? {
        Ended { code: 0, .. } => Ok(()),
        Ended { code, stderr: said, .. } => Err(PackError::Failed { what: "unpacking the files", code, said }),
    }
}

/// Removes what a transfer has left in the sandbox's `/tmp`; a sandbox that cannot be asked keeps it.
pub(super) async fn discard(agent: &AgentClient, archive: &str) {
    let request = ExecRequest::new(format!("{FROM_THE_ROOT}rm -f \"./tmp/$ARCHIVE\" \"./tmp/$ARCHIVE\".*"))
        .env("ARCHIVE", archive);
    if let Err(error) = agent.exec(&request).await {
        tracing::debug!(%error, archive, "an archive stays in the sandbox");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stay_in_the_sandboxs_own() {
        let named = |folder: &str| relative(&[folder.to_owned()]).map(|mut all| all.remove(0));
        assert_eq!(named("/workspace").as_deref(), Ok("workspace"));
        assert_eq!(named("/home/sandbox/app/").as_deref(), Ok("home/sandbox/app"));
        for bad in ["/", "", "workspace", "/etc", "/workspaces", "/workspace/../etc", "/workspace/a b", "/workspace/*"]
        {
            assert!(named(bad).is_err(), "{bad}");
        }
    }
}
