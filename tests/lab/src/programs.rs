//! Where the programs of a node are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// Where Debian puts PostgreSQL, by version.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";
const DEBIAN: &str = "install Debian's packages patroni, etcd-server and etcd-client (tests/prepare does, as root)";

/// The programs of the newest PostgreSQL that is installed.
pub(crate) fn postgres() -> Result<PathBuf, Error> {
    let versions = fs::read_dir(POSTGRES_VERSIONS).map_err(|_| Error::NoPostgres)?.filter_map(Result::ok);
    let found = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let binaries = version.path().join("bin");
        binaries.join("initdb").is_file().then_some((number, binaries))
    });
    found.max().map(|(_, binaries)| binaries).ok_or(Error::NoPostgres)
}

pub(crate) fn etcd() -> Result<PathBuf, Error> {
    there(PathBuf::from("/usr/bin/etcd"), DEBIAN)
}

/// Debian's.
pub(crate) fn patroni() -> Result<PathBuf, Error> {
    there(PathBuf::from("/usr/bin/patroni"), DEBIAN)
}

/// The one of `.venv`, or of the virtual environment that `PILOTHOUSE_VENV` names.
pub(crate) fn current_patroni() -> Result<PathBuf, Error> {
    let venv = std::env::var_os("PILOTHOUSE_VENV").map_or_else(|| repository().join(".venv"), PathBuf::from);
    there(venv.join("bin/patroni"), "make the pinned Python environment: make venv")
}

/// What waits for a grant on a real node.
pub(crate) fn pilothouse_start() -> Result<PathBuf, Error> {
    there(repository().join("infra/node/pilothouse-start"), "it is part of the checkout")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn there(path: PathBuf, remedy: &'static str) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|_| Error::NoProgram { program: path.display().to_string(), remedy })
}
