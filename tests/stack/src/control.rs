//! The emulator's `/_control` routes.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::send;
use crate::{
    AnswerPut, Call, Error, Fault, HeldCall, MadePeering, NewPeering, PeeringChange, PublishedNotice, RouteRow,
    TargetGroupChange, TargetRow, World, WorldMade,
};

#[cfg(doc)]
use crate::FaultKind;

/// Making a world of thousands of clusters takes its time.
const LIMIT: Duration = Duration::from_secs(120);

/// Changes and reads the emulated AWS by hand. None of it is an AWS call, so none of it is in [`Control::calls`].
///
/// Every method fails with [`Error::Http`] when the emulator cannot be reached, and [`Error::Status`] when it refuses.
#[derive(Debug, Clone)]
pub struct Control {
    aws: String,
}

#[allow(clippy::missing_errors_doc, reason = "the type says it once for all")]
impl Control {
    pub(crate) fn at(aws: &str) -> Self {
        Self { aws: aws.to_owned() }
    }

    /// Forgets the world, calls, faults, clock and addresses.
    pub fn reset(&self) -> Result<(), Error> {
        self.send("POST", "reset", None)
    }

    /// Makes what an account holds. Once for each reset.
    pub fn world(&self, world: &World) -> Result<WorldMade, Error> {
        self.ask("POST", "world", Some(&value(world)))
    }

    /// Makes one more peering.
    pub fn new_peering(&self, peering: &NewPeering) -> Result<MadePeering, Error> {
        self.ask("POST", "peerings", Some(&value(peering)))
    }

    /// Changes a peering.
    pub fn change_peering(&self, change: &PeeringChange) -> Result<(), Error> {
        self.send("POST", "peering", Some(&value(change)))
    }

    /// Puts a peering into a state (its status code), as [`Control::change_peering`] can.
    pub fn peering(&self, connection_id: &str, state: &str) -> Result<(), Error> {
        self.change_peering(&PeeringChange {
            connection_id: connection_id.to_owned(),
            state: Some(state.to_owned()),
            ..PeeringChange::default()
        })
    }

    /// Changes a target group.
    pub fn change_target_group(&self, change: &TargetGroupChange) -> Result<(), Error> {
        self.send("POST", "target_group", Some(&value(change)))
    }

    /// All targets of a group, those that drain included.
    pub fn targets(&self, arn: &str) -> Result<Vec<TargetRow>, Error> {
        self.ask("GET", &format!("targets?arn={arn}"), None)
    }

    /// Registers a target by hand.
    pub fn register_target(&self, arn: &str, id: &str, port: u16, zone: Option<&str>) -> Result<(), Error> {
        let body = json!({"arn": arn, "id": id, "port": port, "zone": zone});
        self.send("POST", "targets", Some(&body))
    }

    /// Deregisters a target by hand.
    pub fn deregister_target(&self, arn: &str, id: &str, port: u16) -> Result<(), Error> {
        let body = json!({"arn": arn, "id": id, "port": port});
        self.send("DELETE", "targets", Some(&body))
    }

    /// The routes of a route table.
    pub fn routes(&self, route_table_id: &str) -> Result<Vec<RouteRow>, Error> {
        self.ask("GET", &format!("routes?route_table_id={route_table_id}"), None)
    }

    /// Makes a route by hand, or points it elsewhere. `target` is an id, or `internet-gateway` or `network-interface` for a
    /// new one. Gives the target's id.
    pub fn put_route(
        &self,
        route_table_id: &str,
        destination: &str,
        target: &str,
        replace: bool,
    ) -> Result<String, Error> {
        let body = json!({
            "route_table_id": route_table_id, "destination": destination, "target": target, "replace": replace,
        });
        let made: Value = self.ask("POST", "routes", Some(&body))?;
        Ok(made.get("target").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Removes a route by hand.
    pub fn delete_route(&self, route_table_id: &str, destination: &str) -> Result<(), Error> {
        let body = json!({"route_table_id": route_table_id, "destination": destination});
        self.send("DELETE", "routes", Some(&body))
    }

    /// Says what stands for which `address:port` on this machine, in place of what was said before. What isn't named
    /// cannot be reached, so it is unhealthy.
    pub fn addresses<K: Display, V: Display>(&self, map: impl IntoIterator<Item = (K, V)>) -> Result<(), Error> {
        let map: BTreeMap<String, String> =
            map.into_iter().map(|(key, local)| (key.to_string(), local.to_string())).collect();
        self.send("POST", "addresses", Some(&value(&map)))
    }

    /// The AWS requests since the last reset or clearing, the oldest first.
    pub fn calls(&self) -> Result<Vec<Call>, Error> {
        self.ask("GET", "calls", None)
    }

    /// The AWS requests after the one with number `n`.
    pub fn calls_since(&self, n: u64) -> Result<Vec<Call>, Error> {
        self.ask("GET", &format!("calls?since={n}"), None)
    }

    /// The last AWS request so far, alone: a reader that asks often is spared the whole log.
    pub fn last_call(&self) -> Result<Option<Call>, Error> {
        self.ask::<Vec<Call>>("GET", "calls?last=yes", None).map(|mut calls| calls.pop())
    }

    /// Forgets the calls so far. Their numbers go on.
    pub fn clear_calls(&self) -> Result<(), Error> {
        self.send("DELETE", "calls", None)
    }

    /// Orders a fault. Several wait in the order given.
    pub fn fault(&self, fault: &Fault) -> Result<(), Error> {
        self.send("POST", "faults", Some(&value(fault)))
    }

    /// The faults that have not been spent, as ordered.
    pub fn faults(&self) -> Result<Vec<Value>, Error> {
        self.ask("GET", "faults", None)
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) -> Result<(), Error> {
        self.send("DELETE", "faults", None)
    }

    /// The requests that are held now ([`FaultKind::HoldBefore`], [`FaultKind::HoldAfter`]).
    pub fn held(&self) -> Result<Vec<HeldCall>, Error> {
        self.ask("GET", "holds", None)
    }

    /// Closes the connections of the requests that are held.
    pub fn release_held(&self) -> Result<(), Error> {
        self.send("DELETE", "holds", None)
    }

    /// What was published to the topic, the oldest first.
    pub fn notices(&self) -> Result<Vec<PublishedNotice>, Error> {
        self.ask("GET", "notices", None)
    }

    /// Makes a secret, or gives it another text.
    pub fn secret(&self, name: &str, text: &str) -> Result<(), Error> {
        self.send("PUT", "secrets", Some(&json!({"name": name, "text": text})))
    }

    /// A ResponseURL for a custom resource's event. `query` may carry a signature, and `fail=503` for a status to refuse
    /// with.
    pub fn answer_url(&self, id: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/_control/answers/{id}{mark}{query}", self.aws)
    }

    /// What was put to the ResponseURL of that id, the oldest first.
    pub fn answers(&self, id: &str) -> Result<Vec<AnswerPut>, Error> {
        #[derive(serde::Deserialize)]
        struct Puts {
            puts: Vec<AnswerPut>,
        }
        let found: Puts = self.ask("GET", &format!("answers/{id}"), None)?;
        Ok(found.puts)
    }

    /// Any call of AWS's API, made and read by its Python SDK: `("dynamodb", "DescribeTable", {"TableName": "t"})`. Its access
    /// key in the log of calls is `control`.
    pub fn aws(&self, service: &str, operation: &str, params: &Value) -> Result<Value, Error> {
        self.ask("POST", "api", Some(&json!({"service": service, "operation": operation, "params": params})))
    }

    /// What a stack was made of: `{"id", "resources": {"Table": {"type", "id", "properties"}}, "not_made": ["Name Type"]}`, with
    /// properties as CloudFormation resolved them.
    pub fn made_by(&self, stack: &str) -> Result<Value, Error> {
        self.ask("GET", &format!("stack?name={stack}"), None)
    }

    /// All items of the table, as plain JSON.
    pub fn items(&self) -> Result<Vec<Value>, Error> {
        self.ask("GET", "items", None)
    }

    /// The item of that key, as plain JSON.
    pub fn item(&self, pk: &str, sk: &str) -> Result<Option<Value>, Error> {
        let has = |item: &Value, name, text| item.get(name).and_then(Value::as_str) == Some(text);
        let items = self.items()?;
        Ok(items.into_iter().find(|item| has(item, "pk", pk) && has(item, "sk", sk)))
    }

    /// Puts an item, plain JSON with `pk` and `sk`, over whatever is there.
    pub fn put_item(&self, item: &Value) -> Result<(), Error> {
        self.send("PUT", "items", Some(item))
    }

    /// Removes an item.
    pub fn delete_item(&self, pk: &str, sk: &str) -> Result<(), Error> {
        self.send("DELETE", "items", Some(&json!({"pk": pk, "sk": sk})))
    }

    /// Moves the emulator's clock forward. Draining, `initial` and stale answers follow it; the functions do not.
    pub fn clock(&self, advance_seconds: f64) -> Result<(), Error> {
        self.send("POST", "clock", Some(&json!({"advance": advance_seconds})))
    }

    /// Makes pages of long answers shorter: `{"peerings": 2, "route_tables": 2, "target_groups": 2}`.
    pub fn pages(&self, limits: &Value) -> Result<(), Error> {
        self.send("POST", "pages", Some(limits))
    }

    /// How long an invocation has, as the Runtime API tells the function (60 s).
    pub fn lambda_timeout(&self, seconds: f64) -> Result<(), Error> {
        self.send("POST", "lambda", Some(&json!({"timeout_seconds": seconds})))
    }

    pub(crate) fn send(&self, method: &str, route: &str, body: Option<&Value>) -> Result<(), Error> {
        self.ask::<Value>(method, route, body).map(drop)
    }

    pub(crate) fn ask<T: DeserializeOwned>(&self, method: &str, route: &str, body: Option<&Value>) -> Result<T, Error> {
        let url = format!("{}/_control/{route}", self.aws);
        let reply = send(method, &url, body, LIMIT)?;
        let request = format!("{method} {url}");
        if reply.status != 200 {
            return Err(Error::Status { request, status: reply.status, body: reply.body });
        }
        serde_json::from_str(&reply.body)
            .map_err(|error| Error::Http { request, problem: format!("cannot read {error} in {}", reply.body) })
    }
}

pub(crate) fn value(body: &impl Serialize) -> Value {
    serde_json::to_value(body).unwrap_or_default()
}
