//! Commands and files through a console, in a sandbox that really runs.

use bytes::Bytes;
use futures::stream;
use rand::RngExt;
use reqwest::Client;
use sandbar::agent::wire::ExecRequest;
use sandbar::cloudsim::admin::{AccountSettings, Fault, Limits, Rule, Seconds, SimAdmin};
use sandbar::cloudsim::{CloudSim, Options, Running};
use sandbar::console::{ConsoleError, Ended, Output, Refusal, download, exec, list, upload};
use sandbar::providers::ConsoleAddress;
use sandbar::telemetry::secret::Secret;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::wait::eventually;
use crate::world::{PROGRAM, install_tls};

const TOKEN: &str = "dop_v1_console";

/// A worker that runs in a cloud of its own.
struct Sandbox {
    cloud: Running,
    admin: SimAdmin,
    id: String,
}

impl Sandbox {
    async fn start() -> Self {
        Self::with(json!([])).await
    }

    /// With these environment variables.
    async fn with(envs: Value) -> Self {
        install_tls();
        let mut account = AccountSettings::with_token(TOKEN);
        account.timings.ready_seconds = Seconds::Fixed(0.0);
        account.timings.delete_seconds = Seconds::Fixed(0.0);
        account.limits = Limits { enabled: false, ..Limits::default() };
        let accounts = BTreeMap::from([("default".to_owned(), account)]);
        let options = Options { accounts, agent_program: Some(PROGRAM.into()), ..Options::default() };
        let cloud = CloudSim::start(options).await.expect("a cloud whose apps run");
        let admin = SimAdmin::new(cloud.url());
        let image = json!({"registry_type": "GHCR", "registry": "example", "repository": "sandbox", "tag": "1"});
        let spec = json!({"name": "box", "region": "nyc", "workers": [
            {"name": "sandbox", "image": image, "instance_size_slug": "apps-s-1vcpu-1gb", "envs": envs}]});
        let apps = format!("{}/v2/apps", cloud.url());
        let made = Client::new().post(&apps).bearer_auth(TOKEN).json(&json!({"spec": spec})).send().await;
        let made: Value = made.expect("an answer").json().await.expect("JSON");
        let id = made["app"]["id"].as_str().expect("an id").to_owned();
        let sandbox = Self { cloud, admin, id };
        eventually("the console can be asked for", async || sandbox.asked().await).await;
        sandbox
    }

    async fn asked(&self) -> Result<ConsoleAddress, String> {
        let url = format!("{}/v2/apps/{}/components/sandbox/exec", self.cloud.url(), self.id);
        let answer = Client::new().get(url).bearer_auth(TOKEN).send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let url = answer["url"].as_str().ok_or_else(|| answer.to_string())?;
        Ok(ConsoleAddress { url: Secret::new(url.to_owned()) })
    }

    async fn address(&self) -> ConsoleAddress {
        self.asked().await.expect("a console")
    }

    /// The next sessions break after so many bytes.
    async fn cut_after(&self, bytes: u64) {
        self.admin.set_rules("default", [Rule::new(Fault::ConsoleCut { bytes })]).await.expect("a fault");
    }

    async fn run(&self, request: &ExecRequest) -> Result<Ran, ConsoleError> {
        let address = self.address().await;
        let (sender, mut receiver) = mpsc::channel(4);
        let running = async {
            let ended = exec(&address, request, &sender).await;
            drop(sender);
            ended
        };
        let collecting = async {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            while let Some(output) = receiver.recv().await {
                match output {
                    Output::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                    Output::Stderr(bytes) => stderr.extend_from_slice(&bytes),
                }
            }
            (stdout, stderr)
        };
        let (ended, (stdout, stderr)) = tokio::join!(running, collecting);
        Ok(Ran { ended: ended?, stdout, stderr })
    }

    /// Standard output of a command that must succeed.
    async fn says(&self, command: &str) -> String {
        let ran = self.run(&ExecRequest::new(command)).await.expect("it runs");
        assert_eq!(ran.ended, Ended::Exit(0), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text")
    }

    async fn put(&self, path: &str, content: &[u8], mode: Option<u32>) -> Result<u64, ConsoleError> {
        let pieces: Vec<_> =
            content.chunks(30_000).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
        upload(&self.address().await, path, mode, stream::iter(pieces)).await
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, ConsoleError> {
        let mut file = download(&self.address().await, path).await?;
        let mut content = Vec::new();
        while let Some(piece) = file.piece().await? {
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }
}

/// What a command did.
struct Ran {
    ended: Ended,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

fn noise(length: usize) -> Vec<u8> {
    let mut rng = rand::rng();
    (0..length).map(|_| rng.random()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_two_outputs_an_exit_code_a_folder_and_an_environment() {
    let sandbox = Sandbox::start().await;
    let request =
        ExecRequest::new("echo \"$GREETING\"; pwd; echo wrong >&2; exit 7").env("GREETING", "it's $HOME\n\"x\"");
    let ran = sandbox.run(&request.cwd("/tmp")).await.expect("it runs");
    let stdout = String::from_utf8(ran.stdout).expect("text");
    assert!(stdout.starts_with("it's $HOME\n\"x\"\n/") && stdout.ends_with("/tmp\n"), "{stdout}");
    assert_eq!((ran.stderr.as_slice(), ran.ended), (&b"wrong\n"[..], Ended::Exit(7)));
    let killed = sandbox.run(&ExecRequest::new("kill -9 $$")).await.expect("it runs");
    assert_eq!(killed.ended, Ended::Exit(137));
    assert_eq!(sandbox.says("").await, "");
    let nowhere = sandbox.run(&ExecRequest::new("true").cwd("nowhere")).await;
    assert!(matches!(nowhere, Err(ConsoleError::Path { refusal: Refusal::Absent, .. })));
    sandbox.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_of_any_bytes_come_as_they_were_written() {
    let sandbox = Sandbox::start().await;
    let content = noise(10 * 1024 * 1024);
    assert_eq!(sandbox.put("big.bin", &content, None).await.expect("put"), content.len() as u64);
    assert!(sandbox.get("/workspace/big.bin").await.expect("got") == content);
    let ran = sandbox.run(&ExecRequest::new("cat big.bin; tail -c 3000000 big.bin >&2")).await.expect("it runs");
    assert_eq!(ran.ended, Ended::Exit(0));
    assert!(ran.stdout == content && ran.stderr == content[content.len() - 3_000_000..]);
    sandbox.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_frame_is_only_output() {
    let sandbox = Sandbox::start().await;
    // The session's own script and nonce, as a program in the sandbox can see them.
    let command = "tr '\\0' '\\n' </proc/$PPID/cmdline | head -c 60; N=$(tr '\\0' '\\n' </proc/$PPID/cmdline | sed -n 's/^N=//p'); \
                   echo; echo \"$N exit 0\"; echo \"$N o 0 YQ==\" >&2; exit 5";
    let ran = sandbox.run(&ExecRequest::new(command)).await.expect("it runs");
    let stdout = String::from_utf8(ran.stdout).expect("text");
    assert_eq!(ran.ended, Ended::Exit(5));
    let nonce = stdout.lines().last().and_then(|line| line.strip_suffix(" exit 0")).expect("the last line");
    assert_eq!(nonce.len(), 32, "it was the real one: {stdout}");
    assert_eq!(String::from_utf8(ran.stderr).expect("text"), format!("{nonce} o 0 YQ==\n"));
    // Who writes past everything, onto the terminal itself, is taken for noise or for damage, never for output.
    let ran = sandbox.run(&ExecRequest::new("echo hello >/dev/tty; echo fine")).await.expect("it runs");
    assert_eq!((ran.stdout.as_slice(), ran.ended), (&b"fine\n"[..], Ended::Exit(0)));
    let forged =
        "N=$(tr '\\0' '\\n' </proc/$PPID/cmdline | sed -n 's/^N=//p'); echo \"$N exit 0\" >/dev/tty; sleep 1; exit 5";
    let ran = sandbox.run(&ExecRequest::new(forged)).await;
    assert!(matches!(ran, Err(ConsoleError::Damaged(_))), "{:?}", ran.map(|ran| ran.ended));
    sandbox.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_ended_with_all_its_processes_when_its_time_is_over_or_nobody_listens() {
    let sandbox = Sandbox::start().await;
    let stubborn =
        "trap '' TERM; echo begun; (while :; do sleep 0.1; done) & while :; do echo $$ >pid; sleep 0.1; done";
    let ran = sandbox.run(&ExecRequest::new(stubborn).timeout(1)).await.expect("it runs");
    assert_eq!((ran.stdout.as_slice(), ran.ended), (&b"begun\n"[..], Ended::TimedOut));
    let gone = async |sandbox: &Sandbox| {
        eventually("the processes are gone", async || {
            let left = sandbox.says("P=$(cat pid); for s in /proc/[0-9]*/stat; do read -r l <$s && case $l in *\") Z \"*) ;; *\") \"?\" \"*\" $P \"*) echo \"$l\";; esac; done 2>/dev/null; true").await;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    };
    gone(&sandbox).await;
    // Whoever asked goes away.
    let address = sandbox.address().await;
    let (sender, mut receiver) = mpsc::channel(4);
    let request = ExecRequest::new(stubborn);
    {
        let running = exec(&address, &request, &sender);
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => panic!("it ended: {ended:?}"),
            output = receiver.recv() => assert_eq!(output, Some(Output::Stdout("begun\n".into()))),
        }
    }
    gone(&sandbox).await;
    // What was begun to go on does, if it lets go of the outputs.
    assert!(sandbox.says("nohup sleep 100 >/dev/null 2>&1 & echo $!").await.trim().parse::<u32>().is_ok());
    sandbox.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_keep_their_bytes_their_permissions_and_odd_names() {
    let sandbox = Sandbox::start().await;
    let all: Vec<u8> = (0..=255).collect();
    sandbox.put("/workspace/new/folder/odd 'name' $x.bin", &all, Some(0o755)).await.expect("put");
    sandbox.put("empty", b"", None).await.expect("put");
    assert_eq!(sandbox.get("new/folder/odd 'name' $x.bin").await.expect("got"), all);
    assert_eq!(sandbox.get("empty").await.expect("got"), b"");
    assert_eq!(sandbox.says("stat -c %a new/folder/* empty").await, "755\n644\n");
    // A file that is replaced keeps its permissions.
    sandbox.put("new/folder/odd 'name' $x.bin", b"shorter", None).await.expect("put");
    assert_eq!(sandbox.says("stat -c %a new/folder/*; cat new/folder/*").await, "755\nshorter");
    sandbox.says("touch .hidden ...; printf x >'line\nbreak'; ln -s nowhere dangling").await;
    let found = list(&sandbox.address().await, "/workspace").await.expect("a list");
    let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["...", ".hidden", "dangling", "empty", "line\nbreak", "new"]);
    let new = found.last().expect("an entry");
    assert_eq!((new.is_dir, new.size, new.path.as_str()), (true, None, "/workspace/new"));
    assert_eq!(found[4].size, Some(1));
    for (path, refusal) in [("nothing", Refusal::Absent), ("new", Refusal::Folder), ("/dev/null", Refusal::Irregular)] {
        let got = sandbox.get(path).await;
        assert!(matches!(&got, Err(ConsoleError::Path { refusal: found, .. }) if *found == refusal), "{path}: {got:?}");
    }
    assert!(matches!(sandbox.put("new", b"x", None).await, Err(ConsoleError::Path { refusal: Refusal::Folder, .. })));
    assert!(matches!(
        sandbox.put("empty/x", b"x", None).await,
        Err(ConsoleError::Path { refusal: Refusal::Unwritable, .. })
    ));
    sandbox.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_midway_leaves_no_half_file_and_is_an_error() {
    let sandbox = Sandbox::start().await;
    let (old, new) = (noise(100_000), noise(400_000));
    sandbox.put("kept.bin", &old, None).await.expect("put");
    for bytes in [1_000, 100_000, 300_000] {
        sandbox.cut_after(bytes).await;
        assert!(sandbox.put("kept.bin", &new, None).await.is_err(), "{bytes}");
        assert!(sandbox.put("fresh.bin", &new, None).await.is_err(), "{bytes}");
        assert!(sandbox.get("kept.bin").await.is_err() || bytes > 200_000, "{bytes}");
        assert!(sandbox.run(&ExecRequest::new("cat kept.bin kept.bin kept.bin")).await.is_err(), "{bytes}");
        sandbox.admin.clear_faults("default").await.expect("no faults");
        assert!(sandbox.get("kept.bin").await.expect("got") == old, "what was there before is there");
        eventually("nothing is left of the tries", async || {
            let left = sandbox.says("ls -A; ls -A \"$TMPDIR\" | wc -l").await;
            // The command that looks has a folder of its own.
            if left == "kept.bin\n1\n" { Ok(()) } else { Err(left) }
        })
        .await;
    }
    sandbox.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_breaks_leaves_no_half_file() {
    let sandbox = Sandbox::start().await;
    let pieces = [Ok(Bytes::from(noise(200_000))), Err("the caller went away")];
    let put = upload(&sandbox.address().await, "half.bin", None, stream::iter(pieces)).await;
    assert!(matches!(put, Err(ConsoleError::Source(why)) if why.contains("went away")));
    eventually("nothing is left of the try", async || {
        let left = sandbox.says("ls -A").await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    sandbox.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_the_programs_is_told_which() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["sh", "stty", "dd", "sed", "stat"] {
        std::os::unix::fs::symlink(format!("/bin/{name}"), folder.path().join(name)).expect("a link");
    }
    let path = json!([{"key": "PATH", "value": folder.path(), "scope": "RUN_TIME"}]);
    let sandbox = Sandbox::with(path).await;
    let ran =
        tokio::time::timeout(Duration::from_secs(30), sandbox.run(&ExecRequest::new("true"))).await.expect("soon");
    let Err(ConsoleError::Lacks(missing)) = ran else { panic!("it ran") };
    assert_eq!(missing, "base64, mkfifo, mktemp, sha256sum");
    sandbox.cloud.stop().await;
}
