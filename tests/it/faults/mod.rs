//! What a slow, lying or dead provider, wrong credentials and bad moments do: nothing twice, nothing left.

mod accounts;
mod apiserver;
mod budget;
#[cfg(target_os = "linux")]
pub mod clocks;
mod creates;
mod credentials;
mod deletes;
mod instances;
mod leaders;
mod neighbours;
mod outages;
mod restarts;
