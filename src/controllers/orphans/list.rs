//! The list that people read and approve: a ConfigMap in the operator's namespace.

use crate::api::orphans::{APPROVE_ANNOTATION, DATA_KEY, Orphan, config_map_name};
use crate::controllers::context::Context;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;

/// The list as it was read.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// What is listed.
    pub orphans: Vec<Orphan>,
    /// The digest of the list that somebody approved.
    pub approval: Option<String>,
    /// UID and version of the ConfigMap; None = there is none.
    version: Option<(Option<String>, Option<String>)>,
}

/// The list could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Somebody wrote it in between, maybe an approval; the next sweep sees it.
    #[error("ConfigMap {0} was changed in between")]
    Conflict(String),
    /// The API server refused or did not answer.
    #[error("ConfigMap {name}: cannot {what} the list of orphans")]
    Api {
        /// The ConfigMap.
        name: String,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: kube::Error,
    },
}

fn maps(context: &Context) -> Api<ConfigMap> {
    Api::namespaced(context.client.clone(), &context.system_namespace)
}

/// Reads the list live.
///
/// # Errors
/// When it cannot be read. One that somebody broke is an empty one: it is written anew.
pub async fn read(context: &Context) -> Result<List, ListError> {
    let name = config_map_name(&context.lease_name);
    let map = maps(context).get_opt(&name).await;
    let map = map.map_err(|source| ListError::Api { name: name.clone(), what: "read", source })?;
    let Some(map) = map else { return Ok(List::default()) };
    let text = map.data.as_ref().and_then(|data| data.get(DATA_KEY)).map_or("[]", String::as_str);
    let orphans = serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(config_map = name, key = DATA_KEY, %error, "this is no list of orphans; it is written anew");
        Vec::new()
    });
    let approval = map.metadata.annotations.as_ref().and_then(|all| all.get(APPROVE_ANNOTATION)).cloned();
    Ok(List { orphans, approval, version: Some((map.metadata.uid, map.metadata.resource_version)) })
}

/// Writes the list if it says something new. What was approved stands in its entries from then on: the annotation has
/// done its work.
///
/// # Errors
/// When it cannot be written, or was changed since it was read.
pub async fn write(context: &Context, before: &List, orphans: &[Orphan]) -> Result<(), ListError> {
    if same(&before.orphans, orphans) {
        return Ok(());
    }
    let name = config_map_name(&context.lease_name);
    let data = BTreeMap::from([(DATA_KEY.to_owned(), json!(orphans).to_string())]);
    let answer = match &before.version {
        None => {
            let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
            let map = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
            maps(context).create(&PostParams::default(), &map).await
        }
        Some((uid, version)) => {
            let metadata = json!({"uid": uid, "resourceVersion": version, "annotations": {APPROVE_ANNOTATION: null}});
            let patch = json!({"metadata": metadata, "data": data});
            maps(context).patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await
        }
    };
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Err(ListError::Conflict(name))
        }
        Err(source) => Err(ListError::Api { name, what: "write", source }),
    }
}

/// Whether two lists say the same; a further sweep alone is no news.
fn same(before: &[Orphan], after: &[Orphan]) -> bool {
    let plain = |orphan: &Orphan| Orphan { seen_sweeps: 0, ..orphan.clone() };
    before.len() == after.len() && before.iter().zip(after).all(|(before, after)| plain(before) == plain(after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::orphans::OrphanState;

    #[test]
    fn a_further_sweep_alone_is_not_written_s10() {
        let orphan = Orphan { id: "1".to_owned(), seen_sweeps: 2, ..Orphan::default() };
        assert!(same(std::slice::from_ref(&orphan), &[Orphan { seen_sweeps: 3, ..orphan.clone() }]));
        for other in [
            Orphan { state: OrphanState::Deleting, ..orphan.clone() },
            Orphan { approved: true, ..orphan.clone() },
            Orphan { id: "2".to_owned(), ..orphan.clone() },
        ] {
            assert!(!same(std::slice::from_ref(&orphan), &[other]));
        }
        assert!(!same(&[orphan], &[]));
    }
}
