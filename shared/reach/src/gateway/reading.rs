//! What a request says. Pure.
//!
//! A request can hold credentials, and an error that quotes what it could not read would carry them into an answer and a log:
//! messages name fields and what they should be, never what they are.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Credentials, ErrorCode, ItemError, MOST_ITEMS, ProbeItem, ResolveItem, TlsItem, VERSION, Verb};

/// The longest id.
const LONGEST_ID: usize = 64;
/// The longest name of a host, in text (RFC 1035, with its last dot).
const LONGEST_HOST: usize = 254;

/// What is to be done, item by item. What is wrong with one item spoils no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Names to look up.
    Resolve(Vec<Asked<ResolveItem>>),
    /// Servers to probe.
    Probe(Vec<Asked<ProbeItem>>),
}

/// An item, or what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked<T> {
    /// Its id.
    pub(super) id: String,
    /// The item.
    pub(super) item: Result<T, ItemError>,
}

impl Work {
    pub(super) fn verb(&self) -> Verb {
        match self {
            Self::Resolve(_) => Verb::Resolve,
            Self::Probe(_) => Verb::Probe,
        }
    }
}

/// Reads a request. The version comes first: what else a request of another age holds is not for us to judge.
pub(super) fn read(payload: &Value, allowed: &BTreeSet<Verb>) -> Result<Work, ItemError> {
    let refuse = |code: ErrorCode, message: String| Err(error(code, message));
    let Some(request) = payload.as_object() else {
        return refuse(ErrorCode::BadRequest, "a request is an object of `v`, `verb` and `items`".to_owned());
    };
    let Some(version) = request.get("v").and_then(Value::as_u64) else {
        return refuse(ErrorCode::BadRequest, "`v` must be the version, a number".to_owned());
    };
    if version.abs_diff(u64::from(VERSION)) > 1 {
        let message = format!("this gateway speaks version {VERSION}, and one older or newer, not {version}");
        return refuse(ErrorCode::UnsupportedVersion, message);
    }
    let Some(word) = request.get("verb").and_then(Value::as_str) else {
        return refuse(ErrorCode::BadRequest, "`verb` must be text".to_owned());
    };
    let Some(verb) = Verb::of(word) else {
        let known = Verb::ALL.map(Verb::word).join(", ");
        return refuse(ErrorCode::UnknownVerb, format!("this gateway knows the verbs {known} and no other"));
    };
    if !allowed.contains(&verb) {
        let message = format!("this gateway may not {}: PILOTHOUSE_VERBS does not have it", verb.word());
        return refuse(ErrorCode::VerbNotAllowed, message);
    }
    let Some(items) = request.get("items").and_then(Value::as_array) else {
        return refuse(ErrorCode::BadRequest, "`items` must be a list".to_owned());
    };
    if items.len() > MOST_ITEMS {
        return refuse(ErrorCode::TooManyItems, format!("{} items, where {MOST_ITEMS} are the most", items.len()));
    }
    let items = with_ids(items).map_err(|message| error(ErrorCode::BadRequest, message))?;
    Ok(match verb {
        Verb::Resolve => Work::Resolve(each(items, resolve_item)),
        Verb::Probe => Work::Probe(each(items, probe_item)),
    })
}

type WithId<'a> = (String, &'a Map<String, Value>);

/// The items with their ids. One without an id of its own could not be answered, so the request is refused.
fn with_ids(items: &[Value]) -> Result<Vec<WithId<'_>>, String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let item = item.as_object().ok_or_else(|| format!("`items[{n}]` must be an object"))?;
        let id = item.get("id").and_then(Value::as_str).filter(|id| (1..=LONGEST_ID).contains(&id.len()));
        let id = id.ok_or_else(|| format!("`items[{n}].id` must be text of 1 to {LONGEST_ID} bytes"))?;
        if !seen.insert(id) {
            return Err(format!("`items[{n}].id` is that of an item before it"));
        }
        found.push((id.to_owned(), item));
    }
    Ok(found)
}

fn each<T>(items: Vec<WithId<'_>>, read: impl Fn(String, &Map<String, Value>) -> Result<T, String>) -> Vec<Asked<T>> {
    let asked = items.into_iter().map(|(id, item)| {
        let item = read(id.clone(), item).map_err(|message| error(ErrorCode::BadItem, message));
        Asked { id, item }
    });
    asked.collect()
}

fn resolve_item(id: String, item: &Map<String, Value>) -> Result<ResolveItem, String> {
    let host: String = required(item, "", "host", "text")?;
    if !(1..=LONGEST_HOST).contains(&host.len()) {
        return Err(format!("`host` must have 1 to {LONGEST_HOST} bytes"));
    }
    Ok(ResolveItem { id, host })
}

fn probe_item(id: String, item: &Map<String, Value>) -> Result<ProbeItem, String> {
    let tls = match part(item, "tls")? {
        None => None,
        Some(tls) => Some(TlsItem {
            ca: optional(tls, "tls.", "ca", "text")?,
            cert: optional(tls, "tls.", "cert", "text")?,
            key: optional(tls, "tls.", "key", "text")?,
            server_name: required(tls, "tls.", "server_name", "text")?,
        }),
    };
    let credentials = match part(item, "credentials")? {
        None => None,
        Some(credentials) => Some(Credentials {
            username: required(credentials, "credentials.", "username", "text")?,
            password: required(credentials, "credentials.", "password", "text")?,
        }),
    };
    Ok(ProbeItem {
        id,
        address: required(item, "", "address", "an IPv4 address")?,
        port: required(item, "", "port", "a number from 1 to 65535")?,
        tls,
        credentials,
    })
}

/// A part that is an object, where it is given.
fn part<'a>(item: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    match item.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(part)) => Ok(Some(part)),
        Some(_) => Err(format!("`{name}` must be an object")),
    }
}

fn optional<T: DeserializeOwned>(
    part: &Map<String, Value>,
    prefix: &str,
    name: &str,
    shape: &str,
) -> Result<Option<T>, String> {
    match part.get(name) {
        None | Some(Value::Null) => Ok(None),
        // serde's own words quote the value.
        Some(value) => T::deserialize(value).map(Some).map_err(|_| format!("`{prefix}{name}` must be {shape}")),
    }
}

fn required<T: DeserializeOwned>(
    part: &Map<String, Value>,
    prefix: &str,
    name: &str,
    shape: &str,
) -> Result<T, String> {
    optional(part, prefix, name, shape)?.ok_or_else(|| format!("`{prefix}{name}` is missing: it must be {shape}"))
}

fn error(code: ErrorCode, message: String) -> ItemError {
    ItemError { code: code.code().to_owned(), message }
}
