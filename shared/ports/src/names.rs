//! Names, and what a resolver says of them.

use std::net::IpAddr;
use std::time::Duration;

/// What a resolver answered. Every way of not answering is its own case, because each has another remedy, and none of
/// them is ever read as "no addresses".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameAnswer {
    /// Addresses, at least one, sorted; the smallest TTL along the chain of aliases.
    Addresses {
        /// All addresses of the answer, each once.
        addresses: Vec<IpAddr>,
        /// How long a resolver may repeat this answer.
        ttl: Duration,
    },
    /// The name does not exist.
    NxDomain,
    /// The name exists and has no address.
    NoData,
    /// The server could not find out.
    ServFail,
    /// The server would not say.
    Refused,
    /// No server answered in time.
    TimedOut,
    /// An answer that could not be read, or no way to ask.
    Failed(String),
}

/// Looks names up. Nothing is kept from one call to the next: a warm process must not answer from its memory.
pub trait Names: Sync {
    /// The addresses of `host` (a name, or an address in text, which is its own answer with a TTL of zero). Never takes
    /// longer than `limit`.
    fn resolve(&self, host: &str, limit: Duration) -> impl Future<Output = NameAnswer> + Send;
}
