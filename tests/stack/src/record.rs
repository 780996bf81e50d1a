//! What tests read back from the emulator, and the faults that they order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(doc)]
use crate::Control;

/// An AWS request that the emulator got.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    /// Counts up from 1 since the last reset.
    pub n: u64,
    /// Seconds since the epoch, by the machine's clock.
    pub at: f64,
    /// The signing name, as in `elasticloadbalancing`; empty for an unsigned request.
    #[serde(default, deserialize_with = "null_is_default")]
    pub service: String,
    /// The operation, as in `RegisterTargets`.
    pub operation: String,
    /// The request's parameters, as its protocol has them.
    pub params: Value,
    /// HTTP status of the answer; `None` when there was none.
    pub status: Option<u16>,
    /// The kind of fault that was injected; `stale_same` for a stale answer that says what the fresh one would have.
    pub fault: Option<String>,
    /// The caller's access key id. A function's is its program's name.
    pub access_key: Option<String>,
    /// What IAM would decide it by, one for each action.
    pub needs: Vec<Need>,
}

/// An action that a call takes, as IAM sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Need {
    /// As a policy names it: `dynamodb:PutItem` also where a transaction puts.
    pub action: String,
    /// The ARN on which it is authorized, or `*`. `None` where the emulator does not know.
    pub resource: Option<String>,
    /// The resource's tags; `None` where it does not exist.
    pub tags: Option<BTreeMap<String, String>>,
    /// The tags that the request gives.
    #[serde(default)]
    pub request_tags: BTreeMap<String, String>,
    /// The operation that creates what it tags, where it does.
    pub create_action: Option<String>,
}

impl Call {
    /// `service:Operation`, as faults and reports name it.
    pub fn name(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Whether it is a call that may change something: one whose name doesn't say that it reads. What a function is invoked
    /// for, its payload says: these verbs of a gateway change nothing.
    pub fn mutates(&self) -> bool {
        let verb = self.params.pointer("/Payload/verb").and_then(Value::as_str);
        if self.name() == "lambda:Invoke" && matches!(verb, Some("resolve" | "probe")) {
            return false;
        }
        !["Describe", "Get", "List", "Query", "Scan", "BatchGet", "TransactGet"]
            .iter()
            .any(|verb| self.operation.starts_with(verb))
    }
}

/// A request that a fault holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeldCall {
    /// Its number among the calls.
    pub n: u64,
    /// The signing name.
    pub service: String,
    /// The operation.
    pub operation: String,
}

/// A target of a target group, with its health.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TargetRow {
    /// The address.
    pub id: String,
    /// The port.
    pub port: u16,
    /// Its availability zone: `all` for one outside the VPC.
    pub zone: Option<String>,
    /// `initial`, `healthy`, `unhealthy`, `draining`, `unused`.
    pub state: String,
    /// `Target.FailedHealthChecks`, ...
    pub reason: Option<String>,
}

/// A route of a route table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RouteRow {
    /// CIDR block.
    pub destination: String,
    /// Id of what it leads to, or `local`.
    pub target: Option<String>,
    /// `active` or `blackhole`.
    pub state: String,
    /// `CreateRouteTable`, `CreateRoute`, ...
    pub origin: String,
}

/// A message that was published to the topic.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PublishedNotice {
    /// The topic's ARN.
    pub topic: String,
    /// Its subject.
    pub subject: Option<String>,
    /// As published; a notice is JSON.
    pub message: String,
}

impl PublishedNotice {
    /// The message as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.message).unwrap_or_default()
    }
}

/// A PUT to a custom resource's ResponseURL.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AnswerPut {
    /// The URL's query.
    pub query: String,
    /// Headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// As received; an answer is JSON.
    pub body: String,
}

impl AnswerPut {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A fault for calls to come.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    /// `service:Operation`, `service:*` or `*`.
    pub operation: String,
    /// Only calls whose parameters, as JSON, contain this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containing: Option<String>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// The error code, for [`FaultKind::Code`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The error's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The error's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How many calls it hits; -1 is all.
    pub times: i32,
    /// How many matching calls pass before it begins.
    pub skip: u32,
    /// How long a time-out lasts, or how old a stale answer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Fault {
    /// A fault of the next matching call.
    pub fn new(operation: &str, kind: FaultKind) -> Self {
        Self {
            operation: operation.to_owned(),
            containing: None,
            kind,
            code: None,
            message: None,
            status: None,
            times: 1,
            skip: 0,
            seconds: None,
        }
    }

    /// The next matching call fails with this error code.
    pub fn code(operation: &str, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..Self::new(operation, FaultKind::Code) }
    }

    /// Of the next `times` matching calls.
    #[must_use]
    pub fn times(self, times: i32) -> Self {
        Self { times, ..self }
    }

    /// Of every matching call until the faults are cleared.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(-1)
    }

    /// After `skip` matching calls have passed.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The service's own "slow down".
    Throttle,
    /// An internal error, status 500.
    Error500,
    /// No answer, for longer than a client waits.
    Timeout,
    /// The connection is reset before the call takes effect.
    Reset,
    /// The call takes effect, its answer is lost.
    LostReply,
    /// An eventually consistent read answers what was true before.
    Stale,
    /// The request is held before it takes effect, until [`Control::release_held`], and never answered.
    HoldBefore,
    /// The request takes effect, its answer is held until [`Control::release_held`], and never sent.
    HoldAfter,
    /// An error by its code.
    Code,
}

fn null_is_default<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
