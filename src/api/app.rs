//! Apps: what can be launched in a claimed sandbox of a pool, and how far a launch is.

use super::{SnapshotRef, Span};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that can be launched in a claimed sandbox: where its files come from, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// What a claim names it by. Its files are in `/workspace/<name>`.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// For people; absent = the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub title: Option<String>,
    /// The snapshot that has its files, as `sandbar app publish` makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// Where its files come from when there is no snapshot, or it cannot be had. Neither of the two: the image has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,
    /// Run once by a shell in the app's folder before it is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub install: Option<String>,
    /// What a shell runs in the app's folder, with PORT in its environment; it must stay in the foreground.
    #[schemars(length(min = 1, max = 1024))]
    pub run: String,
    /// The port that it serves HTTP on; not the agent's (8080).
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The path that answers with a status below 400 once it can be used.
    #[serde(default = "default_health_path")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[^\s?#]*$"))]
    pub health_path: String,
    /// From the launch until it answers, at most.
    #[serde(default = "default_deadline")]
    pub deadline: Span,
}

fn default_port() -> i32 {
    5000
}

fn default_health_path() -> String {
    "/".to_owned()
}

fn default_deadline() -> Span {
    Span::minutes(5)
}

impl App {
    /// What people call it.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }
}

/// A folder in a git repository that everybody may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitSource {
    /// Address of the repository.
    #[schemars(length(min = 9, max = 256), regex(pattern = r"^https://[^\s@?#]+$"))]
    pub url: String,
    /// Branch or tag; absent = the repository's own choice.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9_./-]*$"))]
    pub ref_: Option<String>,
    /// The app's folder in it; absent = the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]*([./][A-Za-z0-9_-]+)*$"))]
    pub path: Option<String>,
}

/// The app that a claim launches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppRef {
    /// Its name in `spec.apps` of the pool.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// Where its files are taken from first; absent = its snapshot, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<AppSource>,
}

/// Where the files of an app come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AppSource {
    /// Its snapshot; its git repository where that cannot be had.
    Snapshot,
    /// Its git repository.
    Git,
    /// The image, or what is in the sandbox already.
    Image,
}

/// How far a launch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LaunchStep {
    /// Its files come.
    Files,
    /// It is being installed.
    Install,
    /// It is being started.
    Start,
    /// It runs, and does not answer yet.
    Answer,
    /// It answers.
    Ready,
    /// It has ended, or was never started; condition AppReady says why.
    Failed,
}

/// The app that a member's claim launches, from the launch on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// As the pool had it when the launch began.
    pub app: App,
    /// The attempt whose instance it runs in.
    pub attempt: i32,
    /// The deployment that it runs in: another one lost it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub deployment_id: Option<String>,
    /// When the launch began.
    pub begun_at: Time,
    /// How far it is.
    pub step: LaunchStep,
    /// Where its files came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<AppSource>,
    /// Its process in the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// How long the steps of a launch took, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Timings {
    /// Requests: until it had a sandbox that could be used, from when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquire_ms: Option<i64>,
    /// Until the app's files were there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_ms: Option<i64>,
    /// Its installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_ms: Option<i64>,
    /// Until its process was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// From then until it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_ms: Option<i64>,
    /// From the launch until it answered; requests: from when they were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<i64>,
}

/// One thing that happened on the way to a running app, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// From 1 on, without gaps, also where older ones are not kept any more.
    pub number: i32,
    /// When.
    pub time: MicroTime,
    /// What, in a line.
    #[schemars(length(max = 512))]
    pub message: String,
    /// Whether something went wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
}
