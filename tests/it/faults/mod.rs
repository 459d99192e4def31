//! What a slow, lying or dead provider, wrong credentials and bad moments do: nothing twice, nothing left.

mod apiserver;
mod budget;
mod creates;
mod credentials;
mod deletes;
mod instances;
mod leaders;
mod restarts;
