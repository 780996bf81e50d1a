//! The deployment template agrees with the code.

use std::collections::BTreeSet;

use house::assert_none;
use house::files::{self, File};
use house::graph::Graph;

const TEMPLATE: &str = "infra/template.yaml";
/// What is deployed once, and what is deployed for each VPC.
const TEMPLATES: [&str; 2] = [TEMPLATE, "infra/gateway.yaml"];

/// Services of which the functions call the API. What they do beside that (write logs, use the topic's key) is Lambda's
/// and SNS's doing in their name.
const SERVICES: [&str; 6] = ["dynamodb", "ec2", "elasticloadbalancing", "lambda", "secretsmanager", "sns"];

/// A transaction is allowed by the actions that it is made of.
const TRANSACTION: &str = "dynamodb:TransactWriteItems";
const ITS_PARTS: [&str; 3] = ["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem"];

fn is_action(word: &str) -> bool {
    let Some((service, name)) = word.split_once(':') else { return false };
    SERVICES.contains(&service) && name.len() > 2 && name.bytes().all(|b| b.is_ascii_alphabetic())
}

/// What the adapters call, by the names that they give their errors.
fn called() -> BTreeSet<String> {
    let adapters: Vec<File> =
        files::all().into_iter().filter(|f| f.path.starts_with("shared/aws") && f.is_rust()).collect();
    let words = adapters.iter().filter(|f| !f.is_test()).flat_map(|f| f.text.split('"'));
    words.filter(|word| is_action(word)).map(str::to_owned).collect()
}

/// What some role of the template allows.
fn allowed() -> BTreeSet<String> {
    let template = files::read(TEMPLATE);
    template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter(|w| is_action(w))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_roles_allow_what_is_called_and_nothing_else() {
    let mut called = called();
    if called.remove(TRANSACTION) {
        called.extend(ITS_PARTS.map(str::to_owned));
    }
    let allowed = allowed();
    let missing = called.difference(&allowed).map(|action| format!("{action} is called, and no role allows it"));
    let idle = allowed.difference(&called).map(|action| format!("{action} is allowed, and nothing calls it"));
    assert_none(
        &missing.chain(idle).collect::<Vec<_>>(),
        "Bring the roles in infra/template.yaml to what shared/aws and shared/aws-ec2 call, one action a line.",
    );
}

#[test]
fn no_role_has_a_wildcard_for_an_action() {
    let template = files::read(TEMPLATE);
    let found: Vec<String> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter(|word| word.contains(":*") || word.ends_with('*') && word.contains(':') && !word.contains("arn:"))
        .map(str::to_owned)
        .collect();
    assert_none(&found, "Name every action: a wildcard grows with AWS.");
}

#[test]
fn every_function_is_deployed() {
    let templates: String = TEMPLATES.map(files::read).concat();
    let graph = Graph::load();
    let found: Vec<String> = graph
        .members_in("functions")
        .iter()
        .filter(|f| !templates.contains(&format!("CodeUri: ../target/lambda/{}/", f.name)))
        .map(|f| format!("{} has no resource with its package", f.name))
        .collect();
    assert_none(
        &found,
        "Add an AWS::Serverless::Function to infra/template.yaml or infra/gateway.yaml, with `CodeUri: ../target/lambda/<name>/`.",
    );
}

#[test]
fn every_variable_of_the_template_is_read() {
    let config = files::read("shared/runtime/src/config.rs");
    let templates: String = TEMPLATES.map(files::read).concat();
    let set = templates.lines().filter_map(|line| line.trim().split_once(':')).map(|(name, _)| name);
    let found: Vec<String> = set
        .filter(|name| name.starts_with("PILOTHOUSE_"))
        .filter(|name| !config.contains(&format!("\"{name}\"")))
        .map(str::to_owned)
        .collect();
    assert_none(
        &found,
        "shared/runtime/src/config.rs does not know it, and the function would not start. Correct the name.",
    );
}
