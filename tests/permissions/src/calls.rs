//! What the functions asked of AWS, as emulators noted it in the folder that `PILOTHOUSE_CALLS` names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::resolve::Names;

/// An action that a function took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Call {
    /// The function's program.
    pub function: String,
    /// The action, as a policy names it.
    pub action: String,
    /// What it was authorized on; `None` where the emulator does not know.
    pub resource: Option<String>,
    /// The tags of that; `None` where there was no such resource.
    pub tags: Option<BTreeMap<String, String>>,
    /// What the template's resources were called there.
    pub names: Names,
}

impl Call {
    /// What conditions may ask about it.
    #[must_use]
    pub fn context(&self) -> BTreeMap<String, String> {
        let tags = self.tags.iter().flatten();
        tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), value.clone())).collect()
    }
}

/// All distinct calls that are noted in this folder.
///
/// # Errors
/// The folder or a file cannot be read, or nothing is noted: then nothing was run, or not with `PILOTHOUSE_CALLS`.
pub fn read(folder: &Path) -> Result<BTreeSet<Call>, Failure> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(|error| Failure::file(folder, error))? {
        let path = entry.map_err(|error| Failure::file(folder, error))?.path();
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, error))?;
        for line in text.lines() {
            found.insert(serde_json::from_str(line).map_err(|error| Failure::file(&path, format!("{error}: {line}")))?);
        }
    }
    if found.is_empty() {
        return Err(Failure::file(folder, "no call is noted in it"));
    }
    Ok(found)
}
