//! Whether a role's statements allow a request, as IAM decides it.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>, for one role's own policies: no
//! boundary, no organization, no resource's policy. What is not known here is an error, and never allows anything.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Failure;

/// Keys of conditions with their values. Most have one; `aws:TagKeys` has as many as the request gives tags.
pub type Context = BTreeMap<String, Vec<String>>;

/// A statement of a policy, every intrinsic function of CloudFormation resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its name; empty where it has none.
    pub sid: String,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Patterns of actions, `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// Patterns of ARNs, or `*`.
    pub resources: Vec<String>,
    /// All must be met.
    pub conditions: Vec<Condition>,
}

/// What a statement does to a request that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Allows it, unless another denies it.
    Allow,
    /// Denies it, whatever others allow.
    Deny,
}

/// One operator on one key of a request's context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How it compares.
    pub operator: Operator,
    /// The key, `aws:ResourceTag/pilothouse:cluster`.
    pub key: String,
    /// One must match.
    pub values: Vec<String>,
}

/// Those that the templates use, and what would come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `"false"`: the key is there. `"true"`: it is not.
    Null,
    /// The same of `true` and `false`.
    Bool,
    /// The same text.
    StringEquals,
    /// Each of the key's values is one of these texts. A key that is not there has none that is not
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>).
    EveryStringEquals,
    /// A text with `*` and `?`.
    StringLike,
    /// An ARN with `*` and `?` in its parts. `ArnEquals` does the same.
    ArnLike,
}

/// What a function asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The action.
    pub action: &'a str,
    /// The ARN that it is authorized on, or `*` where it cannot be narrowed.
    pub resource: &'a str,
    /// Keys are compared without case, as IAM does.
    pub context: &'a Context,
}

/// What becomes of a request. Statements by their places in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// By these statements.
    Allowed(Vec<usize>),
    /// By this statement's `Deny`.
    Denied(usize),
    /// No statement matches: denied by default. These name the action, and miss it by their resources or conditions.
    NotAllowed(Vec<usize>),
}

/// What these statements, together the policies of one role, make of a request.
#[must_use]
pub fn decide(statements: &[Statement], request: &Request<'_>) -> Decision {
    let named = statements.iter().enumerate().filter(|(_, one)| one.names(request.action));
    let (met, missed): (Vec<_>, Vec<_>) =
        named.partition(|(_, one)| one.covers(request.resource) && one.is_met(request.context));
    let places = |found: &[(usize, &Statement)]| found.iter().map(|(at, _)| *at).collect();
    match met.iter().find(|(_, one)| one.effect == Effect::Deny) {
        Some((at, _)) => Decision::Denied(*at),
        None if met.is_empty() => Decision::NotAllowed(places(&missed)),
        None => Decision::Allowed(places(&met)),
    }
}

impl Statement {
    /// Reads a statement whose intrinsic functions are resolved.
    ///
    /// # Errors
    /// An element or an operator is not known here, or has another form than IAM's.
    pub fn read(value: &Value) -> Result<Self, Failure> {
        let fields = value.as_object().ok_or_else(|| Failure::unknown("statement", value))?;
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        if let Some(other) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Failure::unknown("element of a statement", other));
        }
        let field = |name: &str| fields.get(name).ok_or_else(|| Failure::unknown("statement without it", name));
        Ok(Self {
            sid: fields.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            effect: match field("Effect")?.as_str() {
                Some("Allow") => Effect::Allow,
                Some("Deny") => Effect::Deny,
                _ => return Err(Failure::unknown("effect", field("Effect")?)),
            },
            actions: texts(field("Action")?)?,
            resources: texts(field("Resource")?)?.into_iter().map(checked).collect::<Result<_, _>>()?,
            conditions: match fields.get("Condition") {
                None => Vec::new(),
                Some(Value::Object(operators)) => conditions(operators)?,
                Some(other) => return Err(Failure::unknown("condition", other)),
            },
        })
    }

    /// Whether its actions include this one. IAM compares them without case.
    #[must_use]
    pub fn names(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
    }

    /// Whether its resources include this one.
    #[must_use]
    pub fn covers(&self, resource: &str) -> bool {
        self.resources.iter().any(|pattern| covers(pattern, resource))
    }

    fn is_met(&self, context: &Context) -> bool {
        self.conditions.iter().all(|condition| condition.is_met(context))
    }
}

impl Condition {
    fn is_met(&self, context: &Context) -> bool {
        let found = context.iter().find(|(key, _)| key.eq_ignore_ascii_case(&self.key)).map(|(_, values)| values);
        let any = |compare: &dyn Fn(&str, &str) -> bool| {
            // A key that is not there matches nothing, and neither does one of many values without a word for how many of them.
            let one = found.filter(|values| values.len() == 1).and_then(|values| values.first());
            one.is_some_and(|found| self.values.iter().any(|value| compare(value, found)))
        };
        match self.operator {
            Operator::Null => self.values.iter().any(|value| value == if found.is_none() { "true" } else { "false" }),
            Operator::EveryStringEquals => found.into_iter().flatten().all(|found| self.values.contains(found)),
            Operator::StringEquals => any(&|value, found| value == found),
            Operator::Bool => any(&str::eq_ignore_ascii_case),
            Operator::StringLike => any(&matches),
            Operator::ArnLike => any(&arn_matches),
        }
    }
}

/// Whether a statement's resource includes this ARN.
#[must_use]
pub fn covers(pattern: &str, resource: &str) -> bool {
    pattern == "*" || arn_matches(pattern, resource)
}

/// Each of the six parts by itself: no `*` reaches over a colon but in the last.
fn arn_matches(pattern: &str, arn: &str) -> bool {
    let (patterns, parts) = (parts(pattern), parts(arn));
    patterns.len() == 6 && parts.len() == 6 && patterns.iter().zip(parts).all(|(pattern, part)| matches(pattern, part))
}

fn parts(arn: &str) -> Vec<&str> {
    arn.splitn(6, ':').collect()
}

/// `*` stands for any text, `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = pattern.strip_prefix(first).unwrap_or_default();
    if first == '*' {
        return text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .any(|at| matches(rest, text.get(at..).unwrap_or_default()));
    }
    let mut left = text.chars();
    left.next().is_some_and(|found| (first == '?' || first == found) && matches(rest, left.as_str()))
}

fn conditions(operators: &Map<String, Value>) -> Result<Vec<Condition>, Failure> {
    let mut found = Vec::new();
    for (name, keys) in operators {
        let operator = match name.as_str() {
            "Null" => Operator::Null,
            "Bool" => Operator::Bool,
            "StringEquals" => Operator::StringEquals,
            "ForAllValues:StringEquals" => Operator::EveryStringEquals,
            "StringLike" => Operator::StringLike,
            "ArnLike" | "ArnEquals" => Operator::ArnLike,
            _ => return Err(Failure::unknown("operator of a condition", name)),
        };
        for (key, values) in keys.as_object().ok_or_else(|| Failure::unknown("condition", keys))? {
            let values = texts(values)?;
            let either = matches!(operator, Operator::Null | Operator::Bool);
            if either && values.iter().any(|value| !["true", "false"].contains(&value.as_str())) {
                return Err(Failure::unknown("value of Null or Bool", key));
            }
            found.push(Condition { operator, key: key.clone(), values });
        }
    }
    Ok(found)
}

fn checked(resource: String) -> Result<String, Failure> {
    if resource == "*" || parts(&resource).len() == 6 {
        Ok(resource)
    } else {
        Err(Failure::unknown("resource", resource))
    }
}

/// A text or a list of texts. Variables of policies (`${aws:username}`) are not known here.
fn texts(value: &Value) -> Result<Vec<String>, Failure> {
    let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let text = |one: &Value| match one.as_str() {
        Some(text) if !text.contains("${") => Ok(text.to_owned()),
        _ => Err(Failure::unknown("value in a policy", one)),
    };
    list.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/acme/1";

    fn statements(value: &Value) -> Vec<Statement> {
        value.as_array().unwrap().iter().map(|one| Statement::read(one).unwrap()).collect()
    }

    fn allowed(statements: &[Statement], action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
        let mut keys = Context::new();
        for (key, value) in context {
            keys.entry((*key).to_owned()).or_default().push((*value).to_owned());
        }
        let context = keys;
        matches!(decide(statements, &Request { action, resource, context: &context }), Decision::Allowed(_))
    }

    #[test]
    fn nothing_is_allowed_by_default_and_a_deny_wins() {
        let action = "sns:Publish";
        let topic = "arn:aws:sns:us-east-1:1:t";
        assert!(!allowed(&[], action, topic, &[]));
        let allow = json!({"Effect": "Allow", "Action": action, "Resource": topic});
        let deny = json!({"Effect": "Deny", "Action": "sns:*", "Resource": "*"});
        assert!(allowed(&statements(&json!([allow])), action, topic, &[]));
        assert!(!allowed(&statements(&json!([allow, deny])), action, topic, &[]));
        assert!(!allowed(&statements(&json!([deny])), action, topic, &[]));
    }

    #[test]
    fn actions_and_resources_match_with_wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*", "bab", true),
            ("", "a", false),
            ("ü?", "üß", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        for (pattern, expected) in [
            ("*", true),
            (GROUP, true),
            ("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/*", true),
            ("arn:*:elasticloadbalancing:*:*:*", true),
            ("arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/*", false),
            ("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/*", false),
            ("arn:aws:elasticloadbalancing:*:targetgroup/*:", false),
        ] {
            assert_eq!(covers(pattern, GROUP), expected, "{pattern}");
        }
        assert!(!covers("arn:aws:ec2:*:*:*", "*"), "what cannot be narrowed needs the resource *");
        let read = statements(&json!([{"Effect": "Allow", "Action": ["EC2:describe*"], "Resource": "*"}]));
        assert!(allowed(&read, "ec2:DescribeRouteTables", "*", &[]));
        assert!(!allowed(&read, "ec2:DeleteRoute", "*", &[]));
    }

    #[test]
    fn a_condition_on_a_tag_wants_the_tag() {
        let tagged = |value: &str| {
            let condition = json!({"Null": {"aws:ResourceTag/pilothouse:cluster": value}});
            statements(&json!([{"Effect": "Allow", "Action": "e:R", "Resource": "*", "Condition": condition}]))
        };
        let tag = [("aws:ResourceTag/pilothouse:cluster", "")];
        assert!(allowed(&tagged("false"), "e:R", GROUP, &tag));
        assert!(allowed(&tagged("false"), "e:R", GROUP, &[("AWS:resourcetag/Pilothouse:Cluster", "acme")]));
        assert!(!allowed(&tagged("false"), "e:R", GROUP, &[]));
        assert!(!allowed(&tagged("false"), "e:R", GROUP, &[("aws:ResourceTag/other", "acme")]));
        assert!(!allowed(&tagged("true"), "e:R", GROUP, &tag));
        assert!(allowed(&tagged("true"), "e:R", GROUP, &[]));
    }

    #[test]
    fn every_condition_must_be_met_by_one_of_its_values() {
        let condition = json!({
            "StringEquals": {"kms:ViaService": ["sns.us-east-1.amazonaws.com", "sqs.us-east-1.amazonaws.com"]},
            "StringLike": {"aws:ResourceTag/for": "acme-*"},
            "ArnLike": {"aws:SourceArn": "arn:aws:events:*:1:rule/*"},
            "Bool": {"kms:GrantIsForAWSResource": "true"},
        });
        let keys = statements(&json!([{"Effect": "Allow", "Action": "k:D", "Resource": "*", "Condition": condition}]));
        let (via, tag) = (("kms:ViaService", "sqs.us-east-1.amazonaws.com"), ("aws:ResourceTag/for", "acme-prod"));
        let source = ("aws:SourceArn", "arn:aws:events:us-east-1:1:rule/a:b");
        let grant = ("kms:GrantIsForAWSResource", "true");
        assert!(allowed(&keys, "k:D", "*", &[via, tag, source, grant]));
        for broken in [
            [("kms:ViaService", "sns.us-east-2.amazonaws.com"), tag, source, grant],
            [via, ("aws:ResourceTag/for", "other"), source, grant],
            [via, tag, ("aws:SourceArn", "arn:aws:events:us-east-1:2:rule/a"), grant],
            [via, tag, ("aws:Other", ""), grant],
            [via, tag, source, ("kms:GrantIsForAWSResource", "false")],
            [via, tag, source, ("aws:Other", "")],
        ] {
            assert!(!allowed(&keys, "k:D", "*", &broken), "{broken:?}");
        }
    }

    #[test]
    fn a_request_gives_these_tags_and_no_other() {
        let condition = json!({
            "StringEquals": {"aws:RequestTag/pilothouse:start": ["join", "bootstrap"]},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["pilothouse:start"]},
        });
        let grants =
            statements(&json!([{"Effect": "Allow", "Action": "e:T", "Resource": "*", "Condition": condition}]));
        let (join, key) = (("aws:RequestTag/pilothouse:start", "join"), ("aws:TagKeys", "pilothouse:start"));
        assert!(allowed(&grants, "e:T", "*", &[join, key]));
        let more = ("aws:TagKeys", "pilothouse:cluster");
        assert!(!allowed(&grants, "e:T", "*", &[join, key, more]), "another tag beside it");
        assert!(!allowed(&grants, "e:T", "*", &[("aws:RequestTag/pilothouse:start", "now"), key]));
        assert!(!allowed(&grants, "e:T", "*", &[key]));
        assert!(allowed(&grants, "e:T", "*", &[join]), "no keys: none of them is another");
        // Without the word for all of them, many values match nothing.
        let condition = json!({"StringEquals": {"aws:TagKeys": ["a", "b"]}});
        let plain = statements(&json!([{"Effect": "Allow", "Action": "e:T", "Resource": "*", "Condition": condition}]));
        assert!(allowed(&plain, "e:T", "*", &[("aws:TagKeys", "a")]));
        assert!(!allowed(&plain, "e:T", "*", &[("aws:TagKeys", "a"), ("aws:TagKeys", "b")]));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let with = |name: &str, value: Value| {
            let mut statement = json!({"Effect": "Allow", "Action": "a:B", "Resource": "*"});
            statement[name] = value;
            Statement::read(&statement)
        };
        assert!(with("Sid", json!("Fine")).is_ok());
        for (name, value) in [
            ("NotAction", json!("a:C")),
            ("NotResource", json!("*")),
            ("Principal", json!("*")),
            ("Effect", json!("Maybe")),
            ("Action", json!({"Ref": "Action"})),
            ("Resource", json!("table")),
            ("Resource", json!("arn:aws:s3:::${aws:username}")),
            ("Condition", json!({"StringEqualsIfExists": {"a": "b"}})),
            ("Condition", json!({"ForAnyValue:StringEquals": {"a": "b"}})),
            ("Condition", json!({"StringNotEquals": {"a": "b"}})),
            ("Condition", json!({"Null": {"a": "no"}})),
            ("Condition", json!({"Bool": {"a": "no"}})),
            ("Condition", json!({"Null": {"a": false}})),
        ] {
            assert!(with(name, value.clone()).is_err(), "{name}: {value}");
        }
    }
}
