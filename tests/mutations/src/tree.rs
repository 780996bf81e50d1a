//! A copy of the sources that decide, as a workspace of their own.
//!
//! The functions' libraries know no SDK; their `main.rs` alone do, and stay behind with the aws crates. The copy has a build
//! folder of its own: two trees that share one would take each other's crates for their own, broken ones included.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::Failure;

/// What is copied, beside the crates of `shared/`.
const FUNCTIONS: [&str; 3] = ["functions/peering-watcher", "functions/asg-lifecycle", "functions/snapshot-scheduler"];
const SHARED: &str = "shared";
/// Of the shared crates' own tests, those that need no wire.
const IN_MEMORY: &str = "shared/domain/tests";
/// What is not: the crates that speak to AWS or stand for it, and what only tests over the wire use.
const LEFT_OUT: [&str; 5] = ["aws", "aws-ec2", "lab", "sim", "stack"];

/// The copy.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    build: PathBuf,
}

impl Tree {
    /// Brings the copy in `place` up to date with the checkout at `root`. What did not change stays untouched, and is not
    /// built again.
    ///
    /// # Errors
    /// A file could not be read or written.
    pub fn of(root: &Path, place: &Path) -> Result<Self, Failure> {
        let tree = Self { root: place.join("tree"), build: place.join("build") };
        let mut wanted = Vec::new();
        let mut members = Vec::new();
        for function in FUNCTIONS {
            tree.take(root, Path::new(function), &mut wanted)?;
            members.push(function.to_owned());
        }
        for name in names_in(&root.join(SHARED))? {
            if !LEFT_OUT.contains(&name.as_str()) {
                tree.take(root, &Path::new(SHARED).join(&name), &mut wanted)?;
                members.push(format!("{SHARED}/{name}"));
            }
        }
        for file in ["Cargo.lock", "clippy.toml", "rustfmt.toml"] {
            let _ = tree.bring(root, Path::new(file), &mut wanted);
        }
        let manifest = read(&root.join("Cargo.toml"))?;
        tree.write("Cargo.toml", &workspace(&manifest, &members))?;
        wanted.push(PathBuf::from("Cargo.toml"));
        tree.drop_what_is_not(&wanted)?;
        Ok(tree)
    }

    /// A file of the copy.
    ///
    /// # Errors
    /// It could not be read.
    pub fn read(&self, file: &str) -> Result<String, Failure> {
        read(&self.root.join(file))
    }

    /// Writes a file of the copy, unless it is so already.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&self, file: &str, text: &str) -> Result<(), Failure> {
        let path = self.root.join(file);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).map_err(|error| Failure::File { path, error })
    }

    /// Cargo in the copy, without the network.
    #[must_use]
    pub fn cargo(&self, verb: &str) -> Command {
        let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let mut command = self.command(&cargo);
        command.arg(verb).arg("--offline").env("CARGO_TARGET_DIR", &self.build);
        command
    }

    /// A program in the copy.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // Of many failing tests, each trace takes longer than the test.
        command.current_dir(&self.root).env("RUST_BACKTRACE", "0");
        command
    }

    fn take(&self, root: &Path, folder: &Path, wanted: &mut Vec<PathBuf>) -> Result<(), Failure> {
        for name in names_in(&root.join(folder))? {
            let path = folder.join(&name);
            // The tests of shared crates run over the wire, the domain's excepted; what decides is tested beside it, or with
            // the functions.
            let over_the_wire = path.starts_with(SHARED) && name == "tests" && path != Path::new(IN_MEMORY);
            if root.join(&path).is_dir() && !over_the_wire {
                self.take(root, &path, wanted)?;
            } else if !over_the_wire && !FUNCTIONS.iter().any(|f| path == Path::new(f).join("src/main.rs")) {
                self.bring(root, &path, wanted)?;
            }
        }
        Ok(())
    }

    fn bring(&self, root: &Path, path: &Path, wanted: &mut Vec<PathBuf>) -> Result<(), Failure> {
        let mut text = read(&root.join(path))?;
        if path.file_name() == Some(OsStr::new("Cargo.toml")) {
            text = without_the_rest(&text);
        }
        wanted.push(path.to_owned());
        self.write(&path.to_string_lossy(), &text)
    }

    /// A file that left the checkout leaves the copy: cargo finds tests by looking.
    fn drop_what_is_not(&self, wanted: &[PathBuf]) -> Result<(), Failure> {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for name in names_in(&folder)? {
                let path = folder.join(name);
                let known = path.strip_prefix(&self.root).is_ok_and(|p| wanted.iter().any(|w| w == p));
                if path.is_dir() {
                    folders.push(path);
                } else if !known {
                    fs::remove_file(&path).map_err(|error| Failure::File { path, error })?;
                }
            }
        }
        Ok(())
    }
}

/// The names in a folder, sorted.
fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let list = || -> io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        let mut names: Vec<String> = entries.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    };
    list().map_err(|error| Failure::File { path: folder.to_owned(), error })
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::File { path: path.to_owned(), error })
}

/// The workspace's manifest with these members alone, and without the debug information that nobody reads.
fn workspace(manifest: &str, members: &[String]) -> String {
    let list = members.iter().map(|m| format!("{m:?}")).collect::<Vec<_>>().join(", ");
    let line = |line: &str| match line.split('=').next().map(str::trim) {
        Some("members") => format!("members = [{list}]"),
        Some("exclude") => String::new(),
        Some("debug") => "debug = false".to_owned(),
        _ => line.to_owned(),
    };
    manifest.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A crate's manifest without the crates that are left out.
fn without_the_rest(manifest: &str) -> String {
    let is_left_out = |line: &&str| LEFT_OUT.iter().any(|name| line.starts_with(&format!("{name}.workspace")));
    manifest.lines().filter(|line| !is_left_out(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_lose_what_is_left_out_and_nothing_else() {
        let manifest = "[dependencies]\naws.workspace = true\naws-ec2.workspace = true\nawsome.workspace = true\n";
        assert_eq!(without_the_rest(manifest), "[dependencies]\nawsome.workspace = true");
        let manifest = "[workspace]\nmembers = [\"functions/*\"]\nexclude = [\"tests/aws\"]\nedition = \"2024\"";
        assert_eq!(
            workspace(manifest, &["a".to_owned(), "b/c".to_owned()]),
            "[workspace]\nmembers = [\"a\", \"b/c\"]\n\nedition = \"2024\""
        );
    }
}
