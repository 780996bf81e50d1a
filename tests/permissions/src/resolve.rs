//! CloudFormation's intrinsic functions, as far as roles use them, resolved to what the emulated AWS has.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Failure;

/// A name that nothing has.
const NOWHERE: &str = "nowhere";

/// What the template's resources are called where the functions ran.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Names {
    /// `aws`.
    pub partition: String,
    /// Its Region.
    pub region: String,
    /// Its account.
    pub account: String,
    /// The table's name, where there is one.
    pub table: Option<String>,
    /// The topic's ARN, where there is one.
    pub topic: Option<String>,
}

/// Resolves the values of one template in one such place.
#[derive(Debug, Clone, Copy)]
pub struct Resolver<'a> {
    /// The template, as CloudFormation gets it.
    pub template: &'a Value,
    /// What its resources are called.
    pub names: &'a Names,
    /// What all of its conditions are taken to be. Roles are compared with both.
    pub conditions: bool,
}

impl Resolver<'_> {
    /// The value without intrinsic functions; `None` where it is `AWS::NoValue`.
    ///
    /// # Errors
    /// A function, or what it refers to, is not known here.
    pub fn resolve(&self, value: &Value) -> Result<Option<Value>, Failure> {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(list) => {
                let kept: Result<Vec<Option<Value>>, Failure> = list.iter().map(|one| self.resolve(one)).collect();
                Ok(Some(Value::Array(kept?.into_iter().flatten().collect())))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    /// Whether it is `!Ref AWS::NoValue`.
    #[must_use]
    pub fn is_no_value(value: &Value) -> bool {
        value.get("Ref").and_then(Value::as_str) == Some("AWS::NoValue")
    }

    fn object(&self, fields: &Map<String, Value>) -> Result<Option<Value>, Failure> {
        if let Some(function) = fields.keys().find(|name| *name == "Ref" || name.starts_with("Fn::")) {
            let (1, Some(given)) = (fields.len(), fields.get(function)) else {
                return Err(Failure::unknown("object with an intrinsic function", function));
            };
            return self.call(function, given);
        }
        let mut kept = Map::new();
        for (name, value) in fields {
            if let Some(value) = self.resolve(value)? {
                kept.insert(name.clone(), value);
            }
        }
        Ok(Some(Value::Object(kept)))
    }

    fn call(&self, function: &str, given: &Value) -> Result<Option<Value>, Failure> {
        let listed = given.as_array().map(Vec::as_slice);
        let text = match (function, given.as_str(), listed) {
            ("Ref", Some("AWS::NoValue"), _) => return Ok(None),
            ("Ref", Some(name), _) => self.reference(name)?,
            ("Fn::GetAtt", Some(name), _) => self.dotted(name)?,
            ("Fn::GetAtt", _, Some([Value::String(id), Value::String(attribute)])) => self.attribute(id, attribute)?,
            ("Fn::Sub", Some(template), _) => self.substitute(template, &BTreeMap::new())?,
            ("Fn::Sub", _, Some([Value::String(template), Value::Object(own)])) => {
                let own = own.iter().map(|(name, value)| Ok((name.as_str(), self.text(value)?)));
                self.substitute(template, &own.collect::<Result<_, Failure>>()?)?
            }
            ("Fn::Join", _, Some([Value::String(between), Value::Array(parts)])) => {
                let parts: Result<Vec<String>, Failure> = parts.iter().map(|part| self.text(part)).collect();
                parts?.join(between)
            }
            ("Fn::If", _, Some([Value::String(_), then, otherwise])) => {
                return self.resolve(if self.conditions { then } else { otherwise });
            }
            _ => return Err(Failure::unknown("intrinsic function", format!("{function} {given}"))),
        };
        Ok(Some(Value::String(text)))
    }

    fn text(&self, value: &Value) -> Result<String, Failure> {
        match self.resolve(value)? {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Failure::unknown("text", value)),
        }
    }

    /// `${Name}`, `${Id.Attribute}`, `${AWS::Region}`, and `${!Literal}`.
    fn substitute(&self, template: &str, own: &BTreeMap<&str, String>) -> Result<String, Failure> {
        let mut pieces = template.split("${");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').ok_or_else(|| Failure::unknown("Fn::Sub", template))?;
            match (own.get(name), name.strip_prefix('!')) {
                (_, Some(literal)) => text.extend(["${", literal, "}"]),
                (Some(value), _) => text.push_str(value),
                (None, _) if name.contains('.') => text.push_str(&self.dotted(name)?),
                (None, _) => text.push_str(&self.reference(name)?),
            }
            text.push_str(rest);
        }
        Ok(text)
    }

    fn dotted(&self, name: &str) -> Result<String, Failure> {
        let (id, attribute) = name.split_once('.').ok_or_else(|| Failure::unknown("Fn::GetAtt", name))?;
        self.attribute(id, attribute)
    }

    fn reference(&self, name: &str) -> Result<String, Failure> {
        let names = self.names;
        match name {
            "AWS::AccountId" => return Ok(names.account.clone()),
            "AWS::Partition" => return Ok(names.partition.clone()),
            "AWS::Region" => return Ok(names.region.clone()),
            "AWS::StackName" => return Ok("pilothouse".to_owned()),
            _ => {}
        }
        if let Some(parameter) = self.template.pointer(&format!("/Parameters/{name}")) {
            // Without a default, any value does: its name.
            return match parameter.get("Default") {
                None => Ok(name.to_owned()),
                Some(Value::String(text)) => Ok(text.clone()),
                Some(Value::Number(number)) => Ok(number.to_string()),
                Some(other) => Err(Failure::unknown("default of a parameter", other)),
            };
        }
        match self.kind(name)? {
            "AWS::DynamoDB::Table" => Ok(self.table().to_owned()),
            "AWS::SNS::Topic" => Ok(self.topic()),
            kind => Err(Failure::unknown("Ref", format!("{name}, a {kind}"))),
        }
    }

    fn attribute(&self, id: &str, attribute: &str) -> Result<String, Failure> {
        let Names { partition, region, account, .. } = self.names;
        let arn = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
        Ok(match (self.kind(id)?, attribute) {
            ("AWS::DynamoDB::Table", "Arn") => arn("dynamodb", &format!("table/{}", self.table())),
            ("AWS::SNS::Topic", "TopicArn") => self.topic(),
            // Nothing that the functions call: any name does.
            ("AWS::KMS::Key", "Arn") => arn("kms", &format!("key/{id}")),
            ("AWS::Lambda::Function", "Arn") => arn("lambda", &format!("function:{id}")),
            ("AWS::Logs::LogGroup", "Arn") => arn("logs", &format!("log-group:{id}:*")),
            ("AWS::SQS::Queue", "Arn") => arn("sqs", id),
            (kind, _) => return Err(Failure::unknown("Fn::GetAtt", format!("{id}.{attribute}, of a {kind}"))),
        })
    }

    fn kind(&self, id: &str) -> Result<&str, Failure> {
        let kind = self.template.pointer(&format!("/Resources/{id}/Type")).and_then(Value::as_str);
        kind.ok_or_else(|| Failure::unknown("parameter or resource", id))
    }

    fn table(&self) -> &str {
        self.names.table.as_deref().unwrap_or(NOWHERE)
    }

    fn topic(&self) -> String {
        let Names { partition, region, account, topic, .. } = self.names;
        topic.clone().unwrap_or_else(|| format!("arn:{partition}:sns:{region}:{account}:{NOWHERE}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(value: &Value, conditions: bool) -> Result<Option<Value>, Failure> {
        let template = json!({
            "Parameters": {"Name": {"Type": "String"}, "Days": {"Type": "Number", "Default": 30}},
            "Resources": {
                "Table": {"Type": "AWS::DynamoDB::Table"},
                "Topic": {"Type": "AWS::SNS::Topic"},
                "Logs": {"Type": "AWS::Logs::LogGroup"},
                "Bucket": {"Type": "AWS::S3::Bucket"},
            },
        });
        let names = Names {
            partition: "aws".to_owned(),
            region: "eu-west-1".to_owned(),
            account: "1".to_owned(),
            table: Some("t".to_owned()),
            topic: Some("arn:aws:sns:eu-west-1:1:n".to_owned()),
        };
        Resolver { template: &template, names: &names, conditions }.resolve(value)
    }

    #[test]
    fn functions_give_what_cloudformation_would() {
        for (value, expected) in [
            (json!({"Ref": "Topic"}), json!("arn:aws:sns:eu-west-1:1:n")),
            (json!({"Ref": "Table"}), json!("t")),
            (json!({"Ref": "Name"}), json!("Name")),
            (json!({"Ref": "Days"}), json!("30")),
            (json!({"Fn::GetAtt": ["Table", "Arn"]}), json!("arn:aws:dynamodb:eu-west-1:1:table/t")),
            (json!({"Fn::GetAtt": "Logs.Arn"}), json!("arn:aws:logs:eu-west-1:1:log-group:Logs:*")),
            (
                json!({"Fn::Sub": "${AWS::Partition} ${Table.Arn}/x ${!Kept} ${AWS::AccountId}"}),
                json!("aws arn:aws:dynamodb:eu-west-1:1:table/t/x ${Kept} 1"),
            ),
            (json!({"Fn::Sub": ["${A}-${Table}", {"A": {"Ref": "AWS::Region"}}]}), json!("eu-west-1-t")),
            (json!({"Fn::Join": ["/", ["a", {"Ref": "Table"}]]}), json!("a/t")),
            (
                json!({"Condition": {"Null": {"k": "false"}}, "Resource": [{"Ref": "Table"}, {"Ref": "AWS::NoValue"}]}),
                json!({"Condition": {"Null": {"k": "false"}}, "Resource": ["t"]}),
            ),
        ] {
            assert_eq!(resolved(&value, true).unwrap(), Some(expected), "{value}");
        }
        let choice = json!({"Fn::If": ["InVpc", "in", {"Ref": "AWS::NoValue"}]});
        assert_eq!(resolved(&choice, true).unwrap(), Some(json!("in")));
        assert_eq!(resolved(&choice, false).unwrap(), None);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for value in [
            json!({"Fn::ImportValue": "x"}),
            json!({"Fn::Select": [0, ["a"]]}),
            json!({"Ref": "Nobody"}),
            json!({"Ref": "AWS::URLSuffix"}),
            json!({"Ref": "Bucket"}),
            json!({"Ref": "Table", "Else": 1}),
            json!({"Fn::GetAtt": ["Bucket", "Arn"]}),
            json!({"Fn::GetAtt": ["Table", "StreamArn"]}),
            json!({"Fn::Sub": "${Nobody}"}),
            json!({"Fn::Sub": "${Table"}),
            json!({"Fn::Join": ["", [1]]}),
        ] {
            assert!(resolved(&value, true).is_err(), "{value}");
        }
    }
}
