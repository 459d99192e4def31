//! Registry credentials out of the file that `docker login` writes, which is
//! what a Secret of type kubernetes.io/dockerconfigjson holds.

use crate::api::{Image, RegistryType};
use data_encoding::BASE64;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The key under which such a Secret has the file.
pub(super) const KEY: &str = ".dockerconfigjson";

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    username: Option<String>,
    password: Option<String>,
    /// base64 of `user:password`.
    auth: Option<String>,
}

/// `user:token` of the entry that fits the image best.
///
/// # Errors
/// What is wrong with the file, without showing what is in it.
pub(super) fn credentials(file: &[u8], image: &Image) -> Result<String, String> {
    let config: Config = serde_json::from_slice(file)
        .map_err(|error| format!("is no such file (line {}, column {})", error.line(), error.column()))?;
    let repository = format!("{}/{}", image.registry.as_deref().unwrap_or_default(), image.repository);
    let hosts = hosts(image.registry_type);
    let fitting = config.auths.iter().filter_map(|(server, entry)| {
        let (host, path) = parts(server);
        let fits = hosts.contains(&host) && is_prefix(path, &repository);
        fits.then_some((path.len(), server, entry))
    });
    let Some((_, server, entry)) = fitting.max_by_key(|(length, _, _)| *length) else {
        let known: Vec<&str> = config.auths.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        return Err(format!("has no entry for {}, it has {known}", hosts.first().copied().unwrap_or_default()));
    };
    pair(entry).ok_or_else(|| format!("has neither username and password nor auth for {server}"))
}

/// Names of the registry, the usual one first.
fn hosts(registry: RegistryType) -> &'static [&'static str] {
    match registry {
        RegistryType::Ghcr => &["ghcr.io"],
        RegistryType::DockerHub => &["index.docker.io", "docker.io", "registry-1.docker.io", "registry.hub.docker.com"],
        RegistryType::Docr => &["registry.digitalocean.com"],
    }
}

/// Host and path of an entry's name, which may be a URL with a version of the registry's API.
fn parts(server: &str) -> (&str, &str) {
    let bare = server.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    match bare.split_once('/') {
        None => (bare, ""),
        Some((host, "v1" | "v2")) => (host, ""),
        Some((host, path)) => (host, path),
    }
}

/// Whether a path is the repository or something above it.
fn is_prefix(path: &str, repository: &str) -> bool {
    path.is_empty() || repository == path || repository.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

fn pair(entry: &Entry) -> Option<String> {
    if let (Some(user), Some(password)) = (&entry.username, &entry.password) {
        return Some(format!("{user}:{password}"));
    }
    let bytes = BASE64.decode(entry.auth.as_ref()?.trim().as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}
