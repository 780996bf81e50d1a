//! Passes over the world, as the function makes them.

use domain::reason::Reason;
use domain::spec::{ClusterSpec, validate};
use jiff::SignedDuration;
use peering_watcher::action::Action;
use peering_watcher::check::check;
use peering_watcher::observed::{Heard, Observed, Probe, Seen, Trouble};
use peering_watcher::plan::desired::Times;
use peering_watcher::plan::peerings::usable;
use peering_watcher::plan::proof;
use peering_watcher::plan::routes::OtherClusters;
use peering_watcher::plan::{Plan, View, plan};
use ports::{Health, NameAnswer, Peering, PeeringState, Route, RouteState, TargetHealth};

use super::{World, to};

impl World {
    /// A pass this many seconds after the last one. Gives what was done, as reports print it.
    pub(crate) fn pass_after(&mut self, seconds: i64) -> Vec<String> {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        self.pass()
    }

    pub(crate) fn pass(&mut self) -> Vec<String> {
        self.look_and_act(false)
    }

    /// A pass in which everything is looked at, as each settled cluster is once a minute.
    pub(crate) fn turn(&mut self) -> Vec<String> {
        self.look_and_act(true)
    }

    fn look_and_act(&mut self, everywhere: bool) -> Vec<String> {
        (self.done, self.transitions) = (Vec::new(), Vec::new());
        self.agreed = self.state.agreeing;
        let spec = self.read_spec();
        let mut times = Times { asked: self.now, now: self.now };
        let mut observed = self.observe_peerings_and_names(&spec);
        self.probe(&spec, everywhere, &mut observed);
        for round in 0..4 {
            times.now = times.now.checked_add(SignedDuration::from_millis(200)).unwrap();
            let draft = self.planned(&spec, &observed, times);
            self.look(&draft, everywhere && round == 0, &mut observed);
            let planned = self.planned(&spec, &observed, times);
            self.hold_what_every_plan_must(&spec, &planned, &observed, times);
            self.state = serde_json::from_value(serde_json::to_value(&planned.state).unwrap()).unwrap();
            assert_eq!(self.state, planned.state, "the state survives being stored");
            self.acknowledged.retain(|what| !planned.used.contains(what));
            let told = |t: &domain::condition::Transition| format!("{} {} {}", t.kind.name(), t.to.status, t.to.reason);
            self.transitions.extend(planned.transitions.iter().map(told));
            let actions = planned.actions.clone();
            self.plan = planned;
            for action in &actions {
                self.carry_out(action);
                match action {
                    Action::RegisterTarget { arn, .. } | Action::DeregisterTarget { arn, .. } => {
                        observed.targets.remove(arn);
                    }
                    Action::CreateRoute { table, .. }
                    | Action::ReplaceRoute { table, .. }
                    | Action::DeleteRoute { table, .. } => {
                        observed.route_tables.remove(table);
                    }
                }
            }
            self.done.extend(actions.iter().cloned());
            if actions.is_empty() || self.calls_fail {
                break;
            }
        }
        self.now = times.now;
        self.done.iter().map(told).collect()
    }

    pub(crate) fn read_spec(&self) -> ClusterSpec {
        validate(&self.spec).expect("the test's spec is valid")
    }

    fn observe_peerings_and_names(&self, spec: &ClusterSpec) -> Observed {
        let mut observed = Observed::default();
        let Some(primary) = spec.primary.as_ref().filter(|_| !self.deleted) else { return observed };
        observed.replacements = self.replacements.clone();
        for connection in &primary.peerings {
            let id = connection.connection_id.as_str();
            observed.peerings.insert(id.to_owned(), self.peerings.get(id).cloned().unwrap_or(Seen::Absent));
        }
        let active = |p: &Seen<Peering>| p.known().is_some_and(|p| p.state == PeeringState::Active);
        if observed.peerings.values().any(active) {
            for endpoint in &primary.endpoints {
                let arn = endpoint.target_group_arn.as_str().to_owned();
                if let Some(trouble) = self.no_gateway.as_ref().filter(|_| primary.gateway_function.is_some()) {
                    observed.names.insert(arn, Heard::NoGateway(trouble.clone()));
                    continue;
                }
                let host = endpoint.host.as_str();
                let said = match endpoint.host.literal() {
                    Some(address) => NameAnswer::Addresses { addresses: vec![address], ttl: std::time::Duration::ZERO },
                    None => self.dns.get(host).cloned().unwrap_or(NameAnswer::NxDomain),
                };
                observed.names.insert(arn, Heard::Answer(said));
            }
        }
        observed
    }

    /// The probes that the function would make.
    fn probe(&mut self, spec: &ClusterSpec, due: bool, observed: &mut Observed) {
        self.probed = Vec::new();
        let Some(primary) = spec.primary.as_ref().filter(|p| !self.deleted && p.gateway_function.is_some()) else {
            return;
        };
        let usable = usable(primary, observed, self.now);
        let memories = &self.state.endpoints;
        let wanted = primary.endpoints.iter().flat_map(|e| {
            proof::wanted(e, memories.get(e.target_group_arn.as_str()), observed, &usable, due, self.now)
        });
        for target in wanted.collect::<Vec<_>>() {
            let silent = || Trouble { reason: Reason::ProbeTimedOut, message: "no answer".to_owned() };
            let found = match &self.no_gateway {
                Some(trouble) => Probe::Nothing(trouble.clone()),
                None => self.servers.get(&target).cloned().unwrap_or_else(|| Probe::Nothing(silent())),
            };
            observed.probes.insert(target, found);
            self.probed.push(target.to_string());
        }
    }

    fn look(&self, draft: &Plan, everywhere: bool, observed: &mut Observed) {
        let groups = self.groups.iter().filter(|(arn, _)| everywhere || draft.look_at_groups.contains(*arn));
        for (arn, group) in groups.filter(|_| !self.budget_spent) {
            let targets = match (&group.unreadable, &group.facts) {
                (Some(error), _) => Seen::Unknown(error.clone()),
                (None, Seen::Absent) => Seen::Absent,
                (None, _) => Seen::Known(
                    group
                        .targets
                        .iter()
                        .map(|(target, (health, reason))| TargetHealth {
                            target: *target,
                            health: *health,
                            reason: reason.clone(),
                        })
                        .collect(),
                ),
            };
            observed.groups.insert(arn.clone(), group.facts.clone());
            observed.targets.insert(arn.clone(), targets);
        }
        for (id, table) in &self.tables {
            if everywhere || draft.look_at_tables.contains(id) {
                observed.route_tables.insert(id.clone(), table.clone());
            }
        }
        for id in &draft.look_at_tables {
            observed.route_tables.entry(id.clone()).or_insert(Seen::Absent);
        }
    }

    fn planned(&self, spec: &ClusterSpec, observed: &Observed, times: Times) -> Plan {
        let view = View {
            name: &self.cluster,
            generation: self.generation,
            primary: spec.primary.as_ref().filter(|_| !self.deleted),
            state: &self.state,
            agreed: self.agreed,
            acknowledged: &self.acknowledged,
            others: OtherClusters { cluster: &self.cluster, fleet: &self.others },
            held: self.held,
            brake_holds: self.brake_holds,
        };
        plan(&view, observed, times)
    }

    fn hold_what_every_plan_must(&self, spec: &ClusterSpec, planned: &Plan, observed: &Observed, times: Times) {
        assert_eq!(*planned, self.planned(spec, observed, times), "the same view gives the same plan");
        let others = OtherClusters { cluster: &self.cluster, fleet: &self.others };
        assert_eq!(check(planned, &self.state, observed, others, self.now), [], "the safety gate has no objection");
        for (at, action) in planned.actions.iter().enumerate() {
            assert!(!planned.actions[..at].contains(action), "nothing is done twice: {action:?}");
            let on_record = match action {
                Action::RegisterTarget { arn, target, .. } | Action::DeregisterTarget { arn, target, .. } => {
                    planned.state.endpoints[arn].owned.iter().any(|o| o.target == *target)
                }
                Action::CreateRoute { table, destination, .. }
                | Action::ReplaceRoute { table, destination, .. }
                | Action::DeleteRoute { table, destination, .. } => {
                    planned.state.routes.iter().any(|m| m.table == *table && m.destination == *destination)
                }
            };
            assert!(on_record, "what is done is on record first: {action:?}");
        }
        let registers = |a: &Action| matches!(a, Action::RegisterTarget { .. });
        let deregisters = |a: &Action| matches!(a, Action::DeregisterTarget { .. });
        let last = planned.actions.iter().rposition(registers);
        let first = planned.actions.iter().position(deregisters);
        assert!(first.is_none_or(|first| last.is_none_or(|last| last < first)), "registrations come first");
    }

    fn carry_out(&mut self, action: &Action) {
        if self.calls_fail {
            return;
        }
        match action {
            Action::RegisterTarget { arn, target, .. } => {
                let reason = "Elb.InitialHealthChecking".to_owned();
                self.group(arn).targets.insert(*target, (Health::Initial, reason));
            }
            Action::DeregisterTarget { arn, target, .. } => {
                let draining = (Health::Draining, "Target.DeregistrationInProgress".to_owned());
                self.group(arn).targets.insert(*target, draining).expect("what is deregistered was there");
            }
            Action::CreateRoute { table, destination, connection } => {
                let routes = self.routes(table);
                assert!(routes.iter().all(|r| r.destination != *destination), "EC2 refuses a second {destination}");
                routes.push(Route { destination: *destination, target: to(connection), state: RouteState::Active });
            }
            Action::ReplaceRoute { table, destination, connection, from } => {
                let routes = self.routes(table);
                let route = routes.iter_mut().find(|r| r.destination == *destination).unwrap();
                assert_eq!(route.target, to(from));
                (route.target, route.state) = (to(connection), RouteState::Active);
            }
            Action::DeleteRoute { table, destination, connection } => {
                self.routes(table).retain(|r| r.destination != *destination || r.target != to(connection));
            }
        }
    }
}

pub(super) fn told(action: &Action) -> String {
    format!("{} {}", action.name(), action.on())
}
