//! What the documents claim is so.

use std::collections::{BTreeMap, BTreeSet};

use house::assert_none;
use house::files::{self, File};

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const EDGE_CASES: &str = "docs/edge-cases.md";

/// The invariants that the code of today must hold. A function that moves in brings its own.
const INVARIANTS: [&str; 26] = [
    "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "F1", "L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9",
    "S1", "S2", "S3", "S4", "S5", "S6", "S7",
];

/// What a test of an edge case has in its name.
const CASES: [&str; 3] = ["watcher_case_", "lifecycle_case_", "snapshot_case_"];

/// The words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The document's invariants, by number, with the tests that hold them: the list items that begin with `- **W1**`, with
/// the names between `Held by` and the end of the item.
fn invariants(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((_, item)) = rest.split_once("\n- **") {
        rest = item;
        let end = ["\n- ", "\n\n", "\n#"].iter().filter_map(|mark| item.find(mark)).min().unwrap_or(item.len());
        let (item, _) = item.split_at(end);
        if let Some((number, body)) = item.split_once("**").filter(|(number, _)| is_number(number)) {
            let tests = body.rsplit_once("Held by").map(|(_, tests)| quoted(tests)).unwrap_or_default();
            found.insert(number.to_owned(), tests.into_iter().map(str::to_owned).collect());
        }
    }
    found
}

/// `W1`, and no other word in bold.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `w1_...` is of W1.
fn number_of(test: &str) -> Option<String> {
    let (head, _) = test.split_once('_')?;
    let number = head.to_uppercase();
    (is_number(&number) && "WFLS".contains(number.get(..1)?)).then_some(number)
}

fn every_test() -> BTreeSet<String> {
    files::all().iter().filter(|f| f.is_rust()).flat_map(|f| files::tests_in(&f.text)).collect()
}

#[test]
fn every_invariant_is_listed_and_held_by_tests_that_exist() {
    let listed = invariants(&files::read(ARCHITECTURE));
    let tests = every_test();
    let mut found = Vec::new();
    for number in INVARIANTS {
        match listed.get(number) {
            None => found.push(format!("{number} is not listed")),
            Some(held_by) if held_by.is_empty() => found.push(format!("{number} names no test")),
            Some(held_by) if !held_by.iter().any(|test| number_of(test).as_deref() == Some(number)) => {
                found.push(format!("{number} names no test that carries its number"));
            }
            Some(_) => {}
        }
    }
    for (number, held_by) in &listed {
        if held_by.is_empty() && !INVARIANTS.contains(&number.as_str()) {
            found.push(format!("{number} names no test"));
        }
        let missing = held_by.iter().filter(|test| !tests.contains(*test));
        found.extend(missing.map(|test| format!("{number} names `{test}`, and there is no such test")));
    }
    assert_none(
        &found,
        "Correct docs/ARCHITECTURE.md: `- **W1** What holds. Held by `w1_a_test`, `w1_another`.` Where a test is missing, write it.",
    );
}

#[test]
fn every_numbered_test_is_of_a_listed_invariant() {
    let listed = invariants(&files::read(ARCHITECTURE));
    let found: Vec<String> = every_test()
        .iter()
        .filter_map(|test| number_of(test).map(|number| (test, number)))
        .filter(|(_, number)| !listed.contains_key(number))
        .map(|(test, number)| format!("`{test}` holds {number}, which is not listed"))
        .collect();
    assert_none(&found, "List the invariant in docs/ARCHITECTURE.md, or give the test the number of what it holds.");
}

/// The rows of a document's tables: the first cell, and the last one.
fn rows(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .filter_map(|row| Some((row.split(" | ").next()?, row.rsplit(" | ").next()?)))
        .filter(|(_, last)| *last != "held by")
        .collect()
}

#[test]
fn every_edge_case_is_held_by_tests_that_exist_or_says_why_not() {
    let document = files::read(EDGE_CASES);
    let tests = every_test();
    let (cases, _features) = document.split_once("\n## Features").expect("docs/edge-cases.md has a section `Features`");
    let mut found = Vec::new();
    for (case, held_by) in rows(&document) {
        let named = quoted(held_by);
        found.extend(named.iter().filter(|t| !tests.contains(**t)).map(|t| format!("{case}: there is no test `{t}`")));
        if named.is_empty() && !held_by.starts_with("Not covered: ") {
            found.push(format!("{case}: neither a test nor a reason"));
        }
    }
    let bugs = tests_of_bugs(&document);
    for (case, held_by) in rows(cases) {
        let named = quoted(held_by);
        let is_a_bug = |test: &str| bugs.contains(test) || test.starts_with("peers_bug_");
        if !named.is_empty() && !named.iter().any(|test| is_a_case(test) || is_a_bug(test)) {
            found.push(format!("{case}: no test of a case, as `lifecycle_case_...`, among its tests"));
        }
    }
    assert_none(&found, "Correct docs/edge-cases.md: the last column names tests, or begins with `Not covered:`.");
}

fn is_a_case(test: &str) -> bool {
    CASES.iter().any(|case| test.contains(case))
}

/// What others got wrong is tested under their names.
fn tests_of_bugs(document: &str) -> BTreeSet<&str> {
    let (_, below) = document.split_once("\n### Bugs of others\n").unwrap_or_default();
    assert!(!below.is_empty(), "docs/edge-cases.md does not list others' bugs");
    let listed = rows(below.split("\n## ").next().unwrap_or_default());
    listed.into_iter().flat_map(|(_, held_by)| quoted(held_by)).collect()
}

/// `lifecycle_case_10_and_11_...` shows the cases 10 and 11.
fn numbers<'a>(test: &'a str, prefix: &str) -> Vec<&'a str> {
    let Some((_, rest)) = test.split_once(prefix) else { return Vec::new() };
    rest.split('_').take_while(|word| *word == "and" || is_digits(word)).filter(|word| is_digits(word)).collect()
}

fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

#[test]
fn every_numbered_case_is_listed_once_with_the_tests_of_its_number() {
    let document = files::read(EDGE_CASES);
    let (nodes, points) = document.split_once("\n## Restore points").expect("docs/edge-cases.md has restore points");
    let points = points.split("\n### ").next().unwrap_or_default();
    let of_points: Vec<u32> = (1..=36).chain(51..=53).collect();
    let mut found = Vec::new();
    for (text, prefix, expected) in
        [(nodes, "lifecycle_case_", (1..=47).collect()), (points, "snapshot_case_", of_points)]
    {
        let listed: Vec<(&str, &str)> = rows(text).into_iter().filter(|(case, _)| is_digits(case)).collect();
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let all: Vec<&str> = listed.iter().map(|(case, _)| *case).collect();
        assert_eq!(all, expected, "docs/edge-cases.md: one row for each {prefix}N, in their order");
        for test in every_test() {
            for number in numbers(&test, prefix) {
                let row = listed.iter().find(|(case, _)| *case == number);
                if !row.is_some_and(|(_, held_by)| quoted(held_by).contains(&test.as_str())) {
                    found.push(format!("`{test}` is not in the row {number}"));
                }
            }
        }
    }
    assert_none(&found, "Name the test in docs/edge-cases.md, in the row of each of its numbers.");
}

#[test]
fn every_edge_case_s_test_stands_in_a_table() {
    let document = files::read(EDGE_CASES);
    let listed: BTreeSet<&str> = rows(&document).into_iter().flat_map(|(_, held_by)| quoted(held_by)).collect();
    let found: Vec<String> =
        every_test().into_iter().filter(|test| is_a_case(test) && !listed.contains(test.as_str())).collect();
    assert_none(&found, "Give the test a row in docs/edge-cases.md, or another name.");
}

#[test]
fn the_readmes_commands_are_those_of_the_makefile() {
    let makefile = files::read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.contains("##"))
        .filter_map(|line| line.split_once(':'))
        .map(|(target, _)| target)
        .filter(|target| target.bytes().all(|b| b.is_ascii_lowercase()))
        .collect();
    let readme = files::read("README.md");
    let named: BTreeSet<&str> = readme
        .split("make ")
        .skip(1)
        .zip(readme.split("make "))
        // Only as code: in backticks, or at the start of a line.
        .filter(|(_, before)| before.ends_with(['`', '\n']) || before.ends_with("    ") || before.ends_with("$ "))
        .filter_map(|(after, _)| after.split(|c: char| !c.is_ascii_lowercase()).next())
        .collect();
    let unknown =
        named.difference(&targets).map(|target| format!("README.md names `make {target}`, which is no target"));
    let unnamed = targets.difference(&named).map(|target| format!("`make {target}` is not in README.md"));
    assert_none(
        &unknown.chain(unnamed).collect::<Vec<_>>(),
        "Bring README.md and the Makefile to the same commands: a target that a person should know has `## what it does`.",
    );
}

#[test]
fn links_lead_somewhere() {
    let files = files::all();
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let path = if path.is_empty() { file.path.clone() } else { joined(folder, path) };
            if !files::root().join(&path).exists() {
                found.push(format!("{}: {link}", file.path));
            } else if let Some(target) = files.iter().find(|f| f.path == path && !anchor.is_empty()) {
                let reachable = target.text.lines().any(|l| l.starts_with('#') && slug(l) == anchor);
                found.extend((!reachable).then(|| format!("{}: {link} has no such heading", file.path)));
            }
        }
    }
    assert_none(&found, "Correct the link: it is read from the folder of its document.");
}

fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The anchor that a heading gets.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let places = ["work", "root", "home", "Users"].map(|place| format!("/{place}/"));
    let mut found = Vec::new();
    for File { path, text } in &files::all() {
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none(&found, "Write the path from the root of the repository, or from $HOME: nobody else has this one.");
}

#[test]
fn no_file_is_too_long_to_read() {
    const LINES: usize = 500;
    let found: Vec<String> = files::all()
        .iter()
        .filter(|f| f.is_rust() && !f.is_test())
        .map(|f| (&f.path, f.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(path, lines)| format!("{path} has {lines} lines"))
        .collect();
    assert_none(&found, "Find the second subject in it and give that a file of its own; 500 lines are the most.");
}

#[test]
fn the_readmes_spec_is_valid() {
    let readme = files::read("README.md");
    let specs: Vec<&str> =
        readme.split("```json\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(json, _)| json)).collect();
    assert!(!specs.is_empty(), "README.md shows no spec: show one, in a block of ```json");
    for spec in specs {
        let value = serde_json::from_str(spec).unwrap_or_else(|error| panic!("README.md: {error}: correct it\n{spec}"));
        let problems = domain::spec::validate(&value).err().unwrap_or_default();
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_none(&found, "Correct the spec in README.md: it is the first that a user copies.");
    }
}
