//! As whom a server runs: as ourselves, or as `postgres` where we are root, as which PostgreSQL refuses to run.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::Error;

/// An account of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account(Option<(u32, u32)>);

impl Account {
    pub(crate) fn find() -> Result<Self, Error> {
        let us = fs::metadata("/proc/self").map_err(Error::io("find out who we are"))?.uid();
        if us != 0 {
            return Ok(Self(None));
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(Error::io("read /etc/passwd"))?;
        let entry = passwd.lines().find_map(|line| line.strip_prefix("postgres:"));
        // postgres:x:101:104:...
        let mut ids = entry.ok_or(Error::NoAccount)?.split(':').skip(1).map_while(|id| id.parse().ok());
        match (ids.next(), ids.next()) {
            (Some(user), Some(group)) => Ok(Self(Some((user, group)))),
            _ => Err(Error::NoAccount),
        }
    }

    /// The command runs as this account.
    pub(crate) fn runs(self, command: &mut Command) {
        if let Self(Some((user, group))) = self {
            command.uid(user).gid(group);
        }
    }

    /// The file or folder becomes this account's.
    pub(crate) fn owns(self, path: &Path) -> Result<(), Error> {
        match self {
            Self(Some((user, group))) => {
                chown(path, Some(user), Some(group)).map_err(Error::io(format!("give {} away", path.display())))
            }
            Self(None) => Ok(()),
        }
    }
}
