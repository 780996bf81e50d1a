//! CloudFormation's request, as the custom resource's reference describes it (`crpg-ref-requests`).

use domain::spec::Problem;
use runtime::records::Owner;
use serde_json::{Map, Value};

use crate::nearest::nearest;
use crate::refusal::at;

/// The only type of resource that this function makes.
pub const RESOURCE_TYPE: &str = "Custom::PilothouseCluster";

/// Where and under which ids a request is answered. Ids are copied as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The presigned URL: a secret while it is valid, so it is never logged.
    pub response_url: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// Unique to the request.
    pub request_id: String,
    /// The resource's name in the template.
    pub logical_id: String,
    /// The resource's id, as an earlier answer gave it. CloudFormation sends none with a Create.
    pub physical_id: Option<String>,
    /// `Create`, `Update`, `Delete`, or whatever it is.
    pub request_type: String,
}

impl Envelope {
    /// The owner that a cluster has which this resource made.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { stack_id: self.stack_id.clone(), logical_id: self.logical_id.clone() }
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Make a cluster of these properties.
    Create(Map<String, Value>),
    /// Bring the cluster to these properties.
    Update {
        /// Its id.
        physical_id: String,
        /// The properties.
        properties: Map<String, Value>,
    },
    /// Delete the cluster.
    Delete {
        /// Its id.
        physical_id: String,
        /// The properties that it had.
        properties: Map<String, Value>,
    },
}

/// Where to answer.
///
/// # Errors
/// There is no usable `ResponseURL`: CloudFormation cannot be answered at all. Only `https` is spoken, so that the answer
/// cannot be read or changed on its way; `http` to this very machine is what an emulated CloudFormation has.
pub fn envelope(payload: &Value) -> Result<Envelope, Vec<Problem>> {
    let response_url = match payload.get("ResponseURL") {
        Some(Value::String(url)) if may_be_answered(url) => url.clone(),
        Some(_) => return Err(vec![at("ResponseURL", "must be an https URL")]),
        None => return Err(vec![at("ResponseURL", "is required: there is nowhere to answer")]),
    };
    let text = |field: &str| payload.get(field).and_then(Value::as_str).map(str::to_owned);
    Ok(Envelope {
        response_url,
        stack_id: text("StackId").unwrap_or_default(),
        request_id: text("RequestId").unwrap_or_default(),
        logical_id: text("LogicalResourceId").unwrap_or_default(),
        physical_id: text("PhysicalResourceId").filter(|id| !id.is_empty()),
        request_type: text("RequestType").unwrap_or_default(),
    })
}

fn may_be_answered(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("https://") {
        return !rest.is_empty() && !rest.starts_with('/');
    }
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What is wanted.
///
/// # Errors
/// Every problem of a request that cannot be carried out. A Delete is taken with any properties and any type: what a
/// failed Create left behind must be deletable, or the stack is stuck.
pub fn wanted(payload: &Value, envelope: &Envelope) -> Result<Wanted, Vec<Problem>> {
    let mut problems = Vec::new();
    for field in ["StackId", "RequestId", "LogicalResourceId"] {
        if payload.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
            problems.push(at(field, "is required, as text that is not empty"));
        }
    }
    let request_type = envelope.request_type.as_str();
    const TYPES: [&str; 3] = ["Create", "Update", "Delete"];
    if !TYPES.contains(&request_type) {
        problems.push(at(
            "RequestType",
            match nearest(request_type, TYPES) {
                Some(near) => format!("unknown type of request; did you mean `{near}`?"),
                None => "must be Create, Update or Delete".to_owned(),
            },
        ));
    }
    if matches!(request_type, "Update" | "Delete") && envelope.physical_id.is_none() {
        problems.push(at("PhysicalResourceId", "is required, as text that is not empty"));
    }
    let properties = payload.get("ResourceProperties").and_then(Value::as_object).cloned();
    if request_type != "Delete" {
        if payload.get("ResourceType").and_then(Value::as_str) != Some(RESOURCE_TYPE) {
            problems.push(at("ResourceType", format!("must be {RESOURCE_TYPE}")));
        }
        if properties.is_none() {
            problems.push(at("ResourceProperties", "is required, as an object"));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let properties = properties.unwrap_or_default();
    let physical_id = envelope.physical_id.clone().unwrap_or_default();
    Ok(match request_type {
        "Create" => Wanted::Create(properties),
        "Update" => Wanted::Update { physical_id, properties },
        _ => Wanted::Delete { physical_id, properties },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_answered() {
        let good = [
            "https://bucket.s3.amazonaws.com/x?Signature=y",
            "http://127.0.0.1:5000/x",
            "http://localhost/x",
            "http://[::1]:80/x",
        ];
        let bad = [
            "",
            "https://",
            "https:///x",
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "http://localhost@example.com/",
            "ftp://localhost/",
            "file:///etc/passwd",
            "http://",
        ];
        for url in good {
            assert!(may_be_answered(url), "{url}");
        }
        for url in bad {
            assert!(!may_be_answered(url), "{url}");
        }
    }
}
