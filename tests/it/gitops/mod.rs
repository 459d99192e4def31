//! Sandbar under tools that apply Git: what they say of its objects, and that they and the operator leave each other's
//! fields alone.

mod film;
mod manifests;
mod reapply;
mod tools;
mod verdicts;
