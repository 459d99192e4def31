//! What is known of a snapshot: `metadata.json` beside its archive.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a snapshot holds. The first seven fields are those of `do-app-sandbox`; without `sha256` it made the snapshot,
/// and only the size can be checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name.
    pub snapshot_id: String,
    /// When it was finished, in seconds since the epoch.
    pub created_at: f64,
    /// The image that its sandbox ran.
    #[serde(default)]
    pub sandbox_image: Option<String>,
    /// Bytes of the archive.
    pub size_bytes: u64,
    /// The folders it holds, absolute.
    pub paths: Vec<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// For people's tools.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Name of the archive beside the manifest.
    #[serde(default = "archive")]
    pub archive: String,
    /// Digest of the archive, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

fn archive() -> String {
    "archive.tar.gz".to_owned()
}

impl Manifest {
    /// Whether the archive's name leads to a neighbour of the manifest and nowhere else.
    pub(super) fn is_plain(&self) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        self.archive.starts_with("archive") && self.archive.chars().all(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_the_public_sdk_is_read() {
        let text = r#"{"snapshot_id": "snap-0123456789ab", "created_at": 1764000000.25, "sandbox_image": "python",
            "size_bytes": 42, "paths": ["/workspace"], "description": null, "tags": {}}"#;
        let manifest: Manifest = serde_json::from_str(text).expect("a manifest");
        assert_eq!((manifest.archive.as_str(), manifest.sha256), ("archive.tar.gz", None));
    }

    #[test]
    fn an_archive_elsewhere_is_not_plain() {
        let manifest = |archive: &str| Manifest {
            snapshot_id: "s".into(),
            created_at: 0.0,
            sandbox_image: None,
            size_bytes: 0,
            paths: vec![],
            description: None,
            tags: BTreeMap::new(),
            archive: archive.into(),
            sha256: None,
        };
        assert!(manifest("archive-0123.tar.gz").is_plain());
        for bad in ["../x/archive.tar.gz", "archive/../../x", "metadata.json", ""] {
            assert!(!manifest(bad).is_plain(), "{bad}");
        }
    }
}
