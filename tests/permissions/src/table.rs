//! `docs/permissions.md`, made from the templates: what each role allows, on what, and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::shown::Shown;
use crate::template::{Role, Template};
use crate::{Failure, on_behalf};

const HEAD: &str = "\
# Permissions

What each role of the control plane allows, and why. A role allows nothing else, and the functions are tested to call nothing
else: every call that they make in all tests is decided by these statements as IAM would, and a statement that no call needs
is a failure (`tests/permissions`). What AWS's own services do in a role's name is marked with *AWS*.

The table is made from the templates. A resource by a name alone is one of the same template; `route-table/*` and the like are
in the stack's own account and Region. `*` stands where AWS knows nothing narrower, or where a policy of AWS's own has it.

The tag `pilothouse:cluster` is yours to set: it is your word that the control plane may use a resource (a target group, a route
table, a secret, an Auto Scaling group and, through its launch template, its instances and their volumes). Its value is not
compared. Snapshots of restore points have it too, and `pilothouse:deployment` beside it, with the table's name: the snapshot scheduler may
copy and delete no other. `infra/gateway.yaml` sets `pilothouse:gateway` on each gateway, and the lifecycle
function `pilothouse:node` on each volume that it makes.
";

/// The whole file.
///
/// # Errors
/// A statement has no comment that says why, and is none of a service's.
pub fn page(templates: &[Template]) -> Result<String, Failure> {
    let mut page = HEAD.to_owned();
    for template in templates {
        let comments = comments(&template.source);
        for role in template.roles()? {
            section(&mut page, template, &role, &comments)?;
        }
    }
    Ok(page)
}

fn section(page: &mut String, template: &Template, role: &Role, comments: &Comments) -> Result<(), Failure> {
    let heading = role.program.as_deref().unwrap_or(&role.id);
    let _ = write!(
        page,
        "\n## {heading}\n\nRole `{}` of `{}`, for {}.\n\n| statement | actions | on | only if | why |\n|---|---|---|---|---|\n",
        role.id,
        template.path,
        role.trusted.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", "),
    );
    for statement in role.statements.iter().map(Shown::of) {
        let entry = on_behalf::entry(&role.id, &statement);
        let comment = comments.get(&(role.id.clone(), statement.sid.clone())).map(String::as_str);
        let why = comment.or(entry.map(|one| one.reason)).ok_or_else(|| {
            Failure::unknown("reason: write a comment above the statement", format!("{}, {}", role.id, statement.sid))
        })?;
        row(page, &statement, &format!("{}{why}", if entry.is_some() { "*AWS*: " } else { "" }));
    }
    for policy in &role.managed {
        let why = on_behalf::managed(&role.id, policy).map(|one| one.reason);
        let why = why.ok_or_else(|| Failure::unknown("policy", format!("{}, {}", role.id, policy.name)))?;
        let _ = writeln!(page, "|  | AWS's policy `{}` | `*` |  | *AWS*: {why} |", policy.name);
    }
    Ok(())
}

fn row(page: &mut String, statement: &Shown, why: &str) {
    let code = |list: &[String]| list.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join("<br>");
    let _ = writeln!(
        page,
        "| {} | {} | {} | {} | {why} |",
        statement.sid,
        code(&statement.actions),
        code(&statement.resources),
        statement.conditions.join(" and "),
    );
}

/// The comments above statements, by role and name of the statement.
type Comments = BTreeMap<(String, String), String>;

/// A resource's name stands at two spaces; the lines of comment right above `- Sid: Name` belong to that statement.
fn comments(source: &str) -> Comments {
    let mut found = Comments::new();
    let (mut resource, mut comment) = (String::new(), Vec::new());
    for line in source.lines() {
        let text = line.trim();
        if let Some(name) =
            line.strip_prefix("  ").filter(|name| !name.starts_with([' ', '#'])).and_then(|name| name.strip_suffix(':'))
        {
            name.clone_into(&mut resource);
        }
        if let Some(said) = text.strip_prefix('#') {
            comment.push(said.trim().to_owned());
            continue;
        }
        if let Some(sid) = text.strip_prefix("- Sid: ").filter(|_| !comment.is_empty()) {
            found.insert((resource.clone(), sid.to_owned()), comment.join(" "));
        }
        comment.clear();
    }
    found
}
