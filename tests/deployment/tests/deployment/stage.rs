//! The control plane as its stack made it, in an emulated account with one customer.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stack::{Function, Stack, World, WorldCluster, WorldMade};

use crate::template::translated;

pub(crate) const TEMPLATE: &str = "infra/template.yaml";
pub(crate) const CONTROL_PLANE: &str = "pilothouse";
pub(crate) const CUSTOMER: &str = "acme-prod";

/// An account in which stacks were created.
#[derive(Debug)]
pub(crate) struct Account {
    /// Our VPC, and the customer's peering.
    pub(crate) world: WorldMade,
    pub(crate) stack: Stack,
}

impl Account {
    /// An account with the control plane, which asks the test's own DNS server.
    #[track_caller]
    pub(crate) fn with_control_plane() -> Self {
        let account = Self::empty();
        let resolvers = account.stack.dns.address().to_string();
        account.create(CONTROL_PLANE, &translated(TEMPLATE), &[("Resolvers", &resolvers)]);
        account
    }

    /// An account with our VPC and an active peering with the customer's.
    #[track_caller]
    pub(crate) fn empty() -> Self {
        let stack = stack::acquire().unwrap();
        let state = Some("active".to_owned());
        let acme = WorldCluster { state, ..WorldCluster::named(CUSTOMER, "10.9.0.0/16") };
        let world = World { initial_seconds: Some(0.0), clusters: vec![acme], ..World::default() };
        Self { world: stack.world(&world).unwrap(), stack }
    }

    /// Creates a stack, which must come up with everything that its template names.
    #[track_caller]
    pub(crate) fn create(&self, name: &str, template: &Value, parameters: &[(&str, &str)]) {
        let parameters: Vec<Value> =
            parameters.iter().map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value})).collect();
        let request = json!({"StackName": name, "TemplateBody": template.to_string(), "Parameters": parameters,
            "Capabilities": ["CAPABILITY_IAM"]});
        self.aws("cloudformation", "CreateStack", &request);
        let status = self.aws("cloudformation", "DescribeStacks", &json!({"StackName": name}));
        assert_eq!(status["Stacks"][0]["StackStatus"], "CREATE_COMPLETE");
        assert_eq!(self.stack.made_by(name).unwrap()["not_made"], json!([]), "{name} is made whole");
    }

    /// A call of AWS's API, which must succeed.
    #[track_caller]
    pub(crate) fn aws(&self, service: &str, operation: &str, params: &Value) -> Value {
        self.stack.aws(service, operation, params).unwrap_or_else(|error| panic!("{service}:{operation}: {error}"))
    }

    /// The id of a resource of a stack.
    #[track_caller]
    pub(crate) fn id(&self, stack: &str, logical_id: &str) -> String {
        text(&self.resource(stack, logical_id)["id"])
    }

    /// The properties of a resource, as CloudFormation resolved them.
    #[track_caller]
    pub(crate) fn properties(&self, stack: &str, logical_id: &str) -> Value {
        self.resource(stack, logical_id)["properties"].clone()
    }

    #[track_caller]
    fn resource(&self, stack: &str, logical_id: &str) -> Value {
        let made = self.stack.made_by(stack).unwrap();
        let found = made["resources"].get(logical_id);
        found.unwrap_or_else(|| panic!("{stack} has no {logical_id}")).clone()
    }

    /// Outputs of a stack by name.
    #[track_caller]
    pub(crate) fn outputs(&self, stack: &str) -> BTreeMap<String, String> {
        let found = self.aws("cloudformation", "DescribeStacks", &json!({"StackName": stack}));
        let outputs = list(&found["Stacks"][0]["Outputs"]);
        outputs.iter().map(|o| (text(&o["OutputKey"]), text(&o["OutputValue"]))).collect()
    }

    /// The function of that name as Lambda would run it: its own program, the variables that it was created with and no other,
    /// and credentials of its role.
    #[track_caller]
    pub(crate) fn run(&self, name: &str) -> (Function, String) {
        self.run_as(name, name)
    }

    /// As [`Account::run`], for a function whose program is called otherwise.
    #[track_caller]
    pub(crate) fn run_as(&self, name: &str, program: &str) -> (Function, String) {
        let created = self.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": name}));
        let mut environment: BTreeMap<String, String> = created["Environment"]["Variables"]
            .as_object()
            .map(|variables| variables.iter().map(|(key, value)| (key.clone(), text(value))).collect())
            .unwrap_or_default();
        let session = json!({"RoleArn": created["Role"], "RoleSessionName": name});
        let credentials = &self.aws("sts", "AssumeRole", &session)["Credentials"];
        let access_key = text(&credentials["AccessKeyId"]);
        environment.insert("AWS_ACCESS_KEY_ID".to_owned(), access_key.clone());
        environment.insert("AWS_SECRET_ACCESS_KEY".to_owned(), text(&credentials["SecretAccessKey"]));
        environment.insert("AWS_SESSION_TOKEN".to_owned(), text(&credentials["SessionToken"]));
        (self.stack.function_named(name, program, &environment).unwrap(), access_key)
    }
}

/// A text.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A list; none is an empty one.
#[track_caller]
pub(crate) fn list(value: &Value) -> Vec<Value> {
    if value.is_null() {
        return Vec::new();
    }
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).clone()
}

/// A document that came as text.
#[track_caller]
pub(crate) fn parsed(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")),
        other => other.clone(),
    }
}
