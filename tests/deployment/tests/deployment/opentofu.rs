//! `infra/examples/cluster.tf`: the same cluster from OpenTofu. There is no `tofu` here; the file is read by a parser of its
//! language, and the template in it is created as any other.

use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Block, Body};
use serde_json::{Map, Value, json};
use stack::Zone;

use crate::requests::Resource;
use crate::stage::{Account, CUSTOMER, text};
use crate::template::root;

const FILE: &str = "infra/examples/cluster.tf";

#[track_caller]
fn example() -> Body {
    let source = std::fs::read_to_string(root().join(FILE)).unwrap();
    hcl_edit::parser::parse_body(&source).unwrap_or_else(|error| panic!("{FILE}: {error}"))
}

fn blocks<'b>(body: &'b Body, kind: &str) -> Vec<(Vec<&'b str>, &'b Block)> {
    let of_kind = body.blocks().filter(|b| b.ident.as_str() == kind);
    of_kind.map(|b| (b.labels.iter().map(|l| l.as_str()).collect(), b)).collect()
}

#[track_caller]
fn attribute<'b>(block: &'b Block, name: &str) -> &'b Expression {
    &block.body.get_attribute(name).unwrap_or_else(|| panic!("no {name}")).value
}

/// What an expression is worth that refers to nothing.
#[track_caller]
fn worth(expression: &Expression) -> Value {
    match expression {
        Expression::Null(_) => Value::Null,
        Expression::Bool(on) => json!(*on.value()),
        Expression::Number(number) => serde_json::from_str(&number.value().to_string()).unwrap(),
        Expression::String(text) => json!(text.as_str()),
        Expression::Array(items) => items.iter().map(worth).collect(),
        Expression::Object(fields) => {
            let key = |key: &ObjectKey| match key {
                ObjectKey::Ident(name) => name.as_str().to_owned(),
                ObjectKey::Expression(name) => text(&worth(name)),
            };
            Value::Object(fields.iter().map(|(name, value)| (key(name), worth(value.expr()))).collect::<Map<_, _>>())
        }
        other => panic!("{other} depends on something"),
    }
}

/// The template in the stack's resource, and its parameters' names.
fn template() -> (Value, Vec<String>) {
    let body = example();
    let resources = blocks(&body, "resource");
    let (_, stack) = resources.iter().find(|(labels, _)| labels[0] == "aws_cloudformation_stack").unwrap();
    let Expression::FuncCall(call) = attribute(stack, "template_body") else { panic!("no function call") };
    assert_eq!(call.name.name.as_str(), "jsonencode");
    let template = worth(call.args.iter().next().unwrap());
    let Expression::Object(parameters) = attribute(stack, "parameters") else { panic!("no object") };
    let names = parameters.iter().filter_map(|(key, _)| key.as_ident()).map(|name| name.as_str().to_owned());
    (template, names.collect())
}

#[test]
fn what_it_refers_to_is_declared() {
    let body = example();
    let variables: Vec<&str> = blocks(&body, "variable").iter().map(|(labels, _)| labels[0]).collect();
    let resources: Vec<String> = blocks(&body, "resource").iter().map(|(labels, _)| labels.join(".")).collect();
    let source = std::fs::read_to_string(root().join(FILE)).unwrap();
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.');
    let code: String = source.lines().filter(|l| !l.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let mut used = 0;
    for reference in code.split(word) {
        let parts: Vec<&str> = reference.split('.').collect();
        match parts.as_slice() {
            ["var", name, ..] => {
                used += 1;
                assert!(variables.contains(name), "{reference}");
            }
            [kind, name, ..] if kind.starts_with("aws_") => {
                used += 1;
                assert!(resources.contains(&format!("{kind}.{name}")), "{reference}");
            }
            _ => {}
        }
    }
    assert!(used > 15, "{used}");
    for variable in variables {
        assert!(source.contains(&format!("var.{variable}")), "{variable} is not used");
    }
}

#[test]
fn the_target_group_and_the_route_tables_are_tagged() {
    let body = example();
    let resources = blocks(&body, "resource");
    let of_kind = |kind: &str| resources.iter().find(|(labels, _)| labels[0] == kind).unwrap().1;
    let Expression::Object(tags) = attribute(of_kind("aws_lb_target_group"), "tags") else { panic!("no object") };
    assert!(tags.iter().any(|(key, _)| matches!(key, ObjectKey::Expression(k) if worth(k) == "pilothouse:cluster")));
    assert_eq!(worth(attribute(of_kind("aws_ec2_tag"), "key")), "pilothouse:cluster");
}

#[test]
fn its_stack_puts_the_cluster() {
    let account = Account::with_control_plane();
    account.stack.dns.set("acme.example.internal", Zone::addresses(&["10.9.0.5"], 0));
    let (registry, _) = account.run("cluster-registry");
    let (template, given) = template();
    let declared: Vec<&String> = template["Parameters"].as_object().unwrap().keys().collect();
    let mut given: Vec<&String> = given.iter().collect();
    given.sort();
    assert_eq!(given, declared, "each parameter is given, and no other");

    let cluster = account.world.cluster(CUSTOMER).unwrap();
    let parameters = [
        ("Name", CUSTOMER),
        ("Host", "acme.example.internal"),
        ("TargetGroupArn", cluster.target_group("postgres").unwrap()),
        ("PeeringConnectionId", &cluster.connection_id),
        ("PeerAccount", &cluster.peer_account),
        ("PeerVpc", &cluster.peer_vpc),
        ("AllowedCidrs", "10.9.0.0/16,10.10.0.0/16"),
        ("RouteTableIds", &account.world.route_table_ids[0]),
    ];
    account.create("acme-prod-pilothouse", &template, &parameters);
    let data = Resource::of(&account, &registry, "acme-prod-pilothouse", "Cluster").create().unwrap();
    assert_eq!(data, json!({"Name": CUSTOMER, "Generation": "1"}));
    let stored = registry.invoke(&json!({"get": CUSTOMER})).unwrap();
    let peering = stored.pointer("/spec/primary/peerings/0").unwrap_or_else(|| panic!("{stored:#}"));
    assert_eq!(peering["allowed_cidrs"], json!(["10.9.0.0/16", "10.10.0.0/16"]));
}
