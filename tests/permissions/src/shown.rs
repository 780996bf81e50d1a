//! Statements as a reader of the template would say them, without resolving anything.

use serde_json::Value;

/// What starts an ARN of the stack's own account and Region, after the partition.
const HERE: &str = ":${AWS::Region}:${AWS::AccountId}:";

/// A statement in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name; empty where it has none.
    pub sid: String,
    /// `Allow` or `Deny`.
    pub effect: String,
    /// Its actions.
    pub actions: Vec<String>,
    /// Its resources: a resource of the template by its logical id, an ARN of the same account and Region by its last part.
    pub resources: Vec<String>,
    /// Its conditions.
    pub conditions: Vec<String>,
    /// Its resources as ARNs, `x` in the place of what the template fills in; what is no text is left out.
    pub arns: Vec<String>,
}

impl Shown {
    /// Shows a statement of a translated template.
    #[must_use]
    pub fn of(statement: &Value) -> Self {
        let field = |name: &str| statement.get(name).map(listed).unwrap_or_default();
        let text = |name: &str| field(name).into_iter().next().unwrap_or_default();
        Self {
            sid: text("Sid"),
            effect: text("Effect"),
            actions: field("Action"),
            resources: field("Resource"),
            conditions: statement.get("Condition").map(conditions).unwrap_or_default(),
            arns: statement.get("Resource").map(arns).unwrap_or_default(),
        }
    }
}

fn arns(value: &Value) -> Vec<String> {
    let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let text = |one: &Value| one.as_str().or_else(|| one.get("Fn::Sub").and_then(Value::as_str)).map(str::to_owned);
    list.iter().filter_map(text).map(|text| filled(&text)).collect()
}

/// `arn:${AWS::Partition}:ec2:...` as `arn:x:ec2:...`.
fn filled(text: &str) -> String {
    let mut pieces = text.split("${");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| format!("{text}x{}", piece.split_once('}').map_or(piece, |(_, rest)| rest)))
}

fn listed(value: &Value) -> Vec<String> {
    value.as_array().map_or_else(|| vec![shown(value)], |list| list.iter().map(shown).collect())
}

fn shown(value: &Value) -> String {
    let attribute = value.get("Fn::GetAtt").and_then(Value::as_array).map(Vec::as_slice);
    let text = value.as_str().or_else(|| value.get("Ref").and_then(Value::as_str));
    match (text, value.get("Fn::Sub").and_then(Value::as_str), attribute) {
        (Some(text), ..) => text.to_owned(),
        (_, Some(text), _) => text.split_once(HERE).map_or(text, |(_, rest)| rest).to_owned(),
        (_, _, Some([Value::String(id), Value::String(attribute)])) if attribute == "Arn" => id.clone(),
        _ => value.to_string(),
    }
}

fn conditions(value: &Value) -> Vec<String> {
    let operators = value.as_object().into_iter().flatten();
    let each = operators.flat_map(|(operator, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, values)| condition(operator, key, &listed(values).join("` or `")))
    });
    each.collect()
}

fn condition(operator: &str, key: &str, values: &str) -> String {
    let tag = key.strip_prefix("aws:ResourceTag/").or_else(|| key.strip_prefix("ssm:resourceTag/"));
    match (operator, tag, values) {
        ("Null", Some(tag), "false") => format!("it has the tag `{tag}`"),
        ("Null", None, "false") if key.starts_with("aws:RequestTag/") => {
            format!("the tag `{}` is given", key.trim_start_matches("aws:RequestTag/"))
        }
        ("ForAllValues:StringEquals", _, _) if key == "aws:TagKeys" => format!("no other tag than `{values}` is given"),
        ("StringEquals", None, _) if key.starts_with("aws:RequestTag/") => {
            format!("the tag `{}` is given as `{values}`", key.trim_start_matches("aws:RequestTag/"))
        }
        ("StringEquals", Some(tag), _) => format!("its tag `{tag}` is `{values}`"),
        ("StringEquals" | "Bool", None, _) => format!("`{key}` is `{values}`"),
        _ => format!("`{operator}` `{key}` `{values}`"),
    }
}
