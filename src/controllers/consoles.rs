//! Consoles of members, opened for whom the guard has let in.

use super::context::Context;
use crate::api::Sandbox;
use crate::console::ConsoleError;
use crate::console::server::{Consoles, Place, Refused};
use crate::failure::chain;
use crate::providers::ConsoleAddress;
use async_trait::async_trait;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;

/// Finds a member, and asks its provider for its console.
pub struct MemberConsoles(pub Arc<Context>);

#[async_trait]
impl Consoles for MemberConsoles {
    async fn address(&self, place: &Place) -> Result<ConsoleAddress, Refused> {
        let Self(context) = self;
        let found = context.sandboxes.get(&ObjectRef::new(&place.name).within(&place.namespace));
        let sandbox = found.and_then(|guarded| guarded.0.as_ref().ok().cloned());
        let sandbox = sandbox.filter(|sandbox| sandbox.metadata.uid.as_deref() == Some(&place.uid));
        let sandbox = sandbox.ok_or_else(|| Refused::NoSandbox(place.name.clone()))?;
        let (account, id) = enterable(&sandbox)?;
        let Some(template) = &sandbox.spec.template else { return Err(Refused::NoSandbox(place.name.clone())) };
        let connection = context.accounts.resolve(&place.namespace, &template.provider).await;
        let connection = connection.map_err(|error| Refused::NotNow(chain(&error)))?;
        if connection.account.0 != account {
            let now = &connection.account;
            return Err(Refused::NotNow(format!(
                "the credentials open account {now}, but the sandbox is in {account}"
            )));
        }
        connection.provider.console(id).await.map_err(|error| ConsoleError::from(error).into())
    }
}

/// The account and the instance of a sandbox that somebody holds and that can be entered here. What nobody holds stays
/// untouched, for whoever claims it.
fn enterable(sandbox: &Sandbox) -> Result<(&str, &str), Refused> {
    let name = sandbox.metadata.name.as_deref().unwrap_or_default();
    let no = |why: &str| Err(Refused::NotNow(format!("sandbox {name} {why}")));
    if !sandbox.is_worker() {
        return no("has an address of its own: see its status.url");
    }
    if sandbox.held_by().is_none() {
        return no("is held by nobody: claim it first");
    }
    if sandbox.is_deleting() {
        return no("is being deleted: its claim is over");
    }
    let running = sandbox.instance().filter(|instance| instance.failure.is_none() && instance.ready_at.is_some());
    match running.and_then(|instance| Some((instance.account.as_str(), instance.id.as_deref()?))) {
        Some(found) => Ok(found),
        None => no("is not ready yet"),
    }
}
