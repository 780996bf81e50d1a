//! VPC route tables over EC2.

use std::collections::{BTreeSet, VecDeque};

use aws::{Turns, classify, is_malformed_id, removed};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types;
use ipnet::Ipv4Net;
use ports::{Class, PortError, Route, RouteState, RouteTable, RouteTarget};

const DESCRIBE: &str = "ec2:DescribeRouteTables";

/// How many tables are asked for at once: the most that EC2 gives in one page (`API_DescribeRouteTables`).
const CHUNK: usize = 100;

/// Reads and changes route tables in EC2.
///
/// `create` is not idempotent across the SDK's retry: where the first reply is lost, the retry finds the route that the
/// call itself made and answers `Conflict`. Who calls reads the table again.
#[derive(Debug, Clone)]
pub struct RouteTables {
    client: Client,
    turns: Turns,
}

impl RouteTables {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        Self { client: crate::ec2(configuration), turns: configuration.turns() }
    }

    async fn chunk(&self, ids: &[String]) -> Result<Vec<RouteTable>, PortError> {
        let _turn = self.turns.take().await;
        let mut tables = Vec::new();
        let mut next = None;
        loop {
            let page = self
                .client
                .describe_route_tables()
                .set_route_table_ids(Some(ids.to_vec()))
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| classify(DESCRIBE, error))?;
            let found = page.route_tables.unwrap_or_default().into_iter().filter_map(table);
            tables.extend(found.filter(|table| ids.contains(&table.id)));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(tables);
            }
        }
    }
}

impl ports::RouteTables for RouteTables {
    async fn describe(&self, ids: &[String]) -> Result<Vec<RouteTable>, PortError> {
        // EC2 reads no ids as all tables: no ids, no call.
        let distinct: Vec<String> = ids.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let mut chunks: VecDeque<Vec<String>> = distinct.chunks(CHUNK).map(<[_]>::to_vec).collect();
        let mut tables = Vec::new();
        while let Some(mut chunk) = chunks.pop_front() {
            match self.chunk(&chunk).await {
                Ok(found) => tables.extend(found),
                // One id that EC2 does not know, or cannot be one, fails the whole call. Halving finds it and keeps the
                // others: one cluster's spec must not blind us to the tables of all others.
                Err(error) if error.class == Class::NotFound || is_malformed_id(&error) => {
                    if chunk.len() > 1 {
                        let upper = chunk.split_off(chunk.len() / 2);
                        chunks.extend([chunk, upper]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(tables)
    }

    async fn create(&self, table: &str, destination: Ipv4Net, connection: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .create_route()
            .route_table_id(table)
            .destination_cidr_block(destination.to_string())
            .vpc_peering_connection_id(connection)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("ec2:CreateRoute", error))
    }

    async fn replace(&self, table: &str, destination: Ipv4Net, connection: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .replace_route()
            .route_table_id(table)
            .destination_cidr_block(destination.to_string())
            .vpc_peering_connection_id(connection)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("ec2:ReplaceRoute", error))
    }

    async fn delete(&self, table: &str, destination: Ipv4Net) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .delete_route()
            .route_table_id(table)
            .destination_cidr_block(destination.to_string())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("ec2:DeleteRoute", error));
        removed(answer)
    }
}

fn table(table: types::RouteTable) -> Option<RouteTable> {
    let Some(id) = table.route_table_id else {
        tracing::warn!(call = DESCRIBE, "a route table without an id is left out");
        return None;
    };
    let routes = table.routes.unwrap_or_default().into_iter().filter_map(|entry| route(&id, entry)).collect();
    Some(RouteTable { vpc: table.vpc_id, routes, id })
}

/// None for a route to an IPv6 block or a prefix list.
fn route(table: &str, route: types::Route) -> Option<Route> {
    let destination = route.destination_cidr_block.as_deref()?;
    let Ok(destination) = destination.parse::<Ipv4Net>() else {
        tracing::warn!(call = DESCRIBE, table, destination, "a route whose destination cannot be read is left out");
        return None;
    };
    let state = match route.state {
        Some(types::RouteState::Active) => RouteState::Active,
        _ => RouteState::Blackhole,
    };
    Some(Route { destination, target: target(route), state })
}

fn target(route: types::Route) -> RouteTarget {
    if let Some(connection) = route.vpc_peering_connection_id {
        return RouteTarget::Peering(connection);
    }
    if route.gateway_id.as_deref() == Some("local") {
        return RouteTarget::Local;
    }
    // A route to an instance names its interface too: the instance says more.
    let id = route
        .gateway_id
        .or(route.nat_gateway_id)
        .or(route.transit_gateway_id)
        .or(route.local_gateway_id)
        .or(route.carrier_gateway_id)
        .or(route.egress_only_internet_gateway_id)
        .or(route.core_network_arn)
        .or(route.odb_network_arn)
        .or(route.instance_id)
        .or(route.network_interface_id);
    RouteTarget::Other(id.unwrap_or_else(|| "unknown".to_owned()))
}

#[cfg(test)]
mod tests;
