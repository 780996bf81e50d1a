//! All reads. What could not be read is `Unknown`, never absent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::spec::{Endpoint, PeeringSpec};
use futures_util::future::join_all;
use ports::{
    Class, NameAnswer, Names as _, Peering, PeeringState, Peerings as _, PortError, RouteTables as _, TargetGroups as _,
};

use crate::Ports;
use crate::observed::{Observed, Seen};
use crate::state::WatcherState;

/// The most that looking up all names of one cluster may take.
const NAMES_LIMIT: Duration = Duration::from_secs(8);

/// The Region's connections, as listed at the start of a pass.
pub type Listed = Result<BTreeMap<String, Peering>, PortError>;

/// Lists every connection of the Region.
pub async fn list_peerings<P: Ports>(ports: &P) -> Listed {
    Ok(ports.peerings().list().await?.into_iter().map(|p| (p.id.clone(), p)).collect())
}

/// The spec's connections. One that the list lacks is read by its id, and so is one whose end would take something away, or
/// whose end was read before: a list can lag behind.
pub async fn peerings<P: Ports>(
    ports: &P,
    specs: &[PeeringSpec],
    listed: &Listed,
    state: &WatcherState,
    observed: &mut Observed,
) {
    let read = join_all(specs.iter().map(|spec| async move {
        let id = spec.connection_id.as_str();
        let seen = match listed {
            Err(error) => Seen::Unknown(error.to_string()),
            Ok(list) => match list.get(id) {
                Some(peering) if peering.state.is_terminal() && holds_something(state, id) => by_id(ports, id).await,
                Some(peering) if !peering.state.is_terminal() && had_ended(state, id) => by_id(ports, id).await,
                Some(peering) => Seen::Known(peering.clone()),
                None => by_id(ports, id).await,
            },
        };
        (id.to_owned(), seen)
    }))
    .await;
    if let Ok(list) = listed {
        for spec in specs {
            // Looked for only where one is missed: over the whole fleet this would be every connection for each cluster.
            let active = |p: &Peering| p.state == PeeringState::Active;
            if list.get(spec.connection_id.as_str()).is_some_and(active) {
                continue;
            }
            if let Some(other) = replacement(spec, list, specs) {
                observed.replacements.insert(spec.connection_id.as_str().to_owned(), other);
            }
        }
    }
    observed.peerings = read.into_iter().collect();
}

fn holds_something(state: &WatcherState, connection: &str) -> bool {
    state.routes.iter().any(|r| r.leads_to(connection))
        || state.endpoints.values().any(|e| e.owned.iter().any(|o| o.connection == connection))
}

fn had_ended(state: &WatcherState, connection: &str) -> bool {
    state.peerings.get(connection).and_then(|m| m.state).is_some_and(PeeringState::is_terminal)
}

async fn by_id<P: Ports>(ports: &P, id: &str) -> Seen<Peering> {
    match ports.peerings().get(id).await {
        Ok(Some(peering)) => Seen::Known(peering),
        Ok(None) => Seen::Absent,
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

/// An active connection to the same peer that the spec does not name.
fn replacement(spec: &PeeringSpec, list: &BTreeMap<String, Peering>, named: &[PeeringSpec]) -> Option<String> {
    let is_peer = |side: &ports::PeeringVpc| {
        side.account.as_deref() == Some(spec.peer_account.as_str())
            && side.vpc.as_deref() == Some(spec.peer_vpc.as_str())
    };
    list.values()
        .filter(|p| p.state == PeeringState::Active && (is_peer(&p.accepter) || is_peer(&p.requester)))
        .find(|p| named.iter().all(|n| n.connection_id.as_str() != p.id))
        .map(|p| p.id.clone())
}

/// The endpoints' names, all at once, within the limit for one cluster.
pub async fn names<P: Ports>(ports: &P, endpoints: &[Endpoint]) -> BTreeMap<String, NameAnswer> {
    let asked = endpoints.iter().map(|endpoint| async move {
        let answer = ports.names().resolve(endpoint.host.as_str(), NAMES_LIMIT).await;
        (endpoint.target_group_arn.as_str().to_owned(), answer)
    });
    join_all(asked).await.into_iter().collect()
}

/// A target group's full list, and the group itself where `with_group`.
pub async fn target_group<P: Ports>(ports: &P, arn: &str, with_group: bool, observed: &mut Observed) {
    if with_group {
        let group = seen(ports.target_groups().describe(arn).await);
        observed.groups.insert(arn.to_owned(), group);
    }
    let targets = seen(ports.target_groups().targets(arn).await);
    observed.targets.insert(arn.to_owned(), targets);
}

/// Route tables, all in one call where they fit.
pub async fn route_tables<P: Ports>(ports: &P, ids: &BTreeSet<String>, observed: &mut Observed) {
    if ids.is_empty() {
        return;
    }
    let asked: Vec<String> = ids.iter().cloned().collect();
    match ports.route_tables().describe(&asked).await {
        Ok(tables) => {
            let mut found: BTreeMap<String, ports::RouteTable> =
                tables.into_iter().map(|t| (t.id.clone(), t)).collect();
            for id in asked {
                let seen = found.remove(&id).map_or(Seen::Absent, Seen::Known);
                observed.route_tables.insert(id, seen);
            }
        }
        Err(error) => {
            observed.route_tables.extend(asked.into_iter().map(|id| (id, Seen::Unknown(error.to_string()))));
        }
    }
}

fn seen<T>(answer: Result<T, PortError>) -> Seen<T> {
    match answer {
        Ok(value) => Seen::Known(value),
        Err(error) if error.class == Class::NotFound => Seen::Absent,
        Err(error) => Seen::Unknown(error.to_string()),
    }
}
