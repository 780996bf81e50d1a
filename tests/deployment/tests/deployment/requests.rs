//! CloudFormation's part towards a custom resource: its requests, and what it reads in the answers.

use serde_json::{Map, Value, json};
use stack::Function;

use crate::stage::{Account, text};

/// A custom resource of a stack, as CloudFormation keeps it.
#[derive(Debug)]
pub(crate) struct Resource<'a> {
    pub(crate) account: &'a Account,
    pub(crate) registry: &'a Function,
    stack: String,
    logical_id: &'static str,
    physical_id: Option<String>,
    properties: Value,
    requests: u32,
}

impl<'a> Resource<'a> {
    /// The resource of that name in a stack that was created. The registry has not heard of it.
    #[track_caller]
    pub(crate) fn of(account: &'a Account, registry: &'a Function, stack: &str, logical_id: &'static str) -> Self {
        let properties = Value::Null;
        Self { account, registry, stack: stack.to_owned(), logical_id, physical_id: None, properties, requests: 0 }
    }

    /// Asks for the resource's creation with the properties that its stack resolved.
    #[track_caller]
    pub(crate) fn create(&mut self) -> Result<Value, String> {
        let properties = as_sent(&self.account.properties(&self.stack, self.logical_id));
        self.ask("Create", properties)
    }

    /// Asks for another state of the resource: its properties, but for `changes` (by JSON pointer).
    #[track_caller]
    pub(crate) fn update(&mut self, changes: &[(&str, Value)]) -> Result<Value, String> {
        let mut properties = self.properties.clone();
        for (pointer, value) in changes {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let parent = properties.pointer_mut(parent).unwrap();
            match value {
                Value::Null => drop(parent.as_object_mut().unwrap().remove(field)),
                value => drop(parent.as_object_mut().unwrap().insert(field.to_owned(), as_sent(value))),
            }
        }
        self.ask("Update", properties)
    }

    /// Asks for the resource's end.
    #[track_caller]
    pub(crate) fn delete(&mut self) -> Result<Value, String> {
        self.ask("Delete", self.properties.clone())
    }

    /// The answer's data, or the reason that a user reads in the stack's events.
    #[track_caller]
    fn ask(&mut self, request_type: &str, properties: Value) -> Result<Value, String> {
        self.requests += 1;
        let request_id = format!("{}-{}-{}", self.stack, self.logical_id, self.requests);
        let made = self.account.stack.made_by(&self.stack).unwrap();
        let mut event = json!({
            "RequestType": request_type, "RequestId": request_id, "StackId": made["id"],
            "LogicalResourceId": self.logical_id, "ResourceType": "Custom::PilothouseCluster",
            "ServiceToken": properties["ServiceToken"], "ResourceProperties": properties,
            "ResponseURL": self.account.stack.answer_url(&request_id, "X-Amz-Signature=s3cr3t"),
        });
        if let Some(id) = &self.physical_id {
            event["PhysicalResourceId"] = json!(id);
        }
        if request_type == "Update" {
            event["OldResourceProperties"] = self.properties.clone();
        }
        self.registry.invoke(&event).unwrap();
        let puts = self.account.stack.answers(&request_id).unwrap();
        let [put] = puts.as_slice() else { panic!("one answer, not {puts:#?}") };
        let answer = put.json();
        assert_eq!(answer["RequestId"], json!(request_id));
        assert_eq!(answer["StackId"], made["id"]);
        assert_eq!(answer["LogicalResourceId"], self.logical_id);
        self.physical_id = Some(text(&answer["PhysicalResourceId"]));
        match answer["Status"].as_str() {
            Some("SUCCESS") => {
                self.properties = properties;
                Ok(answer["Data"].clone())
            }
            Some("FAILED") => Err(text(&answer["Reason"])),
            other => panic!("{other:?}"),
        }
    }
}

/// CloudFormation sends numbers and booleans as text.
fn as_sent(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.to_string()),
        Value::Bool(on) => json!(on.to_string()),
        Value::Array(items) => items.iter().map(as_sent).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), as_sent(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
