//! `ports::Names` over hickory-resolver.

mod answer;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use ports::{NameAnswer, Names};
use tokio::sync::Semaphore;
use tracing::debug;

/// How long one server has for one query. Past it the next server is asked.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// How often each server is asked.
const ATTEMPTS: usize = 2;

/// How many names are looked up at once. hickory repeats a query that is not answered from another socket, so that one
/// look-up has up to three, and a Lambda function may have 1,024 files open (`gettingstarted-limits`), of which AWS's
/// calls need some too.
const AT_ONCE: usize = 250;

/// Looks names up at a list of DNS servers, in their order: over UDP, and over TCP when an answer was cut short. A host
/// is taken as an absolute name; search domains and the hosts file play no part, and nothing is cached.
///
/// An answer about the name (addresses, no such name, no address) ends the search. A server that fails, refuses or says
/// nothing is passed over for the next one; each is asked twice, but for one that refused or was
/// silent.
#[derive(Debug)]
pub struct Resolver {
    servers: Result<Vec<Server>, String>,
    turns: Semaphore,
}

/// One DNS server. Each has a hickory resolver of its own: a resolver over several servers ends the search at the first
/// SERVFAIL or REFUSED and never asks the others.
#[derive(Debug)]
struct Server {
    address: String,
    resolver: TokioResolver,
}

impl Resolver {
    /// A resolver that asks `servers`, or where there are none given, those that the system is configured with
    /// (`/etc/resolv.conf`, read here and not again). Sends nothing. A configuration that cannot be used is told by every
    /// answer, as [`NameAnswer::Failed`].
    pub fn new(servers: Option<&[SocketAddr]>) -> Self {
        let configs = match servers {
            Some(servers) => Ok(servers.iter().map(name_server).collect()),
            None => read_system_conf()
                .map(|(config, _)| config.name_servers().to_vec())
                .map_err(|error| format!("the system's DNS configuration cannot be read: {error}")),
        };
        Self::over(configs)
    }

    fn over(configs: Result<Vec<NameServerConfig>, String>) -> Self {
        let servers = configs.and_then(|configs| {
            if configs.is_empty() {
                return Err("no DNS server is configured".to_owned());
            }
            configs.into_iter().map(Server::new).collect()
        });
        if let Err(reason) = &servers {
            debug!(reason, "names cannot be resolved");
        }
        Self { servers, turns: Semaphore::new(AT_ONCE) }
    }

    /// Asks until a server says something about the name. `found` always holds the most telling of what was heard, so
    /// that a caller who stops waiting has it.
    async fn ask_all(&self, servers: &[Server], name: &Name, found: &mut Option<NameAnswer>) {
        let mut waiting: Vec<&Server> = servers.iter().collect();
        for _ in 0..ATTEMPTS {
            let mut again = Vec::new();
            for server in waiting {
                let answer = server.ask(name, RecordType::A).await;
                match answer {
                    NameAnswer::NoData => {
                        *found = Some(NameAnswer::NoData);
                        // What this server says of AAAA serves only to tell a name that has no IPv4 address from one that
                        // has none at all: a failure here leaves the answer to A as it is.
                        let other = server.ask(name, RecordType::AAAA).await;
                        if matches!(other, NameAnswer::Addresses { .. }) {
                            *found = Some(other);
                        }
                        return;
                    }
                    NameAnswer::Addresses { .. } | NameAnswer::NxDomain => {
                        *found = Some(answer);
                        return;
                    }
                    // A query that nobody answers was repeated by hickory itself, within its time.
                    NameAnswer::Refused | NameAnswer::TimedOut => {}
                    NameAnswer::ServFail | NameAnswer::Failed(_) => {
                        again.push(server);
                    }
                }
                if found.as_ref().is_none_or(|before| answer::telling(before) < answer::telling(&answer)) {
                    *found = Some(answer);
                }
            }
            waiting = again;
        }
    }
}

impl Names for Resolver {
    async fn resolve(&self, host: &str, limit: Duration) -> NameAnswer {
        if let Ok(address) = host.parse::<IpAddr>() {
            return NameAnswer::Addresses { addresses: vec![address], ttl: Duration::ZERO };
        }
        let servers = match &self.servers {
            Ok(servers) => servers,
            Err(reason) => return NameAnswer::Failed(reason.clone()),
        };
        let name = match absolute(host) {
            Ok(name) => name,
            Err(reason) => return NameAnswer::Failed(reason),
        };
        // Outside the limit: a name that nobody was asked for yet has not failed. It is never closed.
        let _turn = self.turns.acquire().await;
        let mut found = None;
        // Whether the search ended by itself or ran out of time, `found` holds what was heard until then.
        let in_time = tokio::time::timeout(limit, self.ask_all(servers, &name, &mut found)).await.is_ok();
        let answer = found.unwrap_or(NameAnswer::TimedOut);
        debug!(host, ?answer, in_time, "resolved");
        answer
    }
}

impl Server {
    fn new(config: NameServerConfig) -> Result<Self, String> {
        let address = config.ip.to_string();
        let port = config.connections.first().map_or(53, |connection| connection.port);
        let mut builder = TokioResolver::builder_with_config(
            ResolverConfig::from_parts(None, Vec::new(), vec![config]),
            TokioRuntimeProvider::default(),
        );
        *builder.options_mut() = options();
        let resolver = builder.build().map_err(|error| format!("the DNS server {address} cannot be used: {error}"))?;
        Ok(Self { address: format!("{address} port {port}"), resolver })
    }

    async fn ask(&self, name: &Name, wanted: RecordType) -> NameAnswer {
        let result = self.resolver.lookup(name.clone(), wanted).await;
        let answer = answer::read(name, wanted, result.as_ref().map(|found| found.answers()));
        debug!(server = self.address, %name, %wanted, ?answer, "asked");
        answer
    }
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = ATTEMPT;
    // Repeating and passing on are done in `ask_all`.
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // The TTL of an answer is the smallest of its whole chain of aliases, so the aliases must come back with it.
    options.preserve_intermediates = true;
    options
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    udp.port = address.port();
    let mut tcp = ConnectionConfig::tcp();
    tcp.port = address.port();
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

/// The name, made absolute: otherwise a search domain could be added to it.
fn absolute(host: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(host).map_err(|error| format!("{host:?} is no name: {error}"))?;
    if name.num_labels() == 0 {
        return Err(format!("{host:?} is no name of a host"));
    }
    name.set_fqdn(true);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(8);

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        let resolver = Resolver::over(Err("not to be used".to_owned()));
        for text in ["10.9.0.5", "fd00::5"] {
            assert_eq!(
                resolver.resolve(text, LIMIT).await,
                NameAnswer::Addresses { addresses: vec![text.parse().unwrap()], ttl: Duration::ZERO }
            );
        }
    }

    #[tokio::test]
    async fn a_configuration_that_cannot_be_used_is_told_by_the_answer() {
        let unreadable = Resolver::over(Err("resolv.conf: no such file".to_owned()));
        assert_eq!(
            unreadable.resolve("db.example.internal", LIMIT).await,
            NameAnswer::Failed("resolv.conf: no such file".to_owned())
        );
        assert_eq!(
            Resolver::new(Some(&[])).resolve("db.example.internal", LIMIT).await,
            NameAnswer::Failed("no DNS server is configured".to_owned())
        );
    }

    #[tokio::test]
    async fn what_is_no_name_fails_without_a_query() {
        let resolver = Resolver::new(Some(&["127.0.0.1:9".parse().unwrap()]));
        let long = "a".repeat(64);
        for host in ["", ".", "a..b", long.as_str()] {
            let answer = resolver.resolve(host, LIMIT).await;
            let NameAnswer::Failed(reason) = &answer else {
                panic!("{host:?} gave {answer:?}");
            };
            assert!(reason.contains("is no name"), "{host:?} gave {reason:?}");
        }
    }

    #[test]
    fn a_name_is_absolute_with_and_without_the_last_dot() {
        assert!(absolute("db").unwrap().is_fqdn());
        assert_eq!(absolute("db.example.internal"), absolute("db.example.internal."));
    }
}
