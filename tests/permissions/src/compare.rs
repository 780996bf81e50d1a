//! The comparison: nothing called that the function's role does not allow, nothing allowed that no function calls.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::Failure;
use crate::calls::Call;
use crate::on_behalf;
use crate::policy::{self, Decision, Request, Statement, decide};
use crate::reference::Reference;
use crate::resolve::{Names, Resolver};
use crate::shown::Shown;
use crate::template::{Role, Template};

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// What is wrong, a line for each. Nothing is, where this is empty.
    pub findings: BTreeSet<String>,
    /// What was compared, a line for each function.
    pub summary: Vec<String>,
}

/// Compares the roles of all functions with all that was called.
///
/// # Errors
/// A role has what is not known here, or a call names an action that AWS does not have.
pub fn compare(templates: &[Template], calls: &BTreeSet<Call>, reference: &Reference) -> Result<Compared, Failure> {
    let mut compared = Compared::default();
    let mut programs = BTreeSet::new();
    for template in templates {
        for role in template.roles()? {
            let Some(program) = role.program.as_deref() else { continue };
            let own: Vec<&Call> = calls.iter().filter(|call| call.function == program).collect();
            let mut comparison = Comparison::new(template, &role, program);
            comparison.findings.extend(misnamed(&own, reference)?);
            for conditions in [true, false] {
                comparison.decide_all(&own, conditions)?;
            }
            comparison.tell_refused();
            comparison.find_idle(&own);
            compared.summary.push(summary(&role, program, &own));
            compared.findings.append(&mut comparison.findings);
            programs.insert(program.to_owned());
        }
    }
    for call in calls.iter().filter(|call| !programs.contains(&call.function)) {
        compared.findings.insert(format!("{} calls AWS, and no template has it", call.function));
    }
    Ok(compared)
}

/// The emulator must not name a resource that AWS would not: the comparison would be with something else.
fn misnamed(calls: &[&Call], reference: &Reference) -> Result<BTreeSet<String>, Failure> {
    let mut found = BTreeSet::new();
    for call in calls {
        let Call { action, resource, .. } = call;
        let Some(resource) = resource else {
            found.insert(format!("tests/aws/authorization.py does not say on what {action} is authorized"));
            continue;
        };
        let kinds = reference.kinds(action)?;
        let right = if kinds.is_empty() { resource == "*" } else { kinds.iter().any(|kind| kind.has(resource)) };
        if !right {
            found.insert(format!("tests/aws/authorization.py has {action} on {resource}, AWS's reference has not"));
        }
    }
    Ok(found)
}

/// A part of a statement that a call has used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Action(String),
    /// By its place.
    Resource(usize),
}

/// One function's calls and its role.
struct Comparison<'a> {
    template: &'a Template,
    role: &'a Role,
    program: &'a str,
    /// By the statement's place in the role.
    used: BTreeSet<(usize, Part)>,
    /// On what an action is not allowed, by the action and why.
    refused: BTreeMap<(String, String), BTreeSet<String>>,
    findings: BTreeSet<String>,
}

impl<'a> Comparison<'a> {
    fn new(template: &'a Template, role: &'a Role, program: &'a str) -> Self {
        Self { template, role, program, used: BTreeSet::new(), refused: BTreeMap::new(), findings: BTreeSet::new() }
    }

    /// Decides each call with the template's conditions taken to be so.
    fn decide_all(&mut self, calls: &[&Call], conditions: bool) -> Result<(), Failure> {
        // The statements of each world, and their places in the role.
        let mut worlds: BTreeMap<&Names, (Vec<usize>, Vec<Statement>)> = BTreeMap::new();
        for call in calls {
            // AWS denies a call on what does not exist, or says so: no role has to allow it.
            let (Some(resource), Some(_)) = (&call.resource, &call.tags) else { continue };
            let (places, statements) = match worlds.entry(&call.names) {
                Entry::Occupied(found) => found.into_mut(),
                Entry::Vacant(missing) => missing.insert(self.statements(&call.names, conditions)?),
            };
            let request = Request { action: &call.action, resource, context: &call.context() };
            let named =
                |by: &[usize]| by.iter().filter_map(|at| statements.get(*at)).map(|one| one.sid.as_str()).collect();
            match decide(statements, &request) {
                Decision::Allowed(by) => {
                    for (place, statement) in by.iter().filter_map(|at| places.get(*at).zip(statements.get(*at))) {
                        let covering = statement.resources.iter().position(|one| policy::covers(one, resource));
                        self.used.insert((*place, Part::Action(call.action.clone())));
                        self.used.extend(covering.map(|nth| (*place, Part::Resource(nth))));
                    }
                }
                Decision::Denied(by) => self.refuse(call, named(&[by]), "denies it"),
                Decision::NotAllowed(by) => {
                    self.refuse(call, named(&by), "names the action, but its resource or condition is not met");
                }
            }
        }
        Ok(())
    }

    fn statements(&self, names: &Names, conditions: bool) -> Result<(Vec<usize>, Vec<Statement>), Failure> {
        let resolver = Resolver { template: &self.template.json, names, conditions };
        let mut found = (Vec::new(), Vec::new());
        for (place, statement) in self.role.statements.iter().enumerate() {
            if let Some(resolved) = resolver.resolve(statement)? {
                found.0.push(place);
                found.1.push(Statement::read(&resolved)?);
            }
        }
        Ok(found)
    }

    fn refuse(&mut self, call: &Call, by: Vec<&str>, why: &str) {
        let tags =
            call.tags.iter().flatten().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
        let tags = if tags.is_empty() { "no tags" } else { &tags };
        let on = format!("{} ({tags})", call.resource.as_deref().unwrap_or_default());
        let near = if by.is_empty() { String::new() } else { format!(": {} {why}", by.join(", ")) };
        self.refused.entry((call.action.clone(), near)).or_default().insert(on);
    }

    /// One line for all resources on which an action is refused for the same reason.
    fn tell_refused(&mut self) {
        for ((action, near), on) in std::mem::take(&mut self.refused) {
            let more = on.len().saturating_sub(1);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let first = on.into_iter().next().unwrap_or_default();
            let Self { role, program, .. } = self;
            let line = format!("{program} calls {action} on {first}{more}, and {} does not allow it{near}", role.id);
            self.findings.insert(line);
        }
    }

    /// What the role allows and nobody used.
    fn find_idle(&mut self, calls: &[&Call]) {
        for (place, statement) in self.role.statements.iter().map(Shown::of).enumerate() {
            if statement.effect != "Allow" || on_behalf::entry(&self.role.id, &statement).is_some() {
                continue;
            }
            if calls.is_empty() {
                let why = "its tests did not run, or not with PILOTHOUSE_CALLS";
                self.findings.insert(format!("{} made no call: {why}", self.program));
            }
            let actions = statement.actions.iter().map(|action| (Part::Action(action.clone()), action));
            let resources = statement.resources.iter().enumerate().map(|(nth, one)| (Part::Resource(nth), one));
            for (part, what) in actions.chain(resources) {
                if !self.used.contains(&(place, part)) {
                    let Self { role, program, .. } = self;
                    let line = format!("{} allows {what} ({}), and {program} never uses that", role.id, statement.sid);
                    self.findings.insert(line);
                }
            }
        }
    }
}

fn summary(role: &Role, program: &str, calls: &[&Call]) -> String {
    let own = role.statements.iter().map(Shown::of).filter(|one| on_behalf::entry(&role.id, one).is_none());
    let actions: usize = own.map(|one| one.actions.len()).sum();
    let gone = calls.iter().filter(|call| call.tags.is_none()).count();
    let beside = if gone == 0 { String::new() } else { format!(", {gone} of them on what does not exist") };
    format!("{program}: {actions} actions allowed to it, {} distinct calls{beside}", calls.len())
}
