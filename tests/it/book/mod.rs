//! The book in `docs/`: it is built, its links lead somewhere, what it lists is what there is, and its commands are typed.

mod build;
mod pages;
mod words;

use std::path::{Path, PathBuf};

use crate::typed::ROOT;

/// Where the pages are, below the repository.
const PAGES: &str = "docs/src";

/// The text of a page, whose path is below the book.
fn page(path: &str) -> String {
    let file = Path::new(ROOT).join(PAGES).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every Markdown file of the book but its summary, as a path below the book.
fn all_pages() -> Vec<String> {
    let root = Path::new(ROOT).join(PAGES);
    let mut pages: Vec<String> = files(&root)
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .map(|file| file.strip_prefix(&root).expect("a file of the book").display().to_string())
        .filter(|page| page != "SUMMARY.md")
        .collect();
    pages.sort();
    assert!(pages.len() > 10, "pages are not found any more: {pages:?}");
    pages
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
