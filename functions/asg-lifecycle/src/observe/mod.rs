//! Looks at the world.

mod etcd;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use domain::spec::Nodes;
use futures_util::future::{join, join_all};
use ports::{
    AutoScaling as _, Class, Commands as _, Group, Instance, InstanceState, Instances as _, LifecycleState,
    NodeTargets as _, PortError, Volumes as _,
};
use reach::asking::{Asker, Keys};
use reach::nodes::Looked;
use runtime::records::RestorePoint;

pub(crate) use self::etcd::item as etcd_item;
use crate::Ports;
use crate::journal::{Journal, Status, Step};
use crate::observed::{Observed, Seen, Targets};
use crate::plan::COMMAND;

/// What the whole fleet was asked together.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// The groups, by name. `Err`: none of them is known.
    pub groups: BTreeMap<String, Seen<Group>>,
    /// The groups' instances.
    pub instances: BTreeMap<String, Seen<Instance>>,
}

/// The groups of these names, and EC2's view of their instances and of `others`.
pub async fn fleet<P: Ports>(ports: &P, names: &BTreeSet<String>, others: &BTreeSet<String>) -> Fleet {
    let list: Vec<String> = names.iter().cloned().collect();
    let groups: BTreeMap<String, Seen<Group>> = if list.is_empty() {
        BTreeMap::new()
    } else {
        match ports.auto_scaling().groups(&list).await {
            Ok(found) => {
                let mut found: BTreeMap<String, Group> = found.into_iter().map(|g| (g.name.clone(), g)).collect();
                let seen = |name: &String| found.remove(name).map_or(Seen::Absent, Seen::Known);
                let mut seen = seen;
                list.iter().map(|name| (name.clone(), seen(name))).collect()
            }
            Err(error) => list.iter().map(|name| (name.clone(), Seen::Unknown(error.to_string()))).collect(),
        }
    };
    let ids = groups.values().filter_map(Seen::known).flat_map(|g| g.instances.iter().map(|i| i.id.clone()));
    let ids: BTreeSet<String> = ids.chain(others.iter().cloned()).collect();
    let instances = instances(ports, &ids).await;
    Fleet { groups, instances }
}

/// One cluster's group and instances, read anew.
pub async fn group<P: Ports>(ports: &P, name: &str, others: &BTreeSet<String>) -> Fleet {
    fleet(ports, &BTreeSet::from([name.to_owned()]), others).await
}

async fn instances<P: Ports>(ports: &P, ids: &BTreeSet<String>) -> BTreeMap<String, Seen<Instance>> {
    let list: Vec<String> = ids.iter().cloned().collect();
    if list.is_empty() {
        return BTreeMap::new();
    }
    let mut found: BTreeMap<String, Instance> = match ports.instances().describe(&list).await {
        Ok(found) => found.into_iter().map(|i| (i.id.clone(), i)).collect(),
        Err(error) => return list.into_iter().map(|id| (id, Seen::Unknown(error.to_string()))).collect(),
    };
    let missing: Vec<&String> = list.iter().filter(|id| !found.contains_key(*id)).collect();
    // Absence from a list is not known until it is read by its id.
    let again = join_all(missing.into_iter().map(|id| async move {
        let seen = match ports.instances().describe(std::slice::from_ref(id)).await {
            Ok(one) => one.into_iter().next().map_or(Seen::Absent, Seen::Known),
            Err(error) => Seen::Unknown(error.to_string()),
        };
        (id.clone(), seen)
    }));
    let mut seen: BTreeMap<String, Seen<Instance>> = again.await.into_iter().collect();
    for id in &list {
        if let Some(instance) = found.remove(id) {
            seen.insert(id.clone(), Seen::Known(instance));
        }
    }
    seen
}

/// What a look takes in beside the group and the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The hooks.
    pub hooks: bool,
    /// Patroni on every running node.
    pub patroni: bool,
    /// etcd on every running node.
    pub etcd: bool,
    /// The target groups.
    pub targets: bool,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self { hooks: true, patroni: true, etcd: true, targets: true };
}

/// One cluster, as far as `scope` says. `others`: instances beside the group's that something is still to be known of.
pub async fn cluster<P: Ports>(
    ports: &P,
    nodes: &Nodes,
    keys: &Keys,
    journals: &[Journal],
    others: BTreeSet<String>,
    fleet: &Fleet,
    scope: Scope,
) -> Observed {
    let asg = nodes.asg.as_str();
    let mut seen = Observed { group: fleet.groups.get(asg).cloned().unwrap_or_default(), ..Observed::default() };
    let in_group = seen.group.known().map(|g| g.instances.iter().map(|i| i.id.clone()).collect::<BTreeSet<_>>());
    let open = journals.iter().filter(|j| j.closed.is_none()).map(|j| j.instance.clone());
    // Nobody else's address is ever asked of a gateway.
    let asked: BTreeSet<String> = in_group.unwrap_or_default().into_iter().chain(open).collect();
    let ids: BTreeSet<String> = asked.iter().cloned().chain(others).collect();
    for id in &ids {
        seen.instances.insert(id.clone(), fleet.instances.get(id).cloned().unwrap_or_default());
    }
    let running: BTreeMap<String, Ipv4Addr> = seen
        .instances
        .iter()
        .filter(|(id, _)| asked.contains(*id))
        .filter_map(|(id, instance)| {
            let instance = instance.known().filter(|i| i.state == InstanceState::Running)?;
            Some((id.clone(), instance.address?))
        })
        .collect();
    let asker = Asker::of(ports, nodes, keys);
    let looks = async {
        if scope.patroni {
            let Looked { topologies, postgres, settings } = reach::nodes::look(&asker, nodes, &running).await;
            seen = Observed { topologies, postgres, settings, ..seen };
        }
        if scope.etcd && nodes.etcd.is_some() {
            etcd::look(&asker, nodes, &running, &mut seen).await;
        }
        seen.asked = running.keys().cloned().collect();
        seen
    };
    let others = async {
        let hooks = async {
            if !scope.hooks {
                return Seen::NotAsked;
            }
            match ports.auto_scaling().hooks(asg).await {
                Ok(hooks) => Seen::Known(hooks),
                Err(error) => Seen::Unknown(error.to_string()),
            }
        };
        let groups = async {
            if !scope.targets {
                return BTreeMap::new();
            }
            let arns = nodes.target_groups.iter().map(|group| group.arn.as_str());
            join_all(arns.map(|arn| async move { (arn.to_owned(), targets(ports, arn).await) }))
                .await
                .into_iter()
                .collect()
        };
        let commands = join_all(journals.iter().filter_map(command).map(|(instance, id)| async move {
            let seen = match ports.commands().state(&instance, &id).await {
                Ok(state) => Seen::Known(state),
                Err(error) if error.class == Class::NotFound => Seen::Absent,
                Err(error) => Seen::Unknown(error.to_string()),
            };
            (instance, seen)
        }));
        (hooks.await, groups.await, commands.await)
    };
    let (mut seen, (hooks, targets, commands)) = join(looks, others).await;
    seen.hooks = hooks;
    seen.targets = targets;
    seen.commands = commands.into_iter().collect();
    seen
}

/// Whether the cluster has had data that somebody kept.
pub async fn restore_points<P: Ports>(ports: &P, cluster: &str, seen: &mut Observed) {
    seen.has_restore_points = match RestorePoint::any(ports.table(), cluster).await {
        Ok(any) => Seen::Known(any),
        Err(error) => Seen::Unknown(error.to_string()),
    };
}

/// The restore points that a new node's volumes can be made from, and the volumes that were made.
pub async fn volumes<P: Ports>(ports: &P, cluster: &str, region: &str, journals: &[Journal], seen: &mut Observed) {
    let group = seen.group.known().map(|g| g.instances.as_slice()).unwrap_or_default();
    let waits = group.iter().filter(|i| i.state == LifecycleState::PendingWait).map(|i| i.id.clone());
    let open = journals.iter().filter(|j| j.closed.is_none()).map(|j| j.instance.clone());
    let moving: BTreeSet<String> = waits.chain(open).collect();
    if moving.is_empty() {
        return;
    }
    seen.restore_points = match RestorePoint::good(ports.table(), cluster, region).await {
        Ok(points) if points.is_empty() => Seen::Absent,
        Ok(points) => Seen::Known(points),
        Err(error) => Seen::Unknown(error.to_string()),
    };
    let asked_for = |id: &String| journals.iter().any(|j| j.instance == *id && j.restore_set.is_some());
    let none_yet = seen.restore_points == Seen::Absent;
    let made = join_all(moving.into_iter().filter(|id| !none_yet || asked_for(id)).map(|id| async move {
        let volumes = match ports.volumes().of(&id).await {
            Ok(volumes) => Seen::Known(volumes),
            Err(error) => Seen::Unknown(error.to_string()),
        };
        (id, volumes)
    }));
    seen.volumes = made.await.into_iter().collect();
}

async fn targets<P: Ports>(ports: &P, arn: &str) -> Seen<Targets> {
    let read = async {
        let group = ports.node_targets().describe(arn).await?;
        let targets = ports.node_targets().targets(arn).await?;
        Ok::<_, PortError>(Targets { group, targets })
    };
    match read.await {
        Ok(targets) => Seen::Known(targets),
        Err(error) if error.class == Class::NotFound => Seen::Absent,
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

/// The command by which an action's node was told to stop, while its end is not known.
fn command(journal: &Journal) -> Option<(String, String)> {
    let record = journal.steps.get(&Step::Stop).filter(|record| record.status == Status::Begun)?;
    let id = record.evidence.strip_prefix(COMMAND)?;
    (journal.closed.is_none()).then(|| (journal.instance.clone(), id.to_owned()))
}
