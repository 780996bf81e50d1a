//! The repository's files.

use std::fs;
use std::path::{Path, PathBuf};

/// What is no part of a checkout, or not ours to judge.
const LEFT_OUT: [&str; 4] = [".git", ".venv", "__pycache__", "target"];

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct File {
    /// Where it is, from the root of the repository, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// Whether it is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it holds nothing but tests, or what only tests use.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
    }
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("this crate is no longer two folders below the root: correct files::root")
}

/// One file of the repository.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}. Write it, or correct the test that reads it."))
}

/// Every text file of the repository, by path.
///
/// # Panics
/// A folder cannot be read.
#[must_use]
pub fn all() -> Vec<File> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder changed while it was read: run the test again").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The names of a text's tests: functions under an attribute that ends in `test]`.
#[must_use]
pub fn tests_in(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut attributed = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributed |= line.contains("test]") || line.contains("test(");
        } else if let Some(name) = function(line) {
            if attributed {
                names.push(name.to_owned());
            }
            attributed = false;
        } else if !line.is_empty() && !line.starts_with("//") {
            attributed = false;
        }
    }
    names
}

fn function(line: &str) -> Option<&str> {
    let (_, rest) =
        line.split_once("fn ").filter(|(before, _)| matches!(*before, "" | "async " | "pub " | "pub async "))?;
    rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().filter(|name| !name.is_empty())
}
