//! What the functions asked of AWS, as emulators noted it in the folder that `PILOTHOUSE_CALLS` names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::policy::Context;
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
    /// The tags that the request gives, where it is one that gives tags.
    #[serde(default)]
    pub request_tags: Option<BTreeMap<String, String>>,
    /// The operation that creates what the request tags, `CreateVolume`.
    #[serde(default)]
    pub create_action: Option<String>,
    /// What the template's resources were called there.
    pub names: Names,
}

impl Call {
    /// What conditions may ask about it. Systems Manager has a key of its own beside the global one ("Restricting Run Command
    /// access based on tags").
    #[must_use]
    pub fn context(&self) -> Context {
        let mut context = Context::new();
        for (tag, value) in self.tags.iter().flatten() {
            context.insert(format!("aws:ResourceTag/{tag}"), vec![value.clone()]);
            if self.action.starts_with("ssm:") {
                context.insert(format!("ssm:resourceTag/{tag}"), vec![value.clone()]);
            }
        }
        if let Some(given) = &self.request_tags {
            let each = given.iter().map(|(tag, value)| (format!("aws:RequestTag/{tag}"), vec![value.clone()]));
            context.extend(each);
            context.insert("aws:TagKeys".to_owned(), given.keys().cloned().collect());
        }
        let creates = self.create_action.iter().map(|action| ("ec2:CreateAction".to_owned(), vec![action.clone()]));
        context.extend(creates);
        context
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
