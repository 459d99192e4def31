//! The book as mdBook builds it: every page is listed, every link leads somewhere, nothing is asked of another host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use mdbook_driver::MDBook;

use super::{all_pages, files, page};
use crate::typed::ROOT;

/// Names the folder where the book is kept (`make docs`); else it is built and forgotten.
const KEEP: &str = "SANDBAR_BOOK";

/// Builds the book; gives the text of each HTML page by its path in the book.
fn built(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut book = MDBook::load(Path::new(ROOT).join("docs")).expect("a book");
    book.config.build.build_dir = folder.to_owned();
    book.build().unwrap_or_else(|error| panic!("the book is not built: {error:?}"));
    let html = files(folder).into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "html"));
    // All pages in one, for printers, and the tree of pages for browsers without scripts say nothing of their own.
    let own = html.filter(|file| !["print.html", "toc.html", "404.html"].iter().any(|other| file.ends_with(other)));
    own.map(|file| {
        let text = std::fs::read_to_string(&file).expect("text");
        (file.strip_prefix(folder).expect("in the book").to_owned(), text)
    })
    .collect()
}

/// The values of an attribute.
fn values<'text>(html: &'text str, attribute: &str) -> Vec<&'text str> {
    let mark = format!(" {attribute}=\"");
    html.split(mark.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Where a link leads, from the top of the book; none if that is outside.
fn target(from: &Path, link: &str) -> Option<PathBuf> {
    let mut whole = from.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => whole.pop().then_some(())?,
            Component::Normal(part) => whole.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(whole)
}

/// What is wrong with a link of a page, or nothing.
fn problem(folder: &Path, pages: &BTreeMap<PathBuf, String>, from: &Path, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let found = if path.is_empty() { Some(from.to_owned()) } else { target(from, path) };
    let Some(found) = found.filter(|found| folder.join(found).exists()) else {
        return Some(format!("{}: {link} leads nowhere", from.display()));
    };
    // A heading's anchor is its own; what a page has more is mdBook's.
    let ids: BTreeSet<&str> = pages.get(&found).map(|html| values(html, "id").into_iter().collect())?;
    (!anchor.is_empty() && !ids.contains(anchor)).then(|| format!("{}: {link} has no such heading", from.display()))
}

#[test]
fn every_link_of_the_book_leads_somewhere_in_it() {
    let (kept, forgotten) = (std::env::var_os(KEEP), tempfile::tempdir().expect("a folder"));
    let folder = kept.map_or_else(|| forgotten.path().to_owned(), PathBuf::from);
    let pages = built(&folder);
    assert!(pages.len() > all_pages().len(), "each page, and the first one as index.html");
    let mut problems = Vec::new();
    let mut links = 0;
    for (from, html) in &pages {
        for link in values(html, "href").into_iter().chain(values(html, "src")) {
            // What a reader may follow is no request of the page.
            let asked = !html.contains(&format!("<a href=\"{link}\""));
            match link.contains("://") {
                true => problems.extend(asked.then(|| format!("{}: {link} is another host's", from.display()))),
                false => problems.extend(problem(&folder, &pages, from, link)),
            }
            links += 1;
        }
    }
    let styles = files(&folder).into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "css"));
    for file in styles {
        let text = std::fs::read_to_string(&file).expect("text");
        let remote = text.contains("url(http") || text.contains("url(\"http") || text.contains("@import");
        problems.extend(remote.then(|| format!("{} asks another host", file.display())));
    }
    assert!(problems.is_empty() && links > 500, "{links} links, of which:\n{}", problems.join("\n"));
}

#[test]
fn the_summary_lists_every_page_once() {
    let summary = page("SUMMARY.md");
    let mut listed: Vec<String> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|path| path.trim_start_matches("./").to_owned())
        .collect();
    listed.sort();
    assert_eq!(listed, all_pages(), "docs/src/SUMMARY.md, and the pages that there are");
}
