//! The items of each verb.

use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::{
    Credentials, EtcdItem, EtcdLearnerItem, EtcdMemberItem, PatroniGetItem, PatroniQuestion, ProbeItem,
    ReinitializeItem, ResolveItem, SwitchoverItem, TlsItem,
};

/// The longest name of a host, in text (RFC 1035, with its last dot).
pub(super) const LONGEST_HOST: usize = 254;
/// The longest name of a Patroni member.
const LONGEST_NAME: usize = 255;
/// The longest URL.
const LONGEST_URL: usize = 512;

type Item = Map<String, Value>;

pub(super) fn resolve(id: String, item: &Item) -> Result<ResolveItem, String> {
    let host: String = required(item, "", "host", "text")?;
    if !(1..=LONGEST_HOST).contains(&host.len()) {
        return Err(format!("`host` must have 1 to {LONGEST_HOST} bytes"));
    }
    Ok(ResolveItem { id, host })
}

pub(super) fn probe(id: String, item: &Item) -> Result<ProbeItem, String> {
    let Server { address, port, tls, credentials } = server(item)?;
    Ok(ProbeItem { id, address, port, tls, credentials })
}

pub(super) fn patroni_get(id: String, item: &Item) -> Result<PatroniGetItem, String> {
    let Server { address, port, tls, credentials } = server(item)?;
    let what: PatroniQuestion = required(item, "", "what", "`cluster`, `node` or `config`")?;
    Ok(PatroniGetItem { id, address, port, what, tls, credentials })
}

pub(super) fn switchover(id: String, item: &Item) -> Result<SwitchoverItem, String> {
    let Server { address, port, tls, credentials } = server(item)?;
    let name = |field: &str| {
        let name: String = required(item, "", field, "text")?;
        if !(1..=LONGEST_NAME).contains(&name.len()) || name.contains(char::is_control) {
            return Err(format!("`{field}` must have 1 to {LONGEST_NAME} bytes, and no control characters"));
        }
        Ok(name)
    };
    let (leader, candidate) = (name("leader")?, name("candidate")?);
    if leader == candidate {
        return Err("`candidate` must be another than `leader`".to_owned());
    }
    Ok(SwitchoverItem { id, address, port, leader, candidate, tls, credentials })
}

pub(super) fn reinitialize(id: String, item: &Item) -> Result<ReinitializeItem, String> {
    let Server { address, port, tls, credentials } = server(item)?;
    Ok(ReinitializeItem { id, address, port, tls, credentials })
}

pub(super) fn etcd(id: String, item: &Item) -> Result<EtcdItem, String> {
    let Server { address, port, tls, credentials } = server(item)?;
    Ok(EtcdItem { id, address, port, tls, credentials })
}

pub(super) fn etcd_learner(id: String, item: &Item) -> Result<EtcdLearnerItem, String> {
    let ask = etcd(id, item)?;
    let peer_url: String = required(item, "", "peer_url", "text")?;
    if peer_url.len() > LONGEST_URL || !is_peer_url(&peer_url) {
        return Err("`peer_url` must be like https://10.0.1.10:2380".to_owned());
    }
    Ok(EtcdLearnerItem { ask, peer_url })
}

pub(super) fn etcd_member(id: String, item: &Item) -> Result<EtcdMemberItem, String> {
    let ask = etcd(id, item)?;
    let member: String = required(item, "", "member", "a decimal id, as text")?;
    // etcd itself would take `08`, `0x8` for hexadecimal, and 0 for no member.
    if member.parse::<u64>().map_or(true, |id| id == 0 || id.to_string() != member) {
        return Err("`member` must be a decimal id, as text".to_owned());
    }
    Ok(EtcdMemberItem { ask, member })
}

/// A scheme, a host and a port, and nothing behind them, as etcd wants it (`types.NewURLs`).
fn is_peer_url(url: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let Some((host, port)) = rest.and_then(|rest| rest.split_once(':')) else { return false };
    !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        && port.bytes().all(|b| b.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// What every item has that names a server.
struct Server {
    address: Ipv4Addr,
    port: u16,
    tls: Option<TlsItem>,
    credentials: Option<Credentials>,
}

fn server(item: &Item) -> Result<Server, String> {
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
    Ok(Server {
        address: required(item, "", "address", "an IPv4 address")?,
        port: required(item, "", "port", "a number from 1 to 65535")?,
        tls,
        credentials,
    })
}

/// A part that is an object, where it is given.
fn part<'a>(item: &'a Item, name: &str) -> Result<Option<&'a Item>, String> {
    match item.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(part)) => Ok(Some(part)),
        Some(_) => Err(format!("`{name}` must be an object")),
    }
}

fn optional<T: DeserializeOwned>(part: &Item, prefix: &str, name: &str, shape: &str) -> Result<Option<T>, String> {
    match part.get(name) {
        None | Some(Value::Null) => Ok(None),
        // serde's own words quote the value.
        Some(value) => T::deserialize(value).map(Some).map_err(|_| format!("`{prefix}{name}` must be {shape}")),
    }
}

fn required<T: DeserializeOwned>(part: &Item, prefix: &str, name: &str, shape: &str) -> Result<T, String> {
    optional(part, prefix, name, shape)?.ok_or_else(|| format!("`{prefix}{name}` is missing: it must be {shape}"))
}
