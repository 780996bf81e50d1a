//! What etcd says. Pure.
//!
//! Its JSON leaves out what is zero, false or empty (proto3), and writes numbers of 64 bits as text. An error is told by its
//! gRPC code and message: the HTTP status that the gateway makes of it differs between versions.

#[cfg(test)]
mod tests;

use hyper::header::HeaderValue;
use serde_json::{Map, Value};

use crate::failure::{Failure, quoted};
use crate::gateway::{ErrorCode, EtcdMember, EtcdStatus};
use crate::http::Reply;

/// The first version whose list of members a quorum agrees to. Before, the question for it is passed over.
pub(super) const LINEARIZABLE_LISTS: (u32, u32) = (3, 5);

/// The longest text that is taken from etcd, in bytes.
const LONGEST_TEXT: usize = 512;

type Object = Map<String, Value>;

/// The answer, if it is no error.
pub(super) fn answer(reply: &Reply) -> Result<Value, Failure> {
    let Ok(Value::Object(object)) = serde_json::from_slice(&reply.body) else {
        let said = quoted(&reply.body);
        return Err(not_etcd(&format!("it answers with status {} and no JSON object: {said}", reply.status)));
    };
    if let Some(error) = error(&object) {
        return Err(error);
    }
    Ok(Value::Object(object))
}

/// What every answer begins with, but that to a move of the leadership, which is empty.
pub(super) fn with_header(answer: Value) -> Result<Value, Failure> {
    if answer.get("header").is_some_and(Value::is_object) {
        Ok(answer)
    } else {
        Err(not_etcd("its answer has no header"))
    }
}

/// An error in any of its shapes: `{"error": "...", "code": 5, "message": "..."}` (3.4 and 3.5), without `error` and with
/// `details` (newer), and nested under `error` (where the answer is a stream).
fn error(object: &Object) -> Option<Failure> {
    let nested = object.get("error").and_then(Value::as_object);
    let part = nested.unwrap_or(object);
    let code = ["code", "grpc_code"].iter().find_map(|name| part.get(*name).and_then(Value::as_u64));
    let message = part.get("message").or_else(|| part.get("error")).and_then(Value::as_str);
    if nested.is_none() && code.is_none() && message.is_none() {
        return None;
    }
    let message = message.unwrap_or_default();
    let said = match code {
        Some(code) => format!("etcd said: {} (gRPC code {code})", quoted(message.as_bytes())),
        None => format!("etcd said: {}", quoted(message.as_bytes())),
    };
    Some(Failure::new(classified(code, message), said))
}

/// By etcd's own words where there are several for one code (`api/v3rpc/rpctypes/error.go`), otherwise by code ("Status codes and
/// their use in gRPC").
fn classified(code: Option<u64>, message: &str) -> ErrorCode {
    let says = |words: &str| message.contains(words);
    match code {
        _ if says("member not found") => ErrorCode::EtcdMemberNotFound,
        _ if says("member ID already exist") || says("Peer URLs already exists") => ErrorCode::EtcdMemberExists,
        // 3.4 has the code 2, which is none, for some of these.
        _ if says("can only promote a learner member which is in sync") => ErrorCode::EtcdNotReady,
        _ if says("not enough started members") || says("too many learner members") => ErrorCode::EtcdNotReady,
        _ if says("unhealthy cluster") || says("no leader") || says("leader changed") => ErrorCode::EtcdUnavailable,
        // The second is Go's word, which comes with the code 4, and of 3.4 now and then with 2.
        _ if says("request timed out") || says("context deadline exceeded") => ErrorCode::EtcdUnavailable,
        _ if says("can only promote a learner member") => ErrorCode::EtcdNotLearner,
        _ if says("not supported for learner") => ErrorCode::EtcdAskedLearner,
        _ if says("etcdserver: not leader") => ErrorCode::EtcdNotLeader,
        _ if says("authentication is not enabled") => ErrorCode::EtcdLoginNotNeeded,
        _ if says("authentication failed") || says("user name is empty") => ErrorCode::EtcdLoginFailed,
        _ if says("invalid auth token") || says("revision of auth store is old") => ErrorCode::EtcdTokenInvalid,
        Some(7) => ErrorCode::EtcdPermissionDenied,
        Some(9) => ErrorCode::EtcdNotReady,
        // Cancelled, deadline exceeded, aborted, unavailable.
        Some(1 | 4 | 10 | 14) => ErrorCode::EtcdUnavailable,
        Some(16) => ErrorCode::EtcdTokenInvalid,
        _ => ErrorCode::EtcdError,
    }
}

/// What a member says of itself.
pub(super) fn status(answer: &Value) -> Result<EtcdStatus, Failure> {
    let unreadable = |what: &str| not_etcd(&format!("its status has {what}"));
    let header = answer.get("header").and_then(Value::as_object);
    let member = header.and_then(|header| id(header, "member_id")).flatten();
    let object = answer.as_object().ok_or_else(|| unreadable("no fields"))?;
    let number = |name: &str| id(object, name).ok_or_else(|| unreadable(&format!("no number in `{name}`")));
    let errors = match object.get("errors") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(errors)) => {
            errors.iter().map(|error| short(error.as_str().unwrap_or("unreadable"))).collect()
        }
        Some(_) => return Err(unreadable("no list in `errors`")),
    };
    Ok(EtcdStatus {
        member_id: member.ok_or_else(|| unreadable("no id of the member"))?.to_string(),
        leader_id: number("leader")?.map(|id| id.to_string()),
        raft_index: number("raftIndex")?.unwrap_or(0),
        raft_term: number("raftTerm")?.unwrap_or(0),
        learner: flag(object, "isLearner").ok_or_else(|| unreadable("neither yes nor no in `isLearner`"))?,
        version: text(object, "version").ok_or_else(|| unreadable("no version"))?,
        errors,
    })
}

/// All members.
pub(super) fn members(answer: &Value) -> Result<Vec<EtcdMember>, Failure> {
    let members = answer.get("members").and_then(Value::as_array).filter(|members| !members.is_empty());
    let members = members.ok_or_else(|| not_etcd("its answer has no list of members"))?;
    let read = members.iter().map(member).collect::<Option<Vec<_>>>();
    read.ok_or_else(|| not_etcd("its list of members cannot be read"))
}

fn member(value: &Value) -> Option<EtcdMember> {
    let object = value.as_object()?;
    Some(EtcdMember {
        id: id(object, "ID")??.to_string(),
        name: text(object, "name").unwrap_or_default(),
        peer_urls: texts(object, "peerURLs")?,
        client_urls: texts(object, "clientURLs")?,
        learner: flag(object, "isLearner")?,
    })
}

/// The token of a login.
pub(super) fn token(answer: &Value) -> Result<HeaderValue, Failure> {
    let token = answer.get("token").and_then(Value::as_str).filter(|token| !token.is_empty());
    token.and_then(|token| HeaderValue::from_str(token).ok()).ok_or_else(|| not_etcd("its login gave no token"))
}

/// Whether `version` is this one or newer. One that cannot be read is taken for an old one, which is asked more.
pub(super) fn at_least(version: &str, (major, minor): (u32, u32)) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    matches!((parts.next(), parts.next()), (Some(Ok(a)), Some(Ok(b))) if (a, b) >= (major, minor))
}

/// A number of 64 bits, as text or number. Outer `None`: something else; inner: none, or zero, which etcd leaves out.
fn id(object: &Object, name: &str) -> Option<Option<u64>> {
    let number = match object.get(name) {
        None | Some(Value::Null) => return Some(None),
        Some(Value::String(text)) => text.parse().ok()?,
        Some(Value::Number(number)) => number.as_u64()?,
        Some(_) => return None,
    };
    Some(Some(number).filter(|number| *number != 0))
}

fn flag(object: &Object, name: &str) -> Option<bool> {
    match object.get(name) {
        None | Some(Value::Null) => Some(false),
        Some(value) => value.as_bool(),
    }
}

fn text(object: &Object, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(short).filter(|text| !text.is_empty())
}

fn texts(object: &Object, name: &str) -> Option<Vec<String>> {
    match object.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(|text| text.as_str().map(short)).collect(),
        Some(_) => None,
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

fn not_etcd(why: &str) -> Failure {
    Failure::new(ErrorCode::NotEtcd, format!("what answers is no etcd with its JSON gateway: {why}"))
}
