//! Statements that are wider than they need be, or that can never apply. No log of calls shows that: what is too wide allows
//! all that is called.

use crate::Failure;
use crate::reference::{Kind, Reference};
use crate::shown::Shown;
use crate::template::Role;

/// Statements that are about every resource of a type and ask for no tag. AWS's own keys, `aws/ebs` for one, carry none, and
/// describing a key uses nothing.
const WITHOUT_A_TAG: [(&str, &str, &str); 1] = [("SnapshotSchedulerRole", "KeyStates", "kms:DescribeKey")];

/// What is wrong with the statements of these roles, a line for each.
///
/// # Errors
/// A role names an action that AWS does not have.
pub fn findings(roles: &[Role], reference: &Reference) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for role in roles {
        for statement in role.statements.iter().map(Shown::of) {
            let here = |what: String| format!("{}, statement {:?}: {what}", role.id, statement.sid);
            let untagged = |(role_id, sid, action): &(&str, &str, &str)| {
                role.id == *role_id && statement.sid == *sid && statement.actions == [*action]
            };
            found.extend(of(&statement, reference, WITHOUT_A_TAG.iter().any(untagged))?.into_iter().map(here));
        }
    }
    Ok(found)
}

fn of(statement: &Shown, reference: &Reference, untagged: bool) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let everything = statement.resources.iter().any(|resource| resource == "*");
    let asks_for_tags = statement
        .conditions
        .iter()
        .any(|condition| condition.contains("it has the tag `") || condition.contains("its tag `"));
    for action in &statement.actions {
        if action.contains(['*', '?']) {
            found.push(format!("name every action in the place of {action}: a wildcard grows with AWS"));
            continue;
        }
        // One action may be authorized on several: a command on its document and on its instances. Here on those of the statement.
        let meant =
            |kind: &Kind| statement.arns.is_empty() || everything || statement.arns.iter().any(|arn| kind.has(arn));
        let kinds: Vec<Kind> = reference.kinds(action)?.into_iter().filter(meant).collect();
        let names = kinds.iter().map(|kind| kind.name.as_str()).collect::<Vec<_>>().join(" or ");
        if everything && !kinds.is_empty() {
            found.push(format!("{action} is allowed on everything: it can be narrowed to a {names}"));
        }
        if !everything && kinds.is_empty() {
            found.push(format!("{action} cannot be narrowed, and is never allowed without the resource *"));
        }
        if asks_for_tags && (kinds.is_empty() || !kinds.iter().all(|kind| kind.tags)) {
            found.push(format!("{action} knows no tags of a resource, and is never allowed under this condition"));
        }
    }
    for resource in statement.resources.iter().filter(|resource| *resource != "*" && resource.contains('*')) {
        if statement.conditions.is_empty() && !untagged {
            found.push(format!("{resource} is every one of its type: name it, or ask for a tag"));
        }
    }
    Ok(found)
}
