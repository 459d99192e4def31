//! The warm level that demand asks for: counted claims, the smallest level that serves them, and
//! how fast it may change. Pure, and used by the plan only.
//!
//! A warm sandbox that is claimed is replaced at once, so a level of S means that S are warm or on
//! their way. A claim finds a warm one if fewer than S were claimed within the lead time before
//! it: the base-stock rule. How long sandboxes are used does not matter.

pub mod demand;
pub mod settle;
pub mod stock;

#[cfg(test)]
mod tests;
