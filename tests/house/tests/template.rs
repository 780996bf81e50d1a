//! The deployment template agrees with the code.

use std::collections::BTreeSet;

use house::assert_none;
use house::files::{self, File};
use house::graph::Graph;

const TEMPLATE: &str = "infra/template.yaml";
/// What is deployed once, and what is deployed for each VPC.
const TEMPLATES: [&str; 2] = [TEMPLATE, "infra/gateway.yaml"];

/// Services of which the functions call the API. What they do beside that (write logs, use the keys of topics and volumes) is
/// Lambda's, SNS's and EC2's doing in their name: of KMS it is nearly all, so that is left to `tests/permissions`.
const SERVICES: [&str; 8] =
    ["autoscaling", "dynamodb", "ec2", "elasticloadbalancing", "lambda", "secretsmanager", "sns", "ssm"];

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

/// What is never called cannot be done by mistake. A volume of a running instance that is detached by force loses what was not
/// flushed.
#[test]
fn l7_no_volume_is_ever_detached() {
    let detaches = |action: &String| action.contains("DetachVolume");
    let found: Vec<String> = called().into_iter().chain(allowed()).filter(detaches).collect();
    assert_none(&found, "Whoever detaches volumes needs a test that none is forced from a running instance (L7).");
}

#[test]
fn the_gateway_s_template_takes_every_verb_and_no_other() {
    let template = files::read("infra/gateway.yaml");
    let pattern = template.lines().find_map(|line| line.trim().strip_prefix("AllowedPattern: \"((resolve|"));
    let pattern =
        pattern.and_then(|rest| rest.split(')').next()).expect("infra/gateway.yaml allows verbs by a pattern");
    let allowed: BTreeSet<&str> = ["resolve"].into_iter().chain(pattern.split('|')).collect();
    let code = files::read("shared/reach/src/gateway/verb.rs");
    let words = code.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""));
    let known: BTreeSet<&str> = words.filter_map(|(_, word)| word.strip_suffix("\",")).collect();
    assert!(known.len() > 5, "{known:?}: correct this test's reading of the verbs");
    assert_eq!(allowed, known, "Bring the pattern of `Verbs` in infra/gateway.yaml to the verbs that a gateway knows.");
}

/// The templates, and the examples of what users add.
fn templates() -> Vec<File> {
    let found: Vec<File> =
        files::all().into_iter().filter(|f| f.path.starts_with("infra/") && f.path.ends_with(".yaml")).collect();
    assert!(
        TEMPLATES.iter().all(|known| found.iter().any(|f| f.path == *known)),
        "infra/ has moved: correct this test"
    );
    found
}

/// A resource of a template: its logical id, and its lines.
struct Resource {
    id: String,
    text: String,
}

impl Resource {
    fn is_a(&self, kind: &str) -> bool {
        self.text.lines().any(|line| line.trim() == format!("Type: {kind}"))
    }

    fn says(&self, what: &str) -> bool {
        self.text.lines().any(|line| line.trim().starts_with(what))
    }
}

fn resources(template: &File) -> Vec<Resource> {
    let (_, rest) = template.text.split_once("\nResources:\n").unwrap_or_default();
    let mut found: Vec<Resource> = Vec::new();
    for line in rest.lines().take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let id = line.strip_prefix("  ").and_then(|l| l.strip_suffix(':')).filter(|id| !id.contains([' ', '#']));
        match (id, found.last_mut()) {
            (Some(id), _) => found.push(Resource { id: id.to_owned(), text: String::new() }),
            (None, Some(resource)) => resource.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    found
}

/// A key policy that does not name the account's root for everything leaves a key that nobody can change.
const A_KEY_S_OWNER: &str = "Action: \"kms:*\"";

#[test]
fn no_role_has_a_wildcard_for_an_action() {
    let mut found = Vec::new();
    for template in templates() {
        for resource in resources(&template) {
            let lines = resource.text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let lines = lines.filter(|line| !(resource.is_a("AWS::KMS::Key") && *line == A_KEY_S_OWNER));
            let words = lines.flat_map(|line| line.split([' ', ',', '"', '\'', '[', ']', '{', '}']));
            let wild = words.filter(|word| {
                let (service, action) = word.split_once(':').unwrap_or_default();
                action.contains('*')
                    && !action.contains(':')
                    && !service.is_empty()
                    && service.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            });
            found.extend(wild.map(|word| format!("{} {}: {word}", template.path, resource.id)));
            if resource.text.contains("Action: \"*\"") || resource.text.contains("NotAction") {
                found.push(format!("{} {}: every action", template.path, resource.id));
            }
        }
    }
    assert_none(&found, "Name every action: a wildcard grows with AWS.");
}

#[test]
fn every_alarm_says_what_it_means_and_tells_somebody() {
    let mut alarms = 0;
    let mut found = Vec::new();
    for template in templates() {
        for alarm in resources(&template).iter().filter(|r| r.is_a("AWS::CloudWatch::Alarm")) {
            alarms += 1;
            for field in ["AlarmDescription: ", "AlarmActions: [", "TreatMissingData: "] {
                if !alarm.says(field) {
                    found.push(format!("{} {} has no {field}", template.path, alarm.id));
                }
            }
        }
    }
    assert!(alarms >= 8, "{alarms}: correct this test's reading of the templates");
    assert_none(&found, "Say what an alarm means and what to do first, whom it tells, and what silence means.");
}

#[test]
fn every_function_has_an_alarm_a_log_of_json_and_its_retention() {
    let mut functions = 0;
    let mut found = Vec::new();
    for template in templates() {
        let resources = resources(&template);
        for function in resources.iter().filter(|r| r.is_a("AWS::Serverless::Function")) {
            functions += 1;
            let mut missing = |what: &str| found.push(format!("{} {} has no {what}", template.path, function.id));
            let dimension = format!("Dimensions: [{{Name: FunctionName, Value: !Ref {}}}]", function.id);
            let watched = resources
                .iter()
                .any(|r| r.is_a("AWS::CloudWatch::Alarm") && r.says("MetricName: Errors") && r.says(&dimension));
            if !watched {
                missing("alarm of its Errors");
            }
            if !function.says("LogFormat: JSON") {
                missing("LogFormat: JSON");
            }
            let log = function.text.lines().find_map(|line| line.trim().strip_prefix("LogGroup: !Ref "));
            let kept = resources
                .iter()
                .any(|r| Some(r.id.as_str()) == log && r.is_a("AWS::Logs::LogGroup") && r.says("RetentionInDays: "));
            if !kept {
                missing("log group with a retention");
            }
        }
    }
    assert_eq!(functions, Graph::load().members_in("functions").len());
    assert_none(&found, "Give it what the other functions of the templates have.");
}

#[test]
fn no_function_reserves_concurrency() {
    let found: Vec<String> = templates()
        .iter()
        .filter(|t| t.text.contains("ReservedConcurrent") || t.text.contains("ProvisionedConcurrency"))
        .map(|t| t.path.clone())
        .collect();
    assert_none(&found, "Take it out: a new account has none to give, and the deployment fails.");
}

/// What stands between two texts, wherever they do.
fn between<'t>(text: &'t str, before: &'t str, after: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

#[test]
fn the_template_names_the_metrics_that_the_code_emits() {
    let code: Vec<File> = files::all()
        .into_iter()
        .filter(|f| f.is_rust() && !f.is_test() && (f.path.starts_with("functions/") || f.path.starts_with("shared/")))
        .collect();
    let emitted: BTreeSet<&str> = code
        .iter()
        .filter_map(|f| f.text.split("#[cfg(test)]").next())
        .flat_map(|text| between(text, "Metric::count(\"", "\"").chain(between(text, "Metric::seconds(\"", "\"")))
        .collect();
    let file = File { path: TEMPLATE.to_owned(), text: files::read(TEMPLATE) };
    let resources = resources(&file);
    let dashboard =
        resources.iter().find(|r| r.is_a("AWS::CloudWatch::Dashboard")).expect("the template has a dashboard");
    let shown: BTreeSet<&str> = between(&dashboard.text, "[\"Pilothouse\", \"", "\"")
        .chain(between(&dashboard.text, "MetricName=\\\"", "\\\""))
        .collect();
    let alarmed = resources
        .iter()
        .filter(|r| r.is_a("AWS::CloudWatch::Alarm") && r.says("Namespace: Pilothouse"))
        .flat_map(|r| between(&r.text, "MetricName: ", "\n"));
    let named: BTreeSet<&str> = shown.iter().copied().chain(alarmed).collect();
    assert!(emitted.len() > 8 && named.len() > 8, "{emitted:?} {named:?}: correct this test's reading");
    let unknown = named.difference(&emitted).map(|m| format!("{m} is named, and nothing emits it"));
    let unseen = emitted.difference(&shown).map(|m| format!("{m} is emitted, and the dashboard does not show it"));
    assert_none(
        &unknown.chain(unseen).collect::<Vec<_>>(),
        "Bring infra/template.yaml and the code together: the alarms, the dashboard and `Metric::...` name the same metrics.",
    );
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
