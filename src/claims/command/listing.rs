//! What `sandbar ls` and `sandbar cost` have in common.

use super::cluster::ClusterArgs;
use super::output::OutputArgs;

/// What every command that lists takes.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// How the list is printed.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Where it is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl ListArgs {
    /// A name as the list has it: with its namespace, where there may be several.
    pub fn full(&self, namespace: &str, name: &str) -> String {
        if self.all_namespaces { format!("{namespace}/{name}") } else { name.to_owned() }
    }

    /// Where nothing was found.
    pub fn place(&self, namespace: &str) -> String {
        if self.all_namespaces { "any namespace".to_owned() } else { format!("namespace {namespace}") }
    }
}
