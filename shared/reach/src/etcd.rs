//! etcd v3, through the JSON gateway that every etcd has beside gRPC ("gRPC gateway" in etcd's manual), for 3.4 and newer.

mod reading;
mod session;

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::gateway::{EtcdChanged, EtcdItem, EtcdLearnerItem, EtcdMemberItem, EtcdView};
use crate::http::within;
use reading::LINEARIZABLE_LISTS;
use session::Session;

const STATUS: &str = "/v3/maintenance/status";
const LIST: &str = "/v3/cluster/member/list";
const ADD: &str = "/v3/cluster/member/add";
const PROMOTE: &str = "/v3/cluster/member/promote";
const REMOVE: &str = "/v3/cluster/member/remove";
const MOVE_LEADER: &str = "/v3/maintenance/transfer-leadership";
const RANGE: &str = "/v3/kv/range";

/// Asks a member for its state, and for the members as a quorum has them now.
///
/// Where no quorum agrees there is no list: one that a member has of its own can name members that were removed long ago.
/// etcd 3.4 gives no other, so there a read that needs a quorum comes first: with authentication the user must be allowed to
/// read the key of one zero byte, as `root` is.
pub(crate) async fn members(item: &EtcdItem, limit: Duration) -> Result<EtcdView, Failure> {
    let mut session = Session::of(item)?;
    within(limit, async |step| {
        let status = reading::status(&session.ask(STATUS, &json!({}), step).await?)?;
        if !reading::at_least(&status.version, LINEARIZABLE_LISTS) {
            reading::with_header(session.ask(RANGE, &json!({"key": "AA==", "count_only": true}), step).await?)?;
        }
        let list = session.ask(LIST, &json!({"linearizable": true}), step).await?;
        Ok(EtcdView { status, members: reading::members(&list)? })
    })
    .await
}

/// Adds a learner.
pub(crate) async fn add_learner(item: &EtcdLearnerItem, limit: Duration) -> Result<EtcdChanged, Failure> {
    let body = json!({"peerURLs": [item.peer_url], "isLearner": true});
    let answer = change(&item.ask, ADD, &body, limit).await?;
    Ok(EtcdChanged { members: reading::members(&answer)? })
}

/// Gives a learner its vote.
pub(crate) async fn promote(item: &EtcdMemberItem, limit: Duration) -> Result<EtcdChanged, Failure> {
    let answer = change(&item.ask, PROMOTE, &json!({"ID": item.member}), limit).await?;
    Ok(EtcdChanged { members: reading::members(&answer)? })
}

/// Removes a member.
pub(crate) async fn remove(item: &EtcdMemberItem, limit: Duration) -> Result<EtcdChanged, Failure> {
    let answer = change(&item.ask, REMOVE, &json!({"ID": item.member}), limit).await?;
    Ok(EtcdChanged { members: reading::members(&answer)? })
}

/// Hands the leadership to a member.
pub(crate) async fn move_leader(item: &EtcdMemberItem, limit: Duration) -> Result<EtcdChanged, Failure> {
    change(&item.ask, MOVE_LEADER, &json!({"targetID": item.member}), limit).await?;
    Ok(EtcdChanged { members: Vec::new() })
}

async fn change(item: &EtcdItem, path: &'static str, body: &Value, limit: Duration) -> Result<Value, Failure> {
    let mut session = Session::of(item)?;
    within(limit, async |step| session.ask(path, body, step).await).await
}
