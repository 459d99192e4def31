//! The real SDK.
