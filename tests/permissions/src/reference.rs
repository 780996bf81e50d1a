//! AWS's service authorization reference, in the copy that cfn-lint carries: on what each action can be authorized.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::path::Path;

use serde_json::Value;

use crate::Failure;
use crate::policy;

const FILE: &str = "site-packages/cfnlint/data/AdditionalSpecs/Policies.json";
/// How the reference writes that a resource's tags may be asked for.
const TAGS: &str = "aws:ResourceTag/${TagKey}";

/// The reference.
#[derive(Debug, Clone)]
pub struct Reference(Value);

/// A type of resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// `route-table`.
    pub name: String,
    /// Patterns of its ARNs.
    pub arns: Vec<String>,
    /// Whether a condition may ask for its tags.
    pub tags: bool,
}

impl Reference {
    /// Reads cfn-lint's copy in this Python environment.
    ///
    /// # Errors
    /// It is not there.
    pub fn read(venv: &Path) -> Result<Self, Failure> {
        let lib = venv.join("lib");
        let folders = std::fs::read_dir(&lib).map_err(|error| Failure::file(&lib, error))?;
        let mut files = folders.flatten().map(|folder| folder.path().join(FILE));
        let file = files
            .find(|file| file.exists())
            .ok_or_else(|| Failure::file(lib.join("python*").join(FILE), "is not there"))?;
        let text = std::fs::read_to_string(&file).map_err(|error| Failure::file(&file, error))?;
        Ok(Self(serde_json::from_str(&text).map_err(|error| Failure::file(&file, error))?))
    }

    /// What an action can be authorized on: nothing where it cannot be narrowed, so that a policy must say `*`.
    ///
    /// # Errors
    /// AWS has no such action.
    pub fn kinds(&self, action: &str) -> Result<Vec<Kind>, Failure> {
        let unknown = || Failure::unknown("action", action);
        let (service, name) = action.split_once(':').ok_or_else(unknown)?;
        let service = self.0.get(service).ok_or_else(unknown)?;
        let found = service.get("Actions").and_then(|all| all.get(name.to_lowercase())).ok_or_else(unknown)?;
        let kinds = found.get("Resources").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        kinds.map(|kind| read(service, kind).ok_or_else(unknown)).collect()
    }
}

impl Kind {
    /// Whether an ARN is one of this type.
    #[must_use]
    pub fn has(&self, arn: &str) -> bool {
        self.arns.iter().any(|pattern| policy::covers(pattern, arn))
    }
}

fn read(service: &Value, kind: &str) -> Option<Kind> {
    let found = service.get("Resources")?.get(kind.to_lowercase())?;
    let texts = |name: &str| found.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    // `arn:${Partition}:ec2:${Region}:${Account}:route-table/.*`
    let arns = texts("ARNFormats").map(|arn| {
        let parts = arn.split(':').map(|part| if part.starts_with("${") { "*" } else { part });
        parts.collect::<Vec<_>>().join(":").replace(".*", "*")
    });
    Some(Kind { name: kind.to_owned(), arns: arns.collect(), tags: texts("ConditionKeys").any(|key| key == TAGS) })
}
