//! Ports in memory: a table with the conditions and versions that the port promises, and faults at chosen calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use cluster_registry::Ports;
use cluster_registry::handler::Registry;
use jiff::Timestamp;
use ports::{Class, Clock, Expect, Item, Key, PortError, ResponseUrl, Table, TableError, Write};
use runtime::shell::{Failure, Handler, Invocation};
use serde_json::{Value, json};

pub(crate) type Items = BTreeMap<Key, Item>;
type Hook = Box<dyn FnOnce(&mut Items) + Send>;

/// What happens instead of, or around, a call.
pub(crate) enum Fault {
    /// It fails and changes nothing.
    Fail(PortError),
    /// It takes effect, and its reply is lost.
    LoseReply(PortError),
    /// It takes effect, its reply is lost, and the adapter sends it again.
    Repeated,
    /// It never ends.
    Hang,
    /// Another writer is there first.
    Before(Hook),
}

#[derive(Default)]
pub(crate) struct MemoryTable {
    items: Mutex<Items>,
    expiries: Mutex<BTreeMap<Key, Timestamp>>,
    reads: Mutex<VecDeque<Option<Fault>>>,
    writes: Mutex<VecDeque<Option<Fault>>>,
    written: Mutex<Vec<Vec<Write>>>,
}

pub(crate) fn error(class: Class) -> PortError {
    PortError { call: "dynamodb:TransactWriteItems", class, code: format!("{class:?}Code"), message: "m".to_owned() }
}

impl MemoryTable {
    /// At the next reads, one after the other.
    pub(crate) fn at_reads(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.reads.lock().unwrap().extend(faults);
    }

    /// At the next writes, one after the other.
    pub(crate) fn at_writes(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.writes.lock().unwrap().extend(faults);
    }

    pub(crate) fn snapshot(&self) -> Items {
        self.items.lock().unwrap().clone()
    }

    pub(crate) fn body(&self, pk: &str, sk: &str) -> Option<Value> {
        self.snapshot().get(&Key::new(pk, sk)).map(|item| item.body.clone())
    }

    pub(crate) fn version(&self, pk: &str, sk: &str) -> Option<u64> {
        self.snapshot().get(&Key::new(pk, sk)).map(|item| item.version)
    }

    pub(crate) fn expiry(&self, pk: &str, sk: &str) -> Option<Timestamp> {
        self.expiries.lock().unwrap().get(&Key::new(pk, sk)).copied()
    }

    /// As another writer would.
    pub(crate) fn set(&self, pk: &str, sk: &str, body: Value) {
        set(&mut self.items.lock().unwrap(), pk, sk, body);
    }

    /// The keys of a partition family, such as `claim#`.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        self.snapshot().keys().map(ToString::to_string).filter(|key| key.starts_with(prefix)).collect()
    }

    /// The transactions that took effect.
    pub(crate) fn written(&self) -> usize {
        self.written.lock().unwrap().len()
    }

    async fn read_fault(&self) -> Result<(), PortError> {
        let fault = self.reads.lock().unwrap().pop_front().flatten();
        match fault {
            None => Ok(()),
            Some(Fault::Fail(error) | Fault::LoseReply(error)) => Err(error),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Repeated) => Ok(()),
            Some(Fault::Before(hook)) => {
                hook(&mut self.items.lock().unwrap());
                Ok(())
            }
        }
    }

    fn apply(&self, writes: Vec<Write>) -> Result<(), TableError> {
        assert!(writes.len() <= 100, "DynamoDB takes 100 writes in one transaction, not {}", writes.len());
        let mut items = self.items.lock().unwrap();
        let parts = |write: &Write| match write {
            Write::Put { key, expect, .. } | Write::Delete { key, expect } | Write::Check { key, expect } => {
                (key.clone(), *expect)
            }
        };
        let keys: std::collections::BTreeSet<Key> = writes.iter().map(|w| parts(w).0).collect();
        assert_eq!(keys.len(), writes.len(), "DynamoDB refuses two writes of one item in a transaction: {writes:?}");
        let failed: Vec<usize> = writes
            .iter()
            .enumerate()
            .filter(|(_, write)| {
                let (key, expect) = parts(write);
                let version = items.get(&key).map(|item| item.version);
                match expect {
                    Expect::Any => false,
                    Expect::Absent => version.is_some(),
                    Expect::Version(expected) => version != Some(expected),
                }
            })
            .map(|(place, _)| place)
            .collect();
        if !failed.is_empty() {
            return Err(TableError::ConditionFailed { failed });
        }
        for write in &writes {
            match write.clone() {
                Write::Put { key, body, expect, expires_at } => {
                    let version = if let Expect::Version(version) = expect { version + 1 } else { 1 };
                    match expires_at {
                        Some(at) => self.expiries.lock().unwrap().insert(key.clone(), at),
                        None => self.expiries.lock().unwrap().remove(&key),
                    };
                    items.insert(key.clone(), Item { key, version, body });
                }
                Write::Delete { key, .. } => {
                    items.remove(&key);
                }
                Write::Check { .. } => {}
            }
        }
        self.written.lock().unwrap().push(writes);
        Ok(())
    }
}

/// Writes as another writer would: one version up.
pub(crate) fn set(items: &mut Items, pk: &str, sk: &str, body: Value) {
    let key = Key::new(pk, sk);
    let version = items.get(&key).map_or(0, |item| item.version) + 1;
    items.insert(key.clone(), Item { key, version, body });
}

impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, PortError> {
        self.read_fault().await?;
        Ok(self.items.lock().unwrap().get(key).cloned())
    }

    async fn query(&self, pk: &str) -> Result<Vec<Item>, PortError> {
        self.read_fault().await?;
        Ok(self.items.lock().unwrap().values().filter(|item| item.key.pk == pk).cloned().collect())
    }

    async fn newest(&self, pk: &str, limit: u16) -> Result<Vec<Item>, PortError> {
        self.read_fault().await?;
        let items = self.items.lock().unwrap();
        Ok(items.values().rev().filter(|item| item.key.pk == pk).take(usize::from(limit)).cloned().collect())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        let fault = self.writes.lock().unwrap().pop_front().flatten();
        match fault {
            None => self.apply(writes),
            Some(Fault::Fail(error)) => Err(error.into()),
            Some(Fault::LoseReply(error)) => self.apply(writes).and(Err(error.into())),
            Some(Fault::Repeated) => self.apply(writes.clone()).and_then(|()| self.apply(writes)),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Before(hook)) => {
                hook(&mut self.items.lock().unwrap());
                self.apply(writes)
            }
        }
    }
}

/// CloudFormation's end: what arrived, and what was said to it.
#[derive(Default)]
pub(crate) struct AnswerBox {
    arrived: Mutex<Vec<(String, Value)>>,
    /// For each PUT: whether it arrives, and what is answered.
    script: Mutex<VecDeque<(bool, Result<(), PortError>)>>,
    tries: Mutex<u32>,
}

impl AnswerBox {
    pub(crate) fn script(&self, script: impl IntoIterator<Item = (bool, Result<(), PortError>)>) {
        self.script.lock().unwrap().extend(script);
    }

    pub(crate) fn arrived(&self) -> Vec<Value> {
        self.arrived.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.arrived.lock().unwrap().iter().map(|(url, _)| url.clone()).collect()
    }

    pub(crate) fn tries(&self) -> u32 {
        *self.tries.lock().unwrap()
    }
}

impl ResponseUrl for AnswerBox {
    async fn put(&self, url: &str, body: String) -> Result<(), PortError> {
        *self.tries.lock().unwrap() += 1;
        let (arrives, result) = self.script.lock().unwrap().pop_front().unwrap_or((true, Ok(())));
        assert!(body.len() <= 4096, "CloudFormation takes 4096 bytes, not {}", body.len());
        if arrives {
            self.arrived.lock().unwrap().push((url.to_owned(), serde_json::from_str(&body).unwrap()));
        }
        result
    }
}

pub(crate) struct VirtualClock(Mutex<Timestamp>);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(duration).unwrap();
    }
}

pub(crate) struct World {
    pub(crate) table: MemoryTable,
    pub(crate) answers: AnswerBox,
    pub(crate) clock: VirtualClock,
}

impl Ports for World {
    type Table = MemoryTable;
    type ResponseUrl = AnswerBox;
    type Clock = VirtualClock;

    fn table(&self) -> &MemoryTable {
        &self.table
    }

    fn response_url(&self) -> &AnswerBox {
        &self.answers
    }

    fn clock(&self) -> &VirtualClock {
        &self.clock
    }
}

pub(crate) struct Bench {
    registry: Registry<World>,
    invocations: Mutex<u32>,
}

impl std::ops::Deref for Bench {
    type Target = World;

    fn deref(&self) -> &World {
        &self.registry.0
    }
}

pub(crate) const START: &str = "2026-11-20T06:00:00Z";

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = VirtualClock(Mutex::new(START.parse().unwrap()));
        let world = World { table: MemoryTable::default(), answers: AnswerBox::default(), clock };
        Self { registry: Registry(world), invocations: Mutex::new(0) }
    }

    /// Invokes the function, a second after the last time.
    pub(crate) async fn try_ask(&self, payload: Value) -> Result<Value, Failure> {
        self.clock.sleep(Duration::from_secs(1)).await;
        let number = {
            let mut invocations = self.invocations.lock().unwrap();
            *invocations += 1;
            *invocations
        };
        let deadline = self.clock.now().checked_add(Duration::from_secs(120)).unwrap();
        self.registry.handle(payload, Invocation { deadline, request_id: format!("invocation-{number}") }).await
    }

    pub(crate) async fn ask(&self, payload: Value) -> Value {
        self.try_ask(payload).await.unwrap()
    }
}

pub(crate) fn target_group(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/{name}/0123456789abcdef")
}

pub(crate) fn claim_of(target_group_name: &str) -> String {
    format!("claim#target-group#{}/claim", target_group(target_group_name))
}

/// A spec with a `primary`, an endpoint for each target group.
pub(crate) fn spec(name: &str, target_groups: &[&str]) -> Value {
    let endpoints: Vec<Value> = target_groups
        .iter()
        .enumerate()
        .map(|(n, group)| {
            json!({"name": format!("e{n}"), "host": "db.example.internal", "port": 5432, "target_group_arn": target_group(group)})
        })
        .collect();
    json!({"name": name, "primary": {
        "endpoints": endpoints,
        "peerings": [{"connection_id": "pcx-1", "peer_account": "111122223333", "peer_vpc": "vpc-1", "allowed_cidrs": ["10.9.0.0/16"]}]}})
}

/// A spec with nothing that anyone looks after.
pub(crate) fn bare(name: &str) -> Value {
    json!({"name": name})
}

/// A spec with `nodes`.
pub(crate) fn with_nodes(mut spec: Value, asg: &str, groups: &[&str]) -> Value {
    let groups: Vec<Value> =
        groups.iter().map(|g| json!({"arn": target_group(g), "role": "writer", "port": 5432})).collect();
    spec["nodes"] = json!({"asg": asg, "hooks": {"launch": "l", "terminate": "t"}, "patroni": {"scope": "acme"}, "target_groups": groups});
    spec
}

pub(crate) fn errors(answer: &Value) -> Vec<(String, String)> {
    assert_eq!(answer["ok"], false, "{answer}");
    answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["path"].as_str().unwrap().to_owned(), e["problem"].as_str().unwrap().to_owned()))
        .collect()
}

#[track_caller]
pub(crate) fn refused(answer: &Value, path: &str, problem: &str) {
    assert_eq!(errors(answer), [(path.to_owned(), problem.to_owned())], "{answer}");
}
