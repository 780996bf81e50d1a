//! Reads what Auto Scaling says of a lifecycle action: as an EventBridge event, or as a hook's own notification to SNS or SQS. It
//! only wakes; what it adds is the token, which the service does not tell otherwise.

use ports::Transition;
use serde_json::Value;

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The group.
    pub group: String,
    /// The hook.
    pub hook: String,
    /// The instance.
    pub instance: String,
    /// The action's token.
    pub token: String,
    /// Joining or leaving.
    pub transition: Transition,
    /// Where the instance comes from: `EC2`, `AutoScalingGroup`, `WarmPool`. Often left out.
    pub origin: Option<String>,
    /// Where it goes.
    pub destination: Option<String>,
}

impl Hint {
    /// Whether it is about a warm pool: the node is not launched into service, or not ended.
    #[must_use]
    pub fn of_a_warm_pool(&self) -> bool {
        [&self.origin, &self.destination].into_iter().flatten().any(|place| place == "WarmPool")
    }
}

/// What a payload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Lifecycle actions: SQS hands several over at once.
    Hints(Vec<Hint>),
    /// The message that Auto Scaling sends when a notification is set up. It says nothing.
    Test,
    /// Something else.
    Other,
}

/// Reads a payload: an event, a notification, or a batch of SNS's or SQS's that holds such.
#[must_use]
pub fn read(payload: &Value) -> Read {
    match payload.get("Records").and_then(Value::as_array) {
        Some(records) if !records.is_empty() => {
            let all: Vec<Read> = records.iter().map(|record| one(&unwrapped(record), 0)).collect();
            let hints: Vec<Hint> = all
                .iter()
                .filter_map(|read| if let Read::Hints(hints) = read { Some(hints.clone()) } else { None })
                .flatten()
                .collect();
            if !hints.is_empty() {
                Read::Hints(hints)
            } else if all.contains(&Read::Test) {
                Read::Test
            } else {
                Read::Other
            }
        }
        _ => one(payload, 0),
    }
}

/// A record's message: SNS's `Sns.Message`, SQS's `body`.
fn unwrapped(record: &Value) -> Value {
    let text = record.pointer("/Sns/Message").or_else(|| record.get("body")).and_then(Value::as_str);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn one(message: &Value, depth: u8) -> Read {
    // SNS into SQS: the body is SNS's envelope, and the message a text in it.
    if let Some(inner) = message.get("Message").and_then(Value::as_str).filter(|_| depth < 2) {
        return serde_json::from_str(inner).map_or(Read::Other, |inner| one(&inner, depth + 1));
    }
    if message.get("Event").and_then(Value::as_str) == Some("autoscaling:TEST_NOTIFICATION") {
        return Read::Test;
    }
    let detail = match message.get("detail") {
        Some(detail) if message.get("source").and_then(Value::as_str) == Some("aws.autoscaling") => detail,
        Some(_) => return Read::Other,
        None => message,
    };
    hint(detail).map_or(Read::Other, |hint| Read::Hints(vec![hint]))
}

fn hint(detail: &Value) -> Option<Hint> {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Hint {
        transition: match text("LifecycleTransition")?.as_str() {
            "autoscaling:EC2_INSTANCE_LAUNCHING" => Transition::Launch,
            "autoscaling:EC2_INSTANCE_TERMINATING" => Transition::Terminate,
            _ => return None,
        },
        group: text("AutoScalingGroupName")?,
        hook: text("LifecycleHookName")?,
        instance: text("EC2InstanceId")?,
        token: text("LifecycleActionToken")?,
        origin: text("Origin"),
        destination: text("Destination"),
    })
}

#[cfg(test)]
mod tests;
