//! Our table: DynamoDB's API reference (PutItem, DeleteItem, Query, TransactWriteItems) and developer guide
//! (`Expressions.ConditionExpressions`, `transaction-apis`).

use ports::{Expect, Item, Key, Table as _, TableError, Write};
use serde_json::{Value, json};

use crate::stage::Stage;

fn key(sk: &str) -> Key {
    Key::new("behaviour", sk)
}

fn put(sk: &str, body: Value, expect: Expect) -> Write {
    Write::Put { key: key(sk), body, expect, expires_at: None }
}

fn failed(places: &[usize]) -> Result<(), TableError> {
    Err(TableError::ConditionFailed { failed: places.to_vec() })
}

async fn version(stage: &impl Stage, sk: &str) -> Option<u64> {
    stage.table().get(&key(sk)).await.unwrap().map(|item| item.version)
}

pub(crate) async fn an_item_that_must_be_absent_is_written_once(stage: &impl Stage) {
    assert_eq!(stage.table().write(vec![put("a", json!(1), Expect::Absent)]).await, Ok(()));
    assert_eq!(stage.table().write(vec![put("a", json!(2), Expect::Absent)]).await, failed(&[0]));
    let found = stage.table().get(&key("a")).await.unwrap();
    assert_eq!(found, Some(Item { key: key("a"), version: 1, body: json!(1) }));
}

pub(crate) async fn each_write_raises_the_version_and_an_old_one_fails(stage: &impl Stage) {
    let write = |n, expect| stage.table().write(vec![put("a", json!(n), expect)]);
    write(1, Expect::Absent).await.unwrap();
    write(2, Expect::Version(1)).await.unwrap();
    assert_eq!(write(3, Expect::Version(1)).await, failed(&[0]));
    assert_eq!(version(stage, "a").await, Some(2));
    let missing = stage.table().write(vec![put("b", json!(1), Expect::Version(1))]).await;
    assert_eq!(missing, failed(&[0]), "a version is of something that is there");
}

/// "All or nothing": the reasons say at which place a condition failed.
pub(crate) async fn a_transaction_happens_whole_or_not_at_all(stage: &impl Stage) {
    let writes = || vec![put("a", json!(1), Expect::Absent), put("b", json!(1), Expect::Absent)];
    stage.table().write(writes()).await.unwrap();
    let mixed = vec![put("c", json!(1), Expect::Absent), put("b", json!(2), Expect::Absent)];
    assert_eq!(stage.table().write(mixed).await, failed(&[1]));
    assert_eq!(version(stage, "c").await, None);
    assert_eq!(stage.table().write(writes()).await, failed(&[0, 1]));
}

pub(crate) async fn a_check_changes_nothing_and_stops_the_rest(stage: &impl Stage) {
    let check = |expect| Write::Check { key: key("a"), expect };
    let with = |expect| vec![check(expect), put("b", json!(1), Expect::Absent)];
    assert_eq!(stage.table().write(with(Expect::Version(1))).await, failed(&[0]));
    stage.table().write(vec![put("a", json!(1), Expect::Absent)]).await.unwrap();
    assert_eq!(stage.table().write(with(Expect::Version(1))).await, Ok(()));
    assert_eq!((version(stage, "a").await, version(stage, "b").await), (Some(1), Some(1)));
    assert_eq!(stage.table().write(vec![check(Expect::Absent)]).await, failed(&[0]));
    assert_eq!(stage.table().write(vec![check(Expect::Any)]).await, Ok(()));
}

pub(crate) async fn deleting_follows_the_same_conditions(stage: &impl Stage) {
    let delete = |expect| stage.table().write(vec![Write::Delete { key: key("a"), expect }]);
    assert_eq!(delete(Expect::Any).await, Ok(()), "what is not there is removed");
    assert_eq!(delete(Expect::Version(1)).await, failed(&[0]));
    stage.table().write(vec![put("a", json!(1), Expect::Absent)]).await.unwrap();
    assert_eq!(delete(Expect::Version(2)).await, failed(&[0]));
    assert_eq!(delete(Expect::Version(1)).await, Ok(()));
    assert_eq!(version(stage, "a").await, None);
}

pub(crate) async fn a_write_on_any_condition_begins_at_version_one(stage: &impl Stage) {
    for n in 0..2 {
        stage.table().write(vec![put("a", json!(n), Expect::Any)]).await.unwrap();
        let found = stage.table().get(&key("a")).await.unwrap().unwrap();
        assert_eq!((found.version, found.body), (1, json!(n)));
    }
}

pub(crate) async fn a_partition_is_read_in_the_order_of_its_sort_keys(stage: &impl Stage) {
    for sk in ["b", "a#2", "c", "a#10", "Z"] {
        stage.table().write(vec![put(sk, json!(sk), Expect::Absent)]).await.unwrap();
    }
    let elsewhere =
        Write::Put { key: Key::new("other", "a"), body: json!(0), expect: Expect::Absent, expires_at: None };
    stage.table().write(vec![elsewhere]).await.unwrap();
    // What is eventually consistent has long become so.
    stage.seconds_pass(60);
    let of = |items: Vec<Item>| items.into_iter().map(|item| item.key.sk).collect::<Vec<_>>();
    assert_eq!(of(stage.table().query("behaviour").await.unwrap()), ["Z", "a#10", "a#2", "b", "c"]);
    assert_eq!(of(stage.table().newest("behaviour", 2).await.unwrap()), ["c", "b"]);
    assert_eq!(of(stage.table().query("nothing").await.unwrap()), [""; 0]);
}

pub(crate) async fn a_document_comes_back_as_it_was(stage: &impl Stage) {
    let body = json!({"text": "grüß dich\n\"\\\u{1F418}", "empty": "", "none": null, "number": -1.5, "big": 18_014_398_509_481_984_u64, "list": [[], {}, true]});
    stage.table().write(vec![put("a", body.clone(), Expect::Absent)]).await.unwrap();
    assert_eq!(stage.table().get(&key("a")).await.unwrap().unwrap().body, body);
}

/// An item that a person wrote.
pub(crate) async fn an_item_without_a_version_has_version_zero(stage: &impl Stage) {
    stage.item_by_hand("behaviour", "a", json!({"by": "hand"}));
    assert_eq!(version(stage, "a").await, Some(0));
    assert_eq!(stage.table().write(vec![put("a", json!(1), Expect::Version(1))]).await, failed(&[0]));
    assert_eq!(stage.table().write(vec![put("a", json!(1), Expect::Version(0))]).await, Ok(()));
    assert_eq!(version(stage, "a").await, Some(1));
}
