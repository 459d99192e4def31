//! What is written from the program itself, so that it is never wrong: the reference of the command line and of the
//! API as pages of `docs/`, and manual pages.

mod api;
mod cli;
pub mod command;
mod fields;
mod spoken;

pub use api::api;
pub use cli::{cli, man};

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn pages_are_what_the_parser_and_the_types_say() {
        for (name, fresh) in [("cli.md", super::cli()), ("api.md", super::api())] {
            let name = format!("docs/src/reference/{name}");
            let stored = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&name)).unwrap_or_default();
            assert!(stored == fresh, "{name} is stale: run `make generate`");
        }
    }
}
