//! What a request says. Pure.
//!
//! A request can hold credentials, and an error that quotes what it could not read would carry them into an answer and a log:
//! messages name fields and what they should be, never what they are.

mod items;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    ErrorCode, EtcdItem, EtcdLearnerItem, EtcdMemberItem, ItemError, MOST_ITEMS, PatroniGetItem, ProbeItem,
    ReinitializeItem, ResolveItem, SwitchoverItem, VERSION, Verb,
};

/// The longest id.
const LONGEST_ID: usize = 64;

/// What is to be done, item by item. What is wrong with one item spoils no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Names to look up.
    Resolve(Vec<Asked<ResolveItem>>),
    /// Servers to probe.
    Probe(Vec<Asked<ProbeItem>>),
    /// Nodes whose Patroni is asked.
    PatroniGet(Vec<Asked<PatroniGetItem>>),
    /// Switchovers.
    PatroniSwitchover(Vec<Asked<SwitchoverItem>>),
    /// Replicas that are to copy the leader anew.
    PatroniReinitialize(Vec<Asked<ReinitializeItem>>),
    /// Members of etcd that are asked.
    EtcdMembers(Vec<Asked<EtcdItem>>),
    /// Learners to add.
    EtcdAddLearner(Vec<Asked<EtcdLearnerItem>>),
    /// Learners to promote.
    EtcdPromote(Vec<Asked<EtcdMemberItem>>),
    /// Members to remove.
    EtcdRemove(Vec<Asked<EtcdMemberItem>>),
    /// Members to lead.
    EtcdMoveLeader(Vec<Asked<EtcdMemberItem>>),
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
            Self::PatroniGet(_) => Verb::PatroniGet,
            Self::PatroniSwitchover(_) => Verb::PatroniSwitchover,
            Self::PatroniReinitialize(_) => Verb::PatroniReinitialize,
            Self::EtcdMembers(_) => Verb::EtcdMembers,
            Self::EtcdAddLearner(_) => Verb::EtcdAddLearner,
            Self::EtcdPromote(_) => Verb::EtcdPromote,
            Self::EtcdRemove(_) => Verb::EtcdRemove,
            Self::EtcdMoveLeader(_) => Verb::EtcdMoveLeader,
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
        Verb::Resolve => Work::Resolve(each(items, items::resolve)),
        Verb::Probe => Work::Probe(each(items, items::probe)),
        Verb::PatroniGet => Work::PatroniGet(each(items, items::patroni_get)),
        Verb::PatroniSwitchover => Work::PatroniSwitchover(each(items, items::switchover)),
        Verb::PatroniReinitialize => Work::PatroniReinitialize(each(items, items::reinitialize)),
        Verb::EtcdMembers => Work::EtcdMembers(each(items, items::etcd)),
        Verb::EtcdAddLearner => Work::EtcdAddLearner(each(items, items::etcd_learner)),
        Verb::EtcdPromote => Work::EtcdPromote(each(items, items::etcd_member)),
        Verb::EtcdRemove => Work::EtcdRemove(each(items, items::etcd_member)),
        Verb::EtcdMoveLeader => Work::EtcdMoveLeader(each(items, items::etcd_member)),
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

fn error(code: ErrorCode, message: String) -> ItemError {
    ItemError { code: code.code().to_owned(), message }
}
