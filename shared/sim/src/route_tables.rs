//! Route tables.
//!
//! Held here (`API_CreateRoute`, `API_ReplaceRoute`, `API_DeleteRoute`, `API_Route`, VPC user guide): a destination has one
//! route; a second is `RouteAlreadyExists`; none may lead into the VPC's own blocks; a route over a connection that is not
//! active is a blackhole and stays; reads lag behind.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{Class, PortError, Route, RouteState, RouteTable, RouteTarget};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::world::State;

const LAG: Kind = Kind::Lagging(Duration::from_secs(20));
/// Routes in a table, by default (`amazon-vpc-limits`).
const MOST_ROUTES: usize = 50;

type Rows = BTreeMap<String, BTreeMap<Ipv4Net, RouteTarget>>;

/// The tables of our VPC.
#[derive(Debug, Clone)]
pub(crate) struct RoutingTables(History<Rows>);

impl Default for RoutingTables {
    fn default() -> Self {
        Self(History::new(BTreeMap::new()))
    }
}

fn refuse<T>(call: &'static str, class: Class, code: &str) -> (Result<T, PortError>, Happened) {
    let message = "as EC2 refuses it".to_owned();
    (Err(PortError { call, class, code: code.to_owned(), message }), Happened::Refused(code.to_owned()))
}

impl State {
    /// A table appears, with its local route.
    pub fn put_route_table(&mut self, id: &str, now: Timestamp) {
        let local = self.own_blocks.iter().map(|block| (*block, RouteTarget::Local)).collect();
        self.route_tables.0.change(now).insert(id.to_owned(), local);
    }

    /// A table goes.
    pub fn route_table_vanishes(&mut self, id: &str, now: Timestamp) {
        self.route_tables.0.change(now).remove(id);
    }

    /// Somebody sets a route by hand, over whatever was there.
    pub fn route_by_hand(&mut self, table: &str, destination: Ipv4Net, target: RouteTarget, now: Timestamp) {
        if let Some(rows) = self.route_tables.0.change(now).get_mut(table) {
            rows.insert(destination, target);
        }
    }

    /// Somebody removes a route by hand.
    pub fn unroute_by_hand(&mut self, table: &str, destination: Ipv4Net, now: Timestamp) {
        if let Some(rows) = self.route_tables.0.change(now).get_mut(table) {
            rows.remove(&destination);
        }
    }

    /// The routes of a table as they are; `None` where there is no such table.
    #[must_use]
    pub fn routes(&self, table: &str) -> Option<&BTreeMap<Ipv4Net, RouteTarget>> {
        self.route_tables.0.now().get(table)
    }

    /// The tables that there are.
    pub fn route_tables(&self) -> impl Iterator<Item = &str> {
        self.route_tables.0.now().keys().map(String::as_str)
    }

    fn told_table(&self, id: &str, seen: Timestamp) -> Option<RouteTable> {
        let rows = self.route_tables.0.at(seen).get(id)?;
        let routes = rows.iter().map(|(destination, target)| {
            let works = match target {
                RouteTarget::Peering(id) => self.peerings.carries(id, seen),
                RouteTarget::Local | RouteTarget::Other(_) => true,
            };
            let state = if works { RouteState::Active } else { RouteState::Blackhole };
            Route { destination: *destination, target: target.clone(), state }
        });
        Some(RouteTable { id: id.to_owned(), vpc: Some(self.own_vpc.clone()), routes: routes.collect() })
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct RouteTables(Client);

impl RouteTables {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::RouteTables for RouteTables {
    async fn describe(&self, ids: &[String]) -> Result<Vec<RouteTable>, PortError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.0
            .call("ec2:DescribeRouteTables", LAG, |state, moment| {
                let found: Vec<RouteTable> = ids.iter().filter_map(|id| state.told_table(id, moment.seen)).collect();
                (Ok(found.clone()), Happened::RouteTablesRead(found))
            })
            .await
    }

    async fn create(&self, table: &str, destination: Ipv4Net, connection: &str) -> Result<(), PortError> {
        const CALL: &str = "ec2:CreateRoute";
        self.0
            .call(CALL, Kind::Change, |state, moment| {
                let known = state.peerings.carries(connection, moment.now) || state.peering(connection).is_some();
                if state.own_blocks.iter().any(|own| own.contains(&destination)) {
                    return refuse(CALL, Class::Invalid, "InvalidParameterValue");
                }
                let Some(rows) = state.routes(table) else {
                    return refuse(CALL, Class::NotFound, "InvalidRouteTableID.NotFound");
                };
                if !known {
                    return refuse(CALL, Class::NotFound, "InvalidVpcPeeringConnectionID.NotFound");
                }
                if rows.contains_key(&destination) {
                    return refuse(CALL, Class::Conflict, "RouteAlreadyExists");
                }
                if rows.len() >= MOST_ROUTES {
                    return refuse(CALL, Class::LimitReached, "RouteLimitExceeded");
                }
                state.route_by_hand(table, destination, RouteTarget::Peering(connection.to_owned()), moment.now);
                (Ok(()), Happened::RouteCreated(table.to_owned(), destination, connection.to_owned()))
            })
            .await
    }

    async fn replace(&self, table: &str, destination: Ipv4Net, connection: &str) -> Result<(), PortError> {
        const CALL: &str = "ec2:ReplaceRoute";
        self.0
            .call(CALL, Kind::Change, |state, moment| {
                let Some(rows) = state.routes(table) else {
                    return refuse(CALL, Class::NotFound, "InvalidRouteTableID.NotFound");
                };
                let Some(from) = rows.get(&destination).cloned() else {
                    return refuse(CALL, Class::NotFound, "InvalidParameterValue");
                };
                if state.peering(connection).is_none() {
                    return refuse(CALL, Class::NotFound, "InvalidVpcPeeringConnectionID.NotFound");
                }
                state.route_by_hand(table, destination, RouteTarget::Peering(connection.to_owned()), moment.now);
                (Ok(()), Happened::RouteReplaced(table.to_owned(), destination, connection.to_owned(), from))
            })
            .await
    }

    async fn delete(&self, table: &str, destination: Ipv4Net) -> Result<(), PortError> {
        self.0
            .call("ec2:DeleteRoute", Kind::Change, |state, moment| {
                let was = state.routes(table).and_then(|rows| rows.get(&destination)).cloned();
                if was == Some(RouteTarget::Local) {
                    return refuse("ec2:DeleteRoute", Class::Invalid, "InvalidParameterValue");
                }
                state.unroute_by_hand(table, destination, moment.now);
                (Ok(()), Happened::RouteDeleted(table.to_owned(), destination, was))
            })
            .await
    }
}
