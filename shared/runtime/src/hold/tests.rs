use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, Expect, Item, Key, TableError, Write};
use serde_json::{Value, json};

use super::*;

/// What goes wrong at a call.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// It is done, and the reply is lost.
    Lost,
    /// It is not done.
    NotDone,
}

/// A table in memory. Calls are counted from 1.
#[derive(Default)]
struct Memory {
    items: Mutex<BTreeMap<Key, Item>>,
    calls: Mutex<usize>,
    faults: Vec<(usize, Fault)>,
}

impl Memory {
    fn fault(&self) -> Option<Fault> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        self.faults.iter().find(|(at, _)| *at == *calls).map(|(_, fault)| *fault)
    }

    fn put(&self, key: Key, version: u64, body: Value) {
        self.items.lock().unwrap().insert(key.clone(), Item { key, version, body });
    }
}

fn lost() -> PortError {
    PortError { call: "dynamodb:any", class: Class::TimedOut, code: "TimedOut".to_owned(), message: String::new() }
}

impl Table for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Item>, PortError> {
        if self.fault().is_some() {
            return Err(lost());
        }
        Ok(self.items.lock().unwrap().get(key).cloned())
    }

    async fn query(&self, _: &str) -> Result<Vec<Item>, PortError> {
        unreachable!("nobody asks")
    }

    async fn newest(&self, _: &str, _: u16) -> Result<Vec<Item>, PortError> {
        unreachable!("nobody asks")
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        let fault = self.fault();
        if fault != Some(Fault::NotDone) {
            for write in writes {
                let Write::Put { key, body, expect, .. } = write else { unreachable!("a lock is put") };
                let version = self.items.lock().unwrap().get(&key).map(|item| item.version);
                let holds = match expect {
                    Expect::Absent => version.is_none(),
                    Expect::Version(expected) => version == Some(expected),
                    Expect::Any => true,
                };
                if !holds {
                    return Err(TableError::ConditionFailed { failed: vec![0] });
                }
                self.put(key, version.unwrap_or_default() + 1, body);
            }
        }
        fault.map_or(Ok(()), |_| Err(lost().into()))
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(1)
    }

    async fn sleep(&self, _: Duration) {}
}

fn record() -> ClusterRecord {
    ClusterRecord {
        name: "acme".to_owned(),
        generation: 1,
        spec: Value::Null,
        owner: None,
        claims: Vec::new(),
        releasing: Vec::new(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        tombstone: None,
        version: 4,
    }
}

/// A table that holds the record as the pass read it, and a state.
fn table(faults: Vec<(usize, Fault)>) -> Memory {
    let table = Memory { faults, ..Memory::default() };
    table.put(ClusterRecord::key("acme"), 4, json!({}));
    table.put(Key::new("state#f", "acme"), 2, json!("as it is now"));
    table
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn take_by(owner: &str, table: &Memory, control: &Control) -> Result<Taken<String>, PortError> {
    let record = record();
    wait(take(table, &Still, &Taker { function: "f", owner, record: &record, control }))
}

fn held(taken: Result<Taken<String>, PortError>) -> Held<String> {
    match taken {
        Ok(Taken::Held(held)) => *held,
        other => panic!("{other:?}"),
    }
}

fn is_free(table: &Memory) -> bool {
    let acquired = wait(lock::acquire(table, &Still, "acme", "g", "another")).unwrap();
    matches!(acquired, Acquired::Held(_))
}

#[test]
fn a_lock_comes_with_the_state_as_it_is_now_and_keeps_others_out() {
    let table = table(Vec::new());
    let ours = held(take_by("us", &table, &Control::default()));
    assert_eq!(ours.state, StateRecord { version: 2, kept: Kept::State("as it is now".to_owned()) });
    assert_eq!(ours.corrupt, None);
    assert!(matches!(take_by("them", &table, &Control::default()), Ok(Taken::Busy(who)) if who.starts_with("f holds")));
    assert!(wait(let_go(&table, "acme", ours.lease)), "they asked for one more look");
    assert!(is_free(&table));
}

#[test]
fn a_lock_whose_reply_was_lost_is_found_to_be_ours() {
    // Call 2 writes the lock.
    let table = table(vec![(2, Fault::Lost)]);
    held(take_by("us", &table, &Control::default()));
}

#[test]
fn a_record_that_was_put_or_deleted_meanwhile_is_not_worked_from_and_the_lock_is_free_again() {
    let put = table(Vec::new());
    put.put(ClusterRecord::key("acme"), 5, json!({}));
    let deleted = table(Vec::new());
    deleted.items.lock().unwrap().remove(&ClusterRecord::key("acme"));
    for table in [put, deleted] {
        assert!(matches!(take_by("us", &table, &Control::default()), Ok(Taken::Overtaken(_))));
        assert!(is_free(&table));
    }
}

#[test]
fn a_pause_since_the_pass_began_stops_it_and_one_that_it_knows_does_not() {
    let table = table(Vec::new());
    table.put(Pause::key(), 1, json!({}));
    assert!(matches!(take_by("us", &table, &Control::default()), Ok(Taken::Overtaken(_))));
    let pause = Pause { by: "ops".to_owned(), reason: String::new(), at: None };
    held(take_by("us", &table, &Control { pause: Some(pause), ..Control::default() }));
}

#[test]
fn a_state_that_cannot_be_read_goes_to_the_audit_trail() {
    let table = table(Vec::new());
    table.put(Key::new("state#f", "acme"), 3, json!({"not": "a text"}));
    let ours = held(take_by("us", &table, &Control::default()));
    assert_eq!(ours.state.version, 3);
    let entry = ours.corrupt.unwrap();
    assert_eq!((entry.what.as_str(), entry.detail), ("CorruptState", json!({"not": "a text"})));
}

#[test]
fn whatever_cannot_be_read_under_the_lock_leaves_it_free() {
    // Calls 1 and 2 take the lock; the record, the pause and the state are read by the next three.
    for call in 3..=5 {
        let table = table(vec![(call, Fault::NotDone)]);
        assert_eq!(take_by("us", &table, &Control::default()).unwrap_err(), lost(), "call {call}");
        assert!(is_free(&table), "call {call}");
    }
}

#[test]
fn a_lock_is_let_go_of_in_two_tries() {
    // Five calls take it, the sixth releases it.
    for fault in [Fault::Lost, Fault::NotDone] {
        let table = table(vec![(6, fault)]);
        let ours = held(take_by("us", &table, &Control::default()));
        assert!(!wait(let_go(&table, "acme", ours.lease)));
        assert!(is_free(&table));
    }
}
