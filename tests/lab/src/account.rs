//! As whom a server runs: as ourselves, or as `postgres` where we are root, as which PostgreSQL refuses to run.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

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

    /// What a shell script puts before a command for it to run as this account. It may read what only root may, where we can give
    /// it that: a checkout can be in a folder that is nobody else's, and Patroni's newer version is in the checkout's environment.
    pub(crate) fn prefix(self) -> String {
        let Self(Some((user, group))) = self else { return String::new() };
        let reads =
            if can_read_everything() { "--inh-caps=+dac_read_search --ambient-caps=+dac_read_search " } else { "" };
        format!("setpriv --reuid={user} --regid={group} --clear-groups {reads}")
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

    /// Runs a command as this account to its end, and gives what it prints.
    pub(crate) fn run(self, mut command: Command) -> Result<String, Error> {
        self.runs(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let output =
            command.current_dir("/").stdin(Stdio::null()).output().map_err(Error::io(format!("start {program}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        Err(Error::Program { program, said })
    }
}

/// Whether we have the capability CAP_DAC_READ_SEARCH, which is number 2. A container's root may lack it.
fn can_read_everything() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & (1 << 2) != 0)
}
