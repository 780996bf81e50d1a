//! A folder of a server's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Error;
use crate::account::Account;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A folder under the system's folder for temporary files. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    account: Account,
}

impl Folder {
    pub(crate) fn new(account: Account) -> Result<Self, Error> {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        // Short: a socket's path may have 107 bytes.
        let path = std::env::temp_dir().join(format!("pilothouse-lab-{}-{number}", std::process::id()));
        fs::create_dir(&path).map_err(Error::io(format!("make {}", path.display())))?;
        let folder = Self { path, account };
        account.owns(&folder.path)?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only the account may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        let failed = || format!("write {}", path.display());
        fs::write(&path, text).map_err(Error::io(failed()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(Error::io(failed()))?;
        self.account.owns(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
