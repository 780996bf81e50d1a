//! The invariants, one call at a time.

use ports::{HookResult, LifecycleAction, LifecycleState, NodeTarget, Transition};
use reach::gateway::Verb;
use sim::{Happened, MemberTruth, NodeCall, NodeTruth, Record, State};

use super::{Oracle, cluster, leaves, runs};
use crate::layout::{GROUP, LAUNCH, TERMINATE, arn};

impl Oracle {
    pub(super) fn judge(&mut self, state: &State, record: &Record) {
        match &record.happened {
            Happened::ScalingGroupsRead(groups) if record.answered => {
                let retains = groups.iter().any(|group| group.name == GROUP && group.retains);
                self.retains.insert(record.process.to_string(), retains);
            }
            Happened::HookAnswered { action, result, transition } => {
                self.hook_answered(state, record, action, *result, *transition);
            }
            Happened::Heartbeat(action) => self.our_hook(action),
            Happened::InstanceEnded(instance, was) => {
                self.locked(state, record);
                self.count("retained nodes ended");
                if *was != LifecycleState::TerminatingRetained {
                    self.violate("L8", format!("{instance} is ended by name, and is {was:?}"));
                }
                self.ends(state, instance, "TerminateInstanceInAutoScalingGroup");
            }
            Happened::Tagged { instance, key, value, before } if key == "pilothouse:start" => {
                self.granted(state, instance, value, before.as_deref());
            }
            Happened::CommandSent { instance, .. } => {
                self.locked(state, record);
                self.count("stops");
                if !leaves(state, instance) && self.stayed(instance) {
                    self.violate("L4", format!("{instance} is stopped, and does not leave"));
                }
                self.leads_still(state, instance, "L3", "is stopped while it leads");
            }
            Happened::NodeDeregistered(arn, target, true) => {
                self.locked(state, record);
                self.count("deregistrations");
                if let Some(instance) = self.behind(state, target)
                    && !leaves(state, &instance)
                    && state.lifecycle_state(&instance) == Some(LifecycleState::InService)
                {
                    self.violate("targets", format!("{instance} is taken out of {arn}, and does not leave"));
                }
            }
            Happened::NodeRegistered(arn, target, true) => {
                self.count("registrations");
                if let Some(instance) = self.behind(state, target)
                    && leaves(state, &instance)
                    && !self.stayed(&instance)
                {
                    self.violate("targets", format!("{instance} leaves, and is put into {arn}"));
                }
            }
            _ => {}
        }
        let calls: Vec<NodeCall> = self.calls(record).cloned().collect();
        for call in calls {
            match call {
                NodeCall::Read { .. } => {}
                NodeCall::Switchover { leader, candidate, before, .. } => {
                    self.locked(state, record);
                    self.count("switchovers asked");
                    self.switchover(state, &leader, &candidate, &before);
                }
                NodeCall::Reinitialize { instance, refused, before } => {
                    self.locked(state, record);
                    self.copies(&instance, refused.as_deref(), &before);
                }
                NodeCall::Members { verb, member, refused, before, .. } => {
                    self.locked(state, record);
                    if refused.is_none() {
                        self.members(state, verb, &member, &before);
                    }
                }
            }
        }
    }

    fn behind(&self, state: &State, target: &NodeTarget) -> Option<String> {
        let Ok(address) = target.id.parse::<std::net::Ipv4Addr>() else { return Some(target.id.clone()) };
        cluster(state).nodes().into_iter().find(|n| n.address == address).map(|n| n.instance)
    }

    fn stayed(&self, instance: &str) -> bool {
        self.nodes.get(instance).is_some_and(|known| self.recent(known.stayed))
    }

    fn our_hook(&mut self, action: &LifecycleAction) {
        if ![LAUNCH, TERMINATE].contains(&action.hook.as_str()) {
            self.violate("L6", format!("the hook {} is not the spec's", action.hook));
        }
    }

    /// A node that leads for longer than a read can be old.
    fn leads_still(&mut self, state: &State, instance: &str, invariant: &'static str, what: &str) {
        let nodes = cluster(state).nodes();
        let leads = nodes.iter().any(|n| n.instance == instance && (n.leads || n.writable) && n.postgres);
        let since = self.nodes.get(instance).and_then(|known| known.leads_since);
        let old = since.zip(self.now).is_some_and(|(since, now)| now.duration_since(since) > super::READ);
        // The last of all is stopped although it leads, where that was asked for.
        let last = self.decommission && nodes.iter().filter(|n| n.postgres).count() <= 1;
        if leads && old && !last {
            self.violate(invariant, format!("{instance} {what}"));
        } else if leads && !last {
            self.count("elected while it was being taken out");
        }
    }

    /// L1: what an answer of ours ends.
    fn ends(&mut self, state: &State, instance: &str, what: &str) {
        if !runs(state, instance) {
            return;
        }
        self.leads_still(state, instance, "L1", &format!("leads, and is ended by {what}"));
        for role in ["writer", "reader"] {
            if state.registered_nodes(&arn(role)).iter().any(|id| id == instance) {
                self.violate("L1", format!("{instance} serves in the {role}'s target group, and is ended by {what}"));
            }
        }
        let address = state.instance(instance).and_then(|i| i.address);
        let members = cluster(state).members();
        let voters = members.iter().filter(|m| !m.learner).count();
        let votes = members.iter().any(|m| Some(m.address) == address && !m.learner);
        if votes && !(self.decommission && voters <= 2) {
            self.violate("L1", format!("{instance} is an etcd voter, and is ended by {what}"));
        }
        let lost = cluster(state).lost_without(instance);
        let last = self.decommission && cluster(state).nodes().iter().filter(|n| n.postgres).count() == 0;
        if lost > 0 && !last {
            self.violate(
                "writes",
                format!("{lost} acknowledged bytes are on {instance} alone, which is ended by {what}"),
            );
        }
    }

    fn hook_answered(
        &mut self,
        state: &State,
        record: &Record,
        action: &LifecycleAction,
        result: HookResult,
        transition: Transition,
    ) {
        let instance = &action.instance;
        self.our_hook(action);
        self.answered.push((instance.clone(), action.hook.clone()));
        let what = format!("{} of {transition:?}", result.word());
        match (transition, result) {
            (Transition::Launch, HookResult::Continue) => {
                self.count("launches continued");
                let near = self.nodes.get(instance).is_some_and(|known| self.recent(known.near));
                if !near && runs(state, instance) {
                    self.violate("L5", format!("{instance} goes into service and is not near the leader"));
                }
            }
            (Transition::Launch, HookResult::Abandon) => {
                self.count("launches abandoned");
                self.locked(state, record);
                self.ends(state, instance, &what);
                // For as long as a read can be old it may have stood still when it was looked at.
                let advanced = self.nodes.get(instance).is_some_and(|known| {
                    let long = known.advances_since.is_some_and(|since| !self.recent(Some(since)));
                    long && self.recent(known.advanced)
                });
                if advanced && runs(state, instance) {
                    self.violate("L5", format!("{instance} is abandoned, and its replay advances"));
                }
            }
            (Transition::Terminate, HookResult::Continue) => {
                self.count("terminations continued");
                self.locked(state, record);
                self.ends(state, instance, &what);
            }
            (Transition::Terminate, HookResult::Abandon) => {
                self.count("terminations refused");
                self.locked(state, record);
                if !self.retains.get(&*record.process).copied().unwrap_or_default() {
                    self.violate("L1", format!("{instance} is abandoned without the retain policy"));
                }
                if !state.scaling_group(GROUP).is_some_and(|group| group.retains) {
                    self.ends(state, instance, &what);
                }
                let group = state.scaling_group_now(GROUP);
                let retained = group.into_iter().flat_map(|g| g.instances);
                let other = retained
                    .filter(|i| i.state == LifecycleState::TerminatingRetained && i.id != *instance)
                    .map(|i| i.id);
                if let Some(other) = other.into_iter().next() {
                    self.violate("L8", format!("{instance} is retained beside {other}"));
                }
                self.retained_by_us.insert(instance.clone());
            }
        }
    }

    fn switchover(&mut self, state: &State, leader: &str, candidate: &str, before: &[NodeTruth]) {
        let instance = |name: &str| before.iter().find(|n| n.name == name).map(|n| n.instance.clone());
        match instance(candidate) {
            Some(id) if self.nodes.get(&id).is_some_and(|known| self.recent(known.candidate)) => {}
            Some(id) => self.violate("L3", format!("{candidate} ({id}) is no candidate")),
            None => self.count("candidates that had just died"),
        }
        if let Some(id) = instance(leader)
            && !leaves(state, &id)
        {
            self.violate("L3", format!("{leader} ({id}) does not leave, and is to hand over"));
        }
    }

    fn members(&mut self, state: &State, verb: Verb, id: &str, before: &[MemberTruth]) {
        match verb {
            Verb::EtcdRemove => {
                let Some(member) = before.iter().find(|m| m.id == id) else { return };
                let nodes = cluster(state).nodes();
                let instance = nodes.iter().find(|n| n.address == member.address).map(|n| n.instance.clone());
                let stays =
                    instance.as_ref().is_some_and(|i| state.lifecycle_state(i) == Some(LifecycleState::InService));
                // A learner whose etcd does not come up makes room for another's.
                if stays && (member.alive || !member.learner) {
                    self.violate("L2", format!("the member {id} of {instance:?} is removed, which stays"));
                }
                if member.learner || !member.alive {
                    self.count("dead members and learners removed");
                    return;
                }
                self.count("live voters removed");
                let others: Vec<&MemberTruth> = before.iter().filter(|m| !m.learner && m.id != id).collect();
                let last_two = self.decommission && others.len() <= 1;
                let least = self.voters.saturating_sub(1).max(2);
                if last_two {
                    return;
                }
                if others.iter().any(|m| !m.started || !m.alive) {
                    self.violate("L2", format!("{id} is removed while another voter is not up: {before:?}"));
                }
                if others.len() < least {
                    self.violate("L2", format!("{id} is removed and leaves {} voters", others.len()));
                }
                if !self.whole {
                    self.violate("L2", format!("{id} is removed before the voters were whole again"));
                }
                self.whole = false;
            }
            Verb::EtcdAddLearner => self.count("learners added"),
            Verb::EtcdPromote => self.count("learners promoted"),
            _ => self.count("etcd leaderships moved"),
        }
    }

    fn granted(&mut self, state: &State, instance: &str, value: &str, before: Option<&str>) {
        // A grant is taken back from a node that is stopped, so that its machine may start once more and nothing on it does.
        if value == "leave" {
            return self.count("grants taken back");
        }
        self.count("grants");
        if before.is_some_and(|before| before != value) {
            self.violate("L9", format!("{instance} is granted {value} after {before:?}"));
        }
        let members = cluster(state).members();
        if value == "join" && before.is_none() {
            self.has_its_volumes(state, instance);
        }
        if value == "bootstrap" && (cluster(state).initialized() || !members.is_empty()) && before.is_none() {
            self.violate("L9", format!("{instance} is to bootstrap where there is a cluster"));
        }
    }
}
