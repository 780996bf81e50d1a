//! Invariants W1 and W6 at each change of a route.

use ipnet::Ipv4Net;
use ports::{Peering, PeeringState, RouteTarget};
use sim::{Record, State};

use super::admission::sides;
use super::{Oracle, QUERY_LAG};

impl Oracle {
    pub(super) fn route_made(
        &mut self,
        state: &State,
        record: &Record,
        table: &str,
        block: Ipv4Net,
        to: &str,
        from: Option<&RouteTarget>,
    ) {
        let process = &record.process;
        if !self.asked_for(record, table, block, to) {
            self.violate("W1", format!("{process}: nobody asks for {block} -> {to} in {table}, as read in this pass"));
        }
        if let Some(from) = from
            && !self.ours_as_read(record, table, block, from)
        {
            self.violate("W6", format!("{process}: {block} -> {from} in {table} is not ours to change"));
        }
        let known = self.specs.clusters().any(|cluster| {
            let key = ports::Key::new("state#peering-watcher", cluster);
            let routes = state.document(&key).and_then(|item| item.body["routes"].as_array().cloned());
            routes
                .into_iter()
                .flatten()
                .any(|r| r["table"] == table && r["destination"] == block.to_string().as_str() && r["connection"] == to)
        });
        let started = self.pass(record).map_or(record.at, |pass| pass.started);
        let lost = self.lost_at.values().any(|at| *at >= started);
        if !known && !lost {
            self.violate("W3", format!("{process}: {block} -> {to} in {table} was made without a record of it"));
        }
        self.routes.insert((table.to_owned(), block, to.to_owned()));
    }

    pub(super) fn route_deleted(&mut self, record: &Record, table: &str, block: Ipv4Net, was: Option<&RouteTarget>) {
        let process = &record.process;
        let Some(was) = was else { return };
        if !self.ours_as_read(record, table, block, was) {
            self.violate("W6", format!("{process}: {block} -> {was} in {table} is not ours to remove"));
        }
        let RouteTarget::Peering(to) = was else { return };
        if let Some(cluster) = self.still_wanted(record, table, block, to) {
            self.violate("W6", format!("{process}: {block} -> {to} in {table} went, and {cluster} asks for it"));
        }
    }

    /// Whether the route is one that we made; where somebody changed it since this pass read it, what was read counts.
    fn ours_as_read(&self, record: &Record, table: &str, block: Ipv4Net, to: &RouteTarget) -> bool {
        let made = |to: &RouteTarget| match to {
            RouteTarget::Peering(id) => self.routes.contains(&(table.to_owned(), block, id.clone())),
            RouteTarget::Local | RouteTarget::Other(_) => false,
        };
        let read = self.pass(record).and_then(|pass| pass.tables.get(table));
        let route = read.and_then(|t| t.routes.iter().find(|r| r.destination == block));
        made(to) || route.is_some_and(|r| made(&r.target))
    }

    fn asked_for(&self, record: &Record, table: &str, block: Ipv4Net, to: &str) -> bool {
        let Some(pass) = self.pass(record) else { return false };
        let since = pass.started.checked_sub(QUERY_LAG).unwrap();
        let actives: Vec<&Peering> = pass.peering(to).filter(|p| p.state == PeeringState::Active).collect();
        self.specs.clusters().any(|cluster| {
            self.specs.since(cluster, since).iter().any(|version| {
                let Some(primary) = version.primary() else { return false };
                let Some(spec) = version.peering(to) else { return false };
                let mut theirs = actives.iter().filter_map(|p| sides(spec, p)).flat_map(|(theirs, _)| &theirs.blocks);
                primary.route_table_ids.iter().any(|t| t.as_str() == table)
                    && theirs.any(|theirs| *theirs == block)
                    && spec.allowed_cidrs.iter().any(|allowed| allowed.contains(&block))
            })
        })
    }

    /// A cluster that asked for the route all through this pass, over a connection that was read as active.
    fn still_wanted(&self, record: &Record, table: &str, block: Ipv4Net, to: &str) -> Option<String> {
        let pass = self.pass(record)?;
        let since = pass.started.checked_sub(QUERY_LAG).unwrap();
        // Where the answers differ, either may be believed.
        let peering = pass.peering(to).last().filter(|_| pass.peering(to).all(|p| p.state == PeeringState::Active))?;
        let wants = |cluster: &&str| {
            let versions = self.specs.since(cluster, since);
            !versions.is_empty()
                && versions.iter().all(|version| {
                    let Some(primary) = version.primary() else { return false };
                    let Some(spec) = version.peering(to) else { return false };
                    let theirs = sides(spec, peering).map(|(theirs, _)| theirs.blocks.as_slice()).unwrap_or_default();
                    // Of two connections with equal blocks a table leads to the first.
                    let first = primary.peerings.first().is_some_and(|p| p.connection_id.as_str() == to);
                    first
                        && primary.route_table_ids.iter().any(|t| t.as_str() == table)
                        && theirs.contains(&block)
                        && spec.allowed_cidrs.iter().any(|allowed| allowed.contains(&block))
                })
        };
        self.specs.clusters().find(wants).map(str::to_owned)
    }
}
