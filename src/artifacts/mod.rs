//! Snapshots: the files of a sandbox, kept in an object store (S3, Spaces, a local folder).
//!
//! A snapshot is an archive and a manifest below `ADDRESS/NAMESPACE/snapshots/NAME/`. The archive is written first,
//! under a key that nobody else writes; the manifest comes last and names it with size and digest. Readers go by the
//! manifest alone, so a half-uploaded snapshot is one that does not exist, and what does not fit its digest is never
//! unpacked. Names of keys and fields are those of `do-app-sandbox` 0.2.3, whose snapshots can be restored too.
//!
//! * [`address`]: which store, from an address and the usual `AWS_*` variables.
//! * [`snapshots`]: the snapshots of one namespace in it.
//! * [`publish`]: a folder of this machine as a snapshot.
//! * [`transfer`]: out of a sandbox into the store and back, through the agent.

pub mod address;
mod manifest;
mod name;
mod pack;
mod publish;
pub mod snapshots;
mod stream;
pub mod transfer;

pub use address::{AddressError, Store};
pub use manifest::Manifest;
pub use name::{BadName, HIBERNATED, check_name, hibernated_by, hibernated_name, hibernated_prefix};
pub(crate) use pack::FROM_THE_ROOT;
pub use pack::PackError;
pub use publish::{PublishError, publish};
pub use snapshots::{SnapshotError, Snapshots};
pub use transfer::{SaveOptions, TransferError, Unpack, restore, save};
