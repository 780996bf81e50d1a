//! What a pass sees of a cluster before anything is planned: its connections, the answers to its names, and the probes
//! of its servers.

use std::collections::BTreeMap;

use domain::spec::Primary;
use jiff::Timestamp;
use ports::{Clock as _, Target};
use runtime::records::Stored;

use super::Job;
use crate::Ports;
use crate::admission::Usable;
use crate::observe;
use crate::observed::{Heard, Observed};
use crate::plan::peerings::usable;
use crate::plan::proof;

/// What was seen first.
#[derive(Debug)]
pub(in crate::pass) struct FirstLook {
    /// What was seen.
    pub(in crate::pass) observed: Observed,
    /// When the names were asked.
    pub(in crate::pass) asked: Timestamp,
}

/// A server to be probed, for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pass) struct ProbeWanted {
    /// The server.
    pub(in crate::pass) target: Target,
    /// The host that the spec names for it: the name on its certificate, unless the spec says otherwise.
    pub(in crate::pass) host: String,
    /// Whether it is asked what it is.
    pub(in crate::pass) with_credentials: bool,
}

impl<P: Ports> Job<'_, P> {
    /// What the spec asks for now, where it can be read.
    pub(in crate::pass) fn wanted(&self) -> Option<&Primary> {
        match self.spec {
            Stored::Spec(spec) => self.primary(spec),
            Stored::Newer(_) | Stored::Unreadable(_) => None,
        }
    }

    /// The gateway through which names are asked and servers probed.
    pub(in crate::pass) fn gateway(&self) -> Option<&str> {
        self.wanted()?.gateway_function.as_ref().map(|name| name.as_str())
    }

    /// The connections. Names are not asked yet.
    pub(in crate::pass) async fn see_peerings(&self) -> FirstLook {
        let ports = &self.watcher.ports;
        let mut observed = Observed::default();
        if let Some(primary) = self.wanted() {
            observe::peerings(ports, &primary.peerings, self.listed, &self.known_state(), &mut observed).await;
        }
        FirstLook { observed, asked: ports.clock().now() }
    }

    /// The connections, and what the names answer to us: where the spec has no gateway that should ask them.
    pub(in crate::pass) async fn see_from_here(&self) -> FirstLook {
        let ports = &self.watcher.ports;
        let mut first = self.see_peerings().await;
        if let Some(primary) = self.wanted().filter(|p| self.may_register(p, &first.observed)) {
            first.asked = ports.clock().now();
            let answers = observe::names(ports, &primary.endpoints).await;
            first.observed.names = answers.into_iter().map(|(arn, answer)| (arn, Heard::Answer(answer))).collect();
        }
        first
    }

    /// The hosts that a gateway is asked for, by the ARN of the endpoint's target group: none before an answer may be
    /// registered.
    pub(in crate::pass) fn hosts(&self, observed: &Observed) -> BTreeMap<String, String> {
        let Some(primary) = self.wanted().filter(|p| self.may_register(p, observed)) else { return BTreeMap::new() };
        let of = |e: &domain::spec::Endpoint| (e.target_group_arn.as_str().to_owned(), e.host.as_str().to_owned());
        primary.endpoints.iter().map(of).collect()
    }

    /// The servers that this pass probes. An endpoint whose turn it is counts as looked at.
    pub(in crate::pass) fn probes(&self, observed: &Observed) -> Vec<ProbeWanted> {
        let Some(primary) = self.wanted() else { return Vec::new() };
        let (now, memory, name) = (self.watcher.ports.clock().now(), &self.watcher.memory, &self.record.name);
        let usable: Vec<Usable> = usable(primary, observed, now);
        let state = self.known_state();
        let mut wanted: Vec<ProbeWanted> = Vec::new();
        for endpoint in &primary.endpoints {
            let arn = endpoint.target_group_arn.as_str();
            let turn = format!("probe {arn}");
            let due = memory.is_due(name, &turn, now);
            let targets = proof::wanted(endpoint, state.endpoints.get(arn), observed, &usable, due, now);
            if !targets.is_empty() {
                memory.looked(name, &turn, now);
            }
            for target in targets {
                let with_credentials = proof::asks_the_server(primary, endpoint);
                // Endpoints on one server share its probe; the one that says most is made.
                match wanted.iter_mut().find(|w| w.target == target) {
                    Some(known) => known.with_credentials |= with_credentials,
                    None => {
                        let host = endpoint.host.as_str().to_owned();
                        wanted.push(ProbeWanted { target, host, with_credentials });
                    }
                }
            }
        }
        wanted
    }
}
