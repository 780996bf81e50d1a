//! What a cluster's pass reads of the load balancer and of route tables, and whether it asks names.

use std::collections::BTreeSet;

use domain::spec::Primary;
use ports::Clock as _;

use super::Job;
use crate::Ports;
use crate::budget::Urgency;
use crate::observe;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::plan::peerings::usable;
use crate::state::{EndpointMemory, WatcherState};

/// What a settled cluster's route tables are called in the memory of looks.
pub(in crate::pass) const ROUTES: &str = "routes";

impl<P: Ports> Job<'_, P> {
    /// Whether an answer may be registered now: names are not asked before that.
    pub(super) fn may_register(&self, primary: &Primary, observed: &Observed) -> bool {
        !usable(primary, observed, self.watcher.ports.clock().now()).is_empty()
    }

    /// Reads what the draft needs, and what is due its turn, within the budget.
    pub(super) async fn look(
        &self,
        draft: &Plan,
        before: &WatcherState,
        primary: Option<&Primary>,
        round: usize,
        observed: &mut Observed,
    ) {
        let ports = &self.watcher.ports;
        let (clock, memory, name) = (ports.clock(), &self.watcher.memory, &self.record.name);
        let holds = before.endpoints.iter().filter(|(_, e)| !e.owned.is_empty()).map(|(arn, _)| arn);
        let turns = holds.filter(|arn| round == 0 && memory.is_due(name, arn, clock.now()));
        let groups: BTreeSet<&String> = draft.look_at_groups.iter().chain(turns).collect();
        for arn in groups {
            if observed.targets.contains_key(arn) {
                continue;
            }
            let fresh = |e: &EndpointMemory| e.group.as_ref().is_some_and(|g| g.generation == self.record.generation);
            let with_group = !before.endpoints.get(arn).is_some_and(fresh) && !observed.groups.contains_key(arn);
            let urgency = if draft.look_at_groups.contains(arn) { Urgency::Change } else { Urgency::Turn };
            let Some(wait) = self.watcher.budget.read(1 + u8::from(with_group), urgency, clock.now()) else { continue };
            if !wait.is_zero() {
                clock.sleep(wait).await;
            }
            observe::target_group(ports, arn, with_group, observed).await;
            memory.looked(name, arn, clock.now());
        }
        let mut tables: BTreeSet<String> = draft.look_at_tables.clone();
        if round == 0 {
            let routes = before.routes.iter().map(|m| m.table.clone());
            // Not only those with routes of ours: a route that was in the way may be gone.
            let wanted = primary.filter(|p| self.may_register(p, observed)).map(|p| &p.route_table_ids);
            let all: BTreeSet<String> =
                routes.chain(wanted.into_iter().flatten().map(|t| t.as_str().to_owned())).collect();
            // What was read for anybody's turn is everybody's, so that clusters with one table have their turns together.
            if all.iter().all(|t| self.tables.contains_key(t)) {
                tables.extend(all);
            }
        }
        tables.retain(|t| !observed.route_tables.contains_key(t));
        if !tables.is_empty() {
            if round == 0 {
                let read = tables.iter().filter_map(|t| Some((t.clone(), self.tables.get(t)?.clone())));
                observed.route_tables.extend(read);
                tables.retain(|t| !self.tables.contains_key(t));
            }
            observe::route_tables(ports, &tables, observed).await;
            memory.looked(name, ROUTES, clock.now());
        }
    }
}
