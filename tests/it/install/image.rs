//! What a Containerfile says of the image that it makes, and a process in a folder that holds just that: as a container
//! runtime starts it, without one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::cluster::ROOT;

/// The last stage of a Containerfile.
#[derive(Debug)]
pub struct Image {
    /// What it begins with.
    pub base: String,
    /// Paths of other stages, and where they come to lie.
    pub copies: Vec<(String, String)>,
    pub environment: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// User and group.
    pub user: String,
    pub workdir: Option<String>,
    pub entrypoint: Vec<String>,
    pub ports: Vec<i32>,
}

impl Image {
    /// Of `deploy/images/<name>.Containerfile`.
    pub fn of(name: &str) -> Self {
        let file = Path::new(ROOT).join(format!("deploy/images/{name}.Containerfile"));
        let text = fs::read_to_string(file).expect("a Containerfile");
        let lines = instructions(&text);
        let last = lines.iter().rposition(|(word, _)| word == "FROM").expect("a stage");
        let mut image = Self {
            base: lines[last].1.clone(),
            copies: Vec::new(),
            environment: BTreeMap::new(),
            labels: BTreeMap::new(),
            user: "0:0".to_owned(),
            workdir: None,
            entrypoint: Vec::new(),
            ports: Vec::new(),
        };
        for (word, rest) in &lines[last + 1..] {
            image.take(word, rest);
        }
        image
    }

    fn take(&mut self, word: &str, rest: &str) {
        match word {
            "COPY" => self.copies.push(copied(rest)),
            "ENV" => self.environment.extend(pairs(rest)),
            "LABEL" => self.labels.extend(pairs(rest)),
            "USER" => self.user = rest.to_owned(),
            "WORKDIR" => self.workdir = Some(rest.to_owned()),
            // As JSON: there is no shell.
            "ENTRYPOINT" => self.entrypoint = serde_json::from_str(rest).expect("a list of words"),
            "EXPOSE" => self.ports.extend(rest.split(' ').map(|port| port.parse::<i32>().expect("a port"))),
            "ARG" | "CMD" | "RUN" => {}
            _ => panic!("nobody plays {word} {rest}"),
        }
    }
}

/// The instructions of a Containerfile, each on one line and begun with its word. A linter judges its grammar.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let whole = lines.join("\n").replace("\\\n", " ");
    let lines = whole.lines().filter(|line| !line.trim().is_empty());
    let parts = lines.map(|line| line.split_once(' ').expect("a word and more"));
    parts.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

fn copied(rest: &str) -> (String, String) {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [from, source, place] = words[..] else { panic!("one path: COPY {rest}") };
    assert!(from.starts_with("--from="), "the last stage takes everything from others: COPY {rest}");
    (source.to_owned(), place.to_owned())
}

fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let words = shlex::split(text).expect("words");
    words.into_iter().map(|word| {
        let (key, value) = word.split_once('=').expect("key=value");
        (key.to_owned(), value.to_owned())
    })
}

/// A folder that holds what an image does, and what a runtime and a kubelet put into every container.
pub struct Folder {
    dir: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    user: String,
    /// Commands that mount what else is in it.
    mounts: String,
}

impl Folder {
    /// With `sources` for the paths that the image copies.
    pub fn of(image: &Image, sources: &BTreeMap<&str, PathBuf>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("everybody may enter");
        let folder =
            Self { dir, environment: image.environment.clone(), user: image.user.clone(), mounts: String::new() };
        for (source, place) in &image.copies {
            folder.copy(sources.get(source.as_str()).unwrap_or_else(|| panic!("nothing stands for {source}")), place);
        }
        for place in ["proc", "dev", "etc"] {
            fs::create_dir_all(folder.root().join(place)).expect("a folder");
        }
        folder.write("etc/hosts", "127.0.0.1 localhost\n");
        folder
    }

    /// With this machine's programs and libraries, in place of a base image and of what `RUN` brings into it, and with
    /// folders that belong to the image's user.
    pub fn on_a_base(mut self, own: &[&str]) -> Self {
        let root = self.root();
        for part in ["bin", "lib", "lib64"] {
            let whole = format!("usr/{part}");
            fs::create_dir_all(root.join(&whole)).expect("a folder");
            std::os::unix::fs::symlink(&whole, root.join(part)).expect("a link");
            self.mounts += &format!("mount --bind /{whole} '{}'\n", root.join(&whole).display());
        }
        let (user, group) = self.user.split_once(':').expect("user and group");
        for folder in own {
            let place = root.join(folder.trim_start_matches('/'));
            fs::create_dir_all(&place).expect("a folder");
            let ids = [user, group].map(|id| id.parse::<u32>().expect("a number"));
            std::os::unix::fs::chown(&place, Some(ids[0]), Some(ids[1])).expect("it is root who tests");
        }
        self
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn place(&self, path: &str) -> PathBuf {
        let place = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().expect("a parent")).expect("a folder");
        place
    }

    pub fn copy(&self, source: &Path, path: &str) {
        fs::copy(source, self.place(path)).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.place(path), text).expect("written");
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// A program that starts `command`, and its own arguments behind that, in the folder: as the image's user, who can
    /// become nobody else, with the image's environment, and, without a base, with nothing to write to. It stays the same
    /// process.
    pub fn program(&self, command: &[&str]) -> PathBuf {
        let quote = |word: &str| shlex::try_quote(word).expect("a word").into_owned();
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| quote(&format!("{name}={value}"))).collect();
        let (environment, command) =
            (environment.join(" "), command.iter().map(|word| quote(word)).collect::<Vec<_>>());
        let (mounts, root, user) = (&self.mounts, quote(self.root().to_str().expect("UTF-8")), &self.user);
        // A sandbox is there to be written to.
        let seal = if mounts.is_empty() { format!("mount -o remount,bind,ro {root}\n") } else { String::new() };
        let command = command.join(" ");
        let inside = self.script(
            "inside",
            &format!(
                "mount --bind {root} {root}\n{mounts}mount --rbind /proc {root}/proc\nmount --rbind /dev {root}/dev\n\
                 {seal}\
                 env=$(command -v env) setpriv=$(command -v setpriv) chroot=$(command -v chroot)\n\
                 exec \"$env\" -i {environment} \"$setpriv\" --no-new-privs \\\n\
                 \"$chroot\" --userspec={user} --groups= {root} {command} \"$@\"\n"
            ),
        );
        self.script("start", &format!("exec unshare --mount --propagation private {} \"$@\"\n", quote(&inside))).into()
    }

    fn script(&self, name: &str, lines: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh -eu\n{lines}")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it may be run");
        path.to_str().expect("UTF-8").to_owned()
    }
}

/// Whether this process may make such a folder a root.
pub fn is_possible() -> bool {
    let tried = std::process::Command::new("unshare").args(["--mount", "true"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: only root may start a program in an empty folder");
    }
    may
}
