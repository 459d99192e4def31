pub mod command;
pub mod runtime;
