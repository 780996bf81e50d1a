use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;

/// A world that notes what it is asked for.
#[derive(Default)]
struct World {
    asked: Mutex<Vec<String>>,
}

/// Who answers: the gateway, or the one inside.
struct Door<'a>(&'static str, &'a World);

impl World {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl ports::Gateways for Door<'_> {
    async fn invoke(&self, function: &str, request: Vec<u8>) -> Result<Value, ports::PortError> {
        let request: Value = serde_json::from_slice(&request).unwrap();
        let items = request["items"].as_array().unwrap();
        self.1.asked.lock().unwrap().push(format!("{} {function}: {} items", self.0, items.len()));
        // Out of order, and the second one is left out.
        let answers =
            items.iter().rev().filter(|item| item["id"] != "1").map(|item| json!({"id": item["id"], "ok": item["id"]}));
        Ok(json!({"v": VERSION, "items": answers.collect::<Vec<_>>()}))
    }
}

impl ports::Secrets for Door<'_> {
    async fn read(&self, id: &str) -> Result<Secret, ports::PortError> {
        self.1.asked.lock().unwrap().push(id.to_owned());
        Ok(Secret::new(r#"{"username": "u", "password": "hunter2"}"#))
    }
}

struct Still;

impl ports::Clock for Still {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

struct Here<'a>(Door<'a>, Door<'a>, Still);

impl<'a> Here<'a> {
    fn of(world: &'a World) -> Self {
        Self(Door("gateway", world), Door("inside", world), Still)
    }
}

impl<'a> Ways for Here<'a> {
    type Gateways = Door<'a>;
    type Inside = Door<'a>;
    type Secrets = Door<'a>;
    type Clock = Still;

    fn gateways(&self) -> &Door<'a> {
        &self.0
    }
    fn inside(&self) -> &Door<'a> {
        &self.1
    }
    fn secrets(&self) -> &Door<'a> {
        &self.0
    }
    fn clock(&self) -> &Still {
        &self.2
    }
}

fn nodes(gateway: Option<&str>) -> Nodes {
    let secret = |name: &str| format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{name}-AbCdEf");
    let mut spec = json!({"name": "acme", "nodes": {
        "asg": "acme-pg", "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
        "patroni": {"scope": "acme", "tls": {"ca_secret": secret("ca")}, "credentials_secret": secret("patroni")},
        "etcd": {"tls": {"ca_secret": secret("ca")}, "credentials_secret": secret("etcd")},
        "target_groups": [{
            "arn": "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/w/0123456789abcdef", "role": "writer"}],
        "volumes": {"source": "none"}}});
    if let Some(gateway) = gateway {
        spec["nodes"]["gateway_function"] = json!(gateway);
    }
    domain::spec::validate(&spec).unwrap_or_else(|problems| panic!("{problems:#?}")).nodes.unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The names of the secrets, without their partition and suffix.
fn names(asked: Vec<String>) -> Vec<String> {
    let name = |id: &String| Some(id.split(':').nth(6)?.strip_suffix("-AbCdEf")?.to_owned());
    let mut names: Vec<String> = asked.iter().filter_map(name).collect();
    names.sort();
    names
}

#[test]
fn every_secret_is_read_once_and_only_those_that_are_wanted() {
    let world = World::default();
    let nodes = nodes(None);
    let etcd = nodes.etcd.as_ref().unwrap();
    let all = wait(Keys::read(&Here::of(&world), &nodes));
    assert_eq!(names(world.asked()), ["ca", "etcd", "patroni"]);
    assert!(all.are_whole() && all.credentials(&etcd.credentials_secret).unwrap().is_some());
    let patronis = wait(Keys::of_patroni(&Here::of(&world), &nodes));
    assert_eq!(names(world.asked()), ["ca", "patroni"]);
    assert!(patronis.are_whole() && patronis.credentials(&nodes.patroni.credentials_secret).unwrap().is_some());
    assert!(patronis.credentials(&etcd.credentials_secret).is_err(), "what was not read is not shown as nothing");
}

#[test]
fn the_spec_says_who_is_asked_and_answers_come_in_the_items_order() {
    let world = World::default();
    let items = || (0..3).map(|id| json!({"id": id.to_string()})).collect::<Vec<_>>();
    for (gateway, asked) in [(None, "inside : 3 items"), (Some("acme-gateway"), "gateway acme-gateway: 3 items")] {
        let (nodes, keys, ways) = (nodes(gateway), Keys::default(), Here::of(&world));
        let answers: Vec<Result<String, Unanswered>> =
            wait(Asker::of(&ways, &nodes, &keys).ask(Verb::PatroniGet, items()));
        assert_eq!(world.asked(), [asked]);
        assert_eq!(answers.len(), 3);
        assert_eq!((answers[0].as_deref(), answers[2].as_deref()), (Ok("0"), Ok("2")));
        let missing = answers[1].as_ref().unwrap_err();
        assert_eq!((missing.code.as_str(), missing.in_doubt), ("Gateway", true));
    }
}
