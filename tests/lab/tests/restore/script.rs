//! `infra/node/restore`, run as on a node.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::production::Folder;

pub(crate) const UNABLE: i32 = 3;
pub(crate) const VOLUME: i32 = 4;
pub(crate) const TORN: i32 = 5;
pub(crate) const RUNNING: i32 = 6;
pub(crate) const ANOTHER: i32 = 7;
pub(crate) const GUARDED: i32 = 8;

/// What it answered.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}", self.text);
        self.text
    }

    /// Refused with this code, and these words.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}", self.text);
        let refusal = self.text.lines().find_map(|line| line.strip_prefix("refused: "));
        assert!(refusal.is_some_and(|refusal| refusal.contains(words)), "{words}: {}", self.text);
    }
}

pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/node/restore").canonicalize().unwrap()
}

/// As a command, with the folders of a node of its own.
pub(crate) fn command(folder: &Folder) -> Command {
    let systemd = folder.path().join("systemd");
    fs::create_dir_all(&systemd).unwrap();
    fs::write(systemd.join("patroni.service"), "[Unit]\n").unwrap();
    let mut command = Command::new("sh");
    command.arg(path()).current_dir("/").stdin(Stdio::null());
    command.env("PILOTHOUSE_STATE", folder.path().join("state")).env("PILOTHOUSE_SYSTEMD", systemd);
    command
}

pub(crate) fn ended(mut command: Command) -> Said {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    Said { code: output.status.code().unwrap(), text }
}

pub(crate) fn restore<A: AsRef<OsStr>>(folder: &Folder, arguments: &[A]) -> Said {
    let mut command = command(folder);
    command.args(arguments);
    ended(command)
}

/// Everything below a folder: owner, mode, and the bytes of files.
pub(crate) fn listing(folder: &Path) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        let bytes = if metadata.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
        found.insert(entry.path(), (metadata.uid(), metadata.mode(), bytes));
        if metadata.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
