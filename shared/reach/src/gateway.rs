//! What a `vpc-gateway` is asked, and what it answers. It is deployed apart from those who ask it, so each side takes what
//! one version older or newer says: unknown fields are passed over, and a missing optional one means "not known".

mod answering;
mod error_code;
mod etcd;
mod in_process;
mod patroni;
mod reading;
mod verb;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ports::{NameAnswer, Secret};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use answering::{Admits, Answered, Gateway};
pub use error_code::ErrorCode;
pub(crate) use etcd::host_of;
pub use etcd::{EtcdChanged, EtcdItem, EtcdLearnerItem, EtcdMember, EtcdMemberItem, EtcdStatus, EtcdView};
pub use in_process::{InProcess, NoNames};
pub use patroni::{PatroniGetItem, PatroniQuestion, ReinitializeItem, Said, SwitchoverItem};
pub use verb::Verb;

/// The version of requests and answers that this code writes.
pub const VERSION: u32 = 1;

/// The most items of one request.
pub const MOST_ITEMS: usize = 100;

/// One request: a verb and its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<I> {
    /// [`VERSION`] of the asker.
    pub v: u32,
    /// What to do with each item.
    pub verb: Verb,
    /// At most [`MOST_ITEMS`].
    pub items: Vec<I>,
}

/// The answer to a request: one item for each that was asked, under its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// [`VERSION`] of the gateway.
    pub v: u32,
    /// In the order of the request.
    pub items: Vec<AnswerItem<T>>,
}

/// The answer to what could not be carried out at all: `{"v": 1, "error": {"code": "VerbNotAllowed", "message": "..."}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// [`VERSION`] of the gateway.
    pub v: u32,
    /// Why.
    pub error: ItemError,
}

impl<T: DeserializeOwned> Answer<T> {
    /// Reads what a gateway answered.
    ///
    /// # Errors
    /// The gateway's own, where it refused the request as a whole; `BadAnswer` where this is neither an answer nor a
    /// refusal.
    pub fn read(answer: Value) -> Result<Self, ItemError> {
        if let Ok(refusal) = Refusal::deserialize(&answer) {
            return Err(refusal.error);
        }
        serde_json::from_value(answer).map_err(|error| ItemError {
            code: ErrorCode::BadAnswer.code().to_owned(),
            message: format!("the gateway's answer cannot be read: {error}"),
        })
    }
}

/// What came of one item: `ok` or `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerItem<T> {
    /// The item's id.
    pub id: String,
    /// The result.
    #[serde(flatten)]
    pub outcome: Outcome<T>,
}

/// `{"ok": ...}` or `{"error": ...}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It worked.
    Ok(T),
    /// It did not.
    Error(ItemError),
}

/// Why an item has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    /// A stable code in UpperCamelCase.
    pub code: String,
    /// The particulars, for a person. Never a secret.
    pub message: String,
}

/// A name to look up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveItem {
    /// The asker's own id for the item.
    pub id: String,
    /// The name, or an address in text.
    pub host: String,
}

/// What a name has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// At least one.
    pub addresses: Vec<IpAddr>,
    /// The smallest TTL along the chain of aliases.
    pub ttl_seconds: u64,
}

/// A server to probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeItem {
    /// The asker's own id for the item.
    pub id: String,
    /// The server's address, admitted by the asker.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// How to verify its certificate. Without it the server is only asked whether it speaks PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsItem>,
    /// As whom to ask what it is. Used over verified TLS alone, so never without `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// How a server's certificate is verified, and ours shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsItem {
    /// The authority to trust, PEM. Left out: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Our certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// Its private key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// The name or address that the server's certificate must have.
    pub server_name: String,
}

/// Who we are to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The role.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Whether TLS was made and verified.
    pub tls: bool,
    /// What the server said of itself; absent where no credentials were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFacts>,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `server_version_num`, for example 150018.
    pub version: u32,
    /// `pg_is_in_recovery()`: a standby, which takes no writes.
    pub in_recovery: bool,
    /// `wal_level`: `minimal`, `replica` or `logical`.
    pub wal_level: String,
    /// `max_replication_slots`.
    pub max_replication_slots: u32,
    /// `max_slot_wal_keep_size` in MB; -1: slots may keep WAL without end.
    pub max_slot_wal_keep_size_mb: i64,
    /// How many databases can be connected to, templates left out.
    pub databases: u32,
}

impl Outcome<Resolved> {
    /// A resolver's answer as it crosses the wire.
    #[must_use]
    pub fn of_name(answer: NameAnswer) -> Self {
        let error =
            |code: &str, message: &str| Self::Error(ItemError { code: code.to_owned(), message: message.to_owned() });
        match answer {
            NameAnswer::Addresses { addresses, ttl } => Self::Ok(Resolved { addresses, ttl_seconds: ttl.as_secs() }),
            NameAnswer::NxDomain => error("NxDomain", "the name does not exist"),
            NameAnswer::NoData => error("NoData", "the name has no address"),
            NameAnswer::ServFail => error("ServFail", "the server could not find out"),
            NameAnswer::Refused => error("Refused", "the server would not say"),
            NameAnswer::TimedOut => error("TimedOut", "no server answered in time"),
            NameAnswer::Failed(why) => error("Failed", &why),
        }
    }

    /// The resolver's answer behind it. What makes no sense is no answer, and never "no addresses".
    #[must_use]
    pub fn into_name(self) -> NameAnswer {
        match self {
            Self::Ok(Resolved { addresses, .. }) if addresses.is_empty() => {
                NameAnswer::Failed("the gateway gave an empty list of addresses".to_owned())
            }
            Self::Ok(Resolved { mut addresses, ttl_seconds }) => {
                addresses.sort_unstable();
                addresses.dedup();
                NameAnswer::Addresses { addresses, ttl: Duration::from_secs(ttl_seconds) }
            }
            Self::Error(ItemError { code, message }) => match code.as_str() {
                "NxDomain" => NameAnswer::NxDomain,
                "NoData" => NameAnswer::NoData,
                "ServFail" => NameAnswer::ServFail,
                "Refused" => NameAnswer::Refused,
                "TimedOut" => NameAnswer::TimedOut,
                _ => NameAnswer::Failed(format!("{code}: {message}")),
            },
        }
    }
}
