//! The program as a plugin of kubectl: packed, installed by krew, called and completed by kubectl.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use sandbar::dev::binaries::{Binaries, Tool};

use crate::claims::{POOL, done, err, pool};
use crate::world::{PROGRAM, TestEnv, World};

/// A home of somebody who has kubectl and krew.
struct Home {
    dir: tempfile::TempDir,
    path: String,
}

impl Home {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let kubectl = Binaries::from_env().expect("a cache").path(Tool::Kubectl, &|_| {}).await.expect("kubectl");
        let plugins = dir.path().join("krew/bin");
        let folders =
            [plugins.as_path(), kubectl.parent().expect("a folder"), Path::new("/usr/bin"), Path::new("/bin")];
        let path = folders.map(|folder| folder.display().to_string()).join(":");
        Self { dir, path }
    }

    fn command(&self, env: &TestEnv, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path()).env_clear().kill_on_drop(true);
        command.env("PATH", &self.path).env("HOME", self.dir.path()).env("KUBECONFIG", &env.user_kubeconfig);
        command.env("KREW_ROOT", self.dir.path().join("krew")).stdin(std::process::Stdio::null());
        command
    }

    async fn run(&self, env: &TestEnv, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Output {
        self.command(env, program, arguments).output().await.expect("it runs")
    }
}

#[tokio::test]
async fn krew_installs_what_is_packed_and_kubectl_calls_and_completes_it() {
    let env = World::get().await.test("plugin").await;
    pool(&env).await;
    let home = Home::new().await;
    let krew =
        Binaries::from_env().expect("a cache").path(Tool::Krew, &|line| eprintln!("{line}")).await.expect("krew");

    // Krew itself says whether the manifest is good, and checks the archive's digest.
    let packed = done(&home.run(&env, PROGRAM, &["dev", "plugin", "--to", "packed"]).await);
    let files: Vec<&str> = packed.lines().collect();
    let [archive, manifest] = files[..] else { panic!("{packed}") };
    let install = ["install", "--manifest", manifest, "--archive", archive];
    let installed = home.run(&env, &krew, &install).await;
    assert!(installed.status.success() && err(&installed).contains("Installed plugin: sandbar"), "{}", err(&installed));

    let kubectl = async |arguments: &[&str]| home.run(&env, "kubectl", arguments).await;
    let version = done(&kubectl(&["sandbar", "--version"]).await);
    assert_eq!(version.trim(), concat!("sandbar ", env!("CARGO_PKG_VERSION")));
    let help = done(&kubectl(&["sandbar", "claim", "--help"]).await);
    assert!(help.contains("Usage: kubectl sandbar claim [OPTIONS] <POOL>"), "{help}");
    assert!(done(&kubectl(&["sandbar", "ls"]).await).contains(POOL));
    let refused = kubectl(&["sandbar", "claim", "nowhere"]).await;
    assert!(err(&refused).contains("try: kubectl sandbar ls shows the pools"), "{}", err(&refused));

    // Two ways to have it completed: by what it prints, and by another name of its own.
    let completer = home.dir.path().join("krew/bin/kubectl_complete-sandbar");
    let script = done(&kubectl(&["sandbar", "completions", "kubectl"]).await);
    std::fs::write(&completer, script).expect("a file");
    std::fs::set_permissions(&completer, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a program");
    let asked = ["__complete", "sandbar", "claim", ""];
    let by_script = done(&kubectl(&asked).await);
    assert_eq!(by_script, format!("{POOL}\t0 warm, 0 claimed\n:4\n"));
    std::fs::remove_file(&completer).expect("it goes");
    std::os::unix::fs::symlink(PROGRAM, &completer).expect("a link");
    assert_eq!(done(&kubectl(&asked).await), by_script);
    let refused = kubectl(&["sandbar", "completions", "bash"]).await;
    assert!(!refused.status.success() && err(&refused).contains("kubectl_complete-sandbar"), "{}", err(&refused));
}
