//! A template's roles, as CloudFormation gets them: after `tests/aws/translate.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Failure;
use crate::resolve::Resolver;

/// A translated template.
#[derive(Debug, Clone)]
pub struct Template {
    /// Where its source is, from the root of the repository.
    pub path: String,
    /// The source, for its comments.
    pub source: String,
    /// What CloudFormation gets.
    pub json: Value,
}

/// A role, with the function whose role it is. A role that the transform made for a service has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Its logical id.
    pub id: String,
    /// The function's program, `peering-watcher`: the name of its package.
    pub program: Option<String>,
    /// Who may take it on, `lambda.amazonaws.com`.
    pub trusted: Vec<String>,
    /// Its statements, unresolved.
    pub statements: Vec<Value>,
    /// Policies by ARN, unresolved: AWS's own.
    pub managed: Vec<Managed>,
}

/// A policy that AWS keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// The last part of its ARN.
    pub name: String,
    /// The template's condition under which the role has it.
    pub condition: Option<String>,
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pinned Python environment: `.venv`, or what `PILOTHOUSE_VENV` names.
///
/// # Errors
/// It is not there.
pub fn venv() -> Result<PathBuf, Failure> {
    let found = std::env::var_os("PILOTHOUSE_VENV").map_or_else(|| root().join(".venv"), PathBuf::from);
    if found.join("bin/python").exists() { Ok(found) } else { Err(Failure::NoVenv(found)) }
}

impl Template {
    /// Translates the template at `path`, from the root of the repository.
    ///
    /// # Errors
    /// It cannot be read, or is no template.
    pub fn read(path: &str) -> Result<Self, Failure> {
        let failed = |problem: String| Failure::Template { path: path.to_owned(), problem };
        let file = root().join(path);
        let source = std::fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
        let output = Command::new(venv()?.join("bin/python"))
            .arg(root().join("tests/aws/translate.py"))
            .arg(&file)
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let json = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        Ok(Self { path: path.to_owned(), source, json })
    }

    /// Its resources by logical id.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.json.get("Resources").and_then(Value::as_object).into_iter().flatten().map(|(id, one)| (id.as_str(), one))
    }

    /// Those of a type.
    pub fn of_type<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.resources().filter(move |(_, one)| one.get("Type").and_then(Value::as_str) == Some(name))
    }

    /// Its roles.
    ///
    /// # Errors
    /// A function has no role of this template, a role has policies of a kind that is not known here, or there are such outside
    /// of roles.
    pub fn roles(&self) -> Result<Vec<Role>, Failure> {
        for apart in ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy"] {
            if let Some((id, _)) = self.of_type(apart).next() {
                return Err(Failure::unknown("policy outside of a role", id));
            }
        }
        let mut programs = self.programs()?;
        let roles = self.of_type("AWS::IAM::Role").map(|(id, role)| Self::role(id, role, programs.remove(id)));
        let roles = roles.collect::<Result<Vec<_>, _>>()?;
        match programs.into_iter().next() {
            Some((id, program)) => Err(Failure::unknown("role of a function", format!("{id} of {program}"))),
            None => Ok(roles),
        }
    }

    /// The programs of the functions, by their roles.
    fn programs(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut found = BTreeMap::new();
        for (id, function) in self.of_type("AWS::Lambda::Function") {
            let text = |path: &str| function.pointer(path).and_then(Value::as_str);
            let role = text("/Properties/Role/Fn::GetAtt/0");
            let program = text("/Properties/Code/S3Key").and_then(|key| key.strip_suffix(".zip"));
            let (Some(role), Some(program)) = (role, program) else {
                return Err(Failure::unknown("function's role or package", id));
            };
            if found.insert(role.to_owned(), program.to_owned()).is_some() {
                return Err(Failure::unknown("role of two functions", role));
            }
        }
        Ok(found)
    }

    fn role(id: &str, role: &Value, program: Option<String>) -> Result<Role, Failure> {
        let properties = role.get("Properties").and_then(Value::as_object).into_iter().flatten();
        let known = ["Description", "AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "Tags"];
        if let Some((other, _)) = properties.clone().find(|(name, _)| !known.contains(&name.as_str())) {
            return Err(Failure::unknown("property of a role", format!("{id}.{other}")));
        }
        let list = |path: &str| role.pointer(path).and_then(Value::as_array).into_iter().flatten();
        let mut statements = Vec::new();
        for policy in list("/Properties/Policies") {
            match policy.pointer("/PolicyDocument/Statement") {
                Some(Value::Array(listed)) => statements.extend(listed.iter().cloned()),
                Some(one @ Value::Object(_)) => statements.push(one.clone()),
                _ => return Err(Failure::unknown("policy of a role", id)),
            }
        }
        let trusted = list("/Properties/AssumeRolePolicyDocument/Statement").flat_map(|one| {
            let services = one.pointer("/Principal/Service").unwrap_or(one);
            services.as_array().map_or_else(|| vec![services.clone()], Clone::clone)
        });
        let trusted = trusted.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
        let managed = role.pointer("/Properties/ManagedPolicyArns").map_or_else(|| Ok(Vec::new()), managed)?;
        Ok(Role { id: id.to_owned(), program, trusted, statements, managed })
    }
}

/// A list of ARNs, or one of two by a condition: `!If [InVpc, [...], !Ref AWS::NoValue]`.
fn managed(value: &Value) -> Result<Vec<Managed>, Failure> {
    let named = |list: &Value, condition: Option<&str>| -> Result<Vec<Managed>, Failure> {
        let arns = list.as_array().ok_or_else(|| Failure::unknown("list of policies", list))?;
        let name = |arn: &Value| {
            let text = arn.as_str().or_else(|| arn.get("Fn::Sub").and_then(Value::as_str));
            let name = text.and_then(|text| text.rsplit('/').next()).ok_or_else(|| Failure::unknown("policy", arn))?;
            Ok(Managed { name: name.to_owned(), condition: condition.map(str::to_owned) })
        };
        arns.iter().map(name).collect()
    };
    match value.get("Fn::If").and_then(Value::as_array).map(Vec::as_slice) {
        Some([condition, then, otherwise]) if Resolver::is_no_value(otherwise) => named(then, condition.as_str()),
        Some(_) => Err(Failure::unknown("choice of policies", value)),
        None => named(value, None),
    }
}
