//! No invariant without a test that names it: the one list of their ids, held
//! against the names of all tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The invariants (docs/src/concepts/failures.md) and the rule that stands in the admission policy, not in `RULES`.
/// The rules in `RULES` are held by `every_rule_has_a_row`.
const IDS: [&str; 15] = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S14", "V1"];

#[test]
fn every_invariant_has_a_test_that_names_it() {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut names);
    }
    assert!(names.contains("every_invariant_has_a_test_that_names_it"), "the names of tests are not found any more");
    let missing: Vec<_> = IDS.iter().filter(|id| !names.iter().any(|name| speaks_of(name, id))).collect();
    assert!(missing.is_empty(), "no test's name ends or goes on with _<id> for {missing:?}");
}

/// Whether a test's name has the id as one of its words: `..._s1` speaks of S1 and not of S10.
fn speaks_of(name: &str, id: &str) -> bool {
    name.split('_').any(|word| word.eq_ignore_ascii_case(id))
}

/// Collects the names of the tests in all Rust files below a folder.
fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_of(&fs::read_to_string(&path).expect("source text")));
        }
    }
}

/// The functions right below a test attribute.
fn tests_of(source: &str) -> impl Iterator<Item = String> + '_ {
    let mut marked = false;
    source.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with("#[") {
            marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            return None;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let name = function.and_then(|rest| rest.split('(').next()).filter(|_| marked);
        // A comment may stand between the attribute and the function.
        marked &= line.starts_with("//");
        name.map(str::to_owned)
    })
}
