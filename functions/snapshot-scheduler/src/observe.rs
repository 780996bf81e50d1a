//! Looks at the world, as far as a plan asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use domain::spec::Nodes;
use futures_util::future::{join, join_all};
use ports::{
    AutoScaling as _, Class, Commands as _, EncryptionKeys as _, Instance, InstanceState, Instances as _,
    LifecycleState, PortError, Snapshot, Snapshots as _,
};
use reach::asking::{Asker, Keys};
use reach::nodes::{Seen, look};
use runtime::records::RestorePoint;

use crate::Ports;
use crate::observed::{Observed, Questions};
use crate::sets;

/// Whose snapshots are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// Which control plane this is.
    pub deployment: &'a str,
    /// The cluster.
    pub cluster: &'a str,
    /// Its nodes.
    pub nodes: Option<&'a Nodes>,
}

/// Answers what is asked, as far as it can be.
pub async fn observe<P: Ports>(
    ports: &P,
    whose: Whose<'_>,
    points: &[RestorePoint],
    questions: &Questions,
    seen: &mut Observed,
) {
    let new = questions.regions.iter().filter(|region| !seen.listed.contains_key(*region));
    let regions = join_all(new.map(|region| async move { (region.clone(), list(ports, whose, points, region).await) }));
    let keys = join_all(questions.keys.iter().filter(|key| !seen.keys.contains_key(*key)).map(|key| async move {
        let known = match ports.keys().describe(&key.0, &key.1).await {
            Ok(known) => Seen::Known(known),
            Err(error) if error.class == Class::NotFound => Seen::Absent,
            Err(error) => Seen::Unknown(error.to_string()),
        };
        (key.clone(), known)
    }));
    let bound = join_all(questions.bound.iter().map(|(region, ids)| async move {
        let ids: Vec<String> = ids.iter().cloned().collect();
        (region.clone(), seen_of(ports.snapshots().bound(region, &ids).await))
    }));
    let unshared = questions.shared.iter().filter(|id| !seen.shared.contains_key(*id));
    let shared =
        join_all(unshared.map(|id| async move { (id.clone(), seen_of(ports.snapshots().shared_with("", id).await)) }));
    let ((regions, keys), (bound, shared)) = join(join(regions, keys), join(bound, shared)).await;
    for (region, (listed, gone)) in regions {
        seen.listed.insert(region, listed);
        seen.gone.extend(gone);
    }
    seen.keys.extend(keys);
    seen.bound.extend(bound);
    seen.shared.extend(shared);
    if let Some(instance) = questions.disks.as_ref().filter(|instance| !seen.disks.contains_key(*instance)) {
        let disks = seen_of(ports.snapshots().disks(instance).await);
        seen.disks.insert(instance.clone(), disks);
    }
    if let Some((instance, command)) = questions.survey.as_ref().filter(|(_, id)| !seen.surveys.contains_key(id)) {
        let state = seen_of(ports.commands().state(instance, command).await);
        seen.surveys.insert(command.clone(), state);
    }
    if let Some(nodes) = whose.nodes.filter(|_| questions.nodes && seen.group == Seen::NotAsked) {
        group(ports, nodes, seen).await;
    }
}

fn seen_of<T>(result: Result<T, PortError>) -> Seen<T> {
    match result {
        Ok(value) => Seen::Known(value),
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

/// The snapshots of a Region with the cluster's tags, and those that the records name; and which of these EC2 does not know by
/// their ids: what is absent from a list alone is not known to be gone.
async fn list<P: Ports>(
    ports: &P,
    whose: Whose<'_>,
    points: &[RestorePoint],
    region: &str,
) -> (Seen<Vec<Snapshot>>, BTreeSet<String>) {
    let tags = [
        (sets::DEPLOYMENT.to_owned(), whose.deployment.to_owned()),
        (sets::CLUSTER.to_owned(), whose.cluster.to_owned()),
    ];
    let mut listed = match ports.snapshots().tagged(region, &tags).await {
        Ok(listed) => listed,
        Err(error) => return (Seen::Unknown(error.to_string()), BTreeSet::new()),
    };
    let named = points.iter().filter(|p| p.region == region).flat_map(|p| p.members.values().map(|m| &m.snapshot));
    let missing: BTreeSet<String> =
        named.filter(|id| !id.is_empty() && !listed.iter().any(|s| s.id == **id)).cloned().collect();
    if missing.is_empty() {
        return (Seen::Known(listed), BTreeSet::new());
    }
    let ids: Vec<String> = missing.iter().cloned().collect();
    match ports.snapshots().describe(region, &ids).await {
        Ok(found) => {
            let gone = missing.into_iter().filter(|id| !found.iter().any(|s| s.id == *id)).collect();
            listed.extend(found);
            (Seen::Known(listed), gone)
        }
        Err(error) => (Seen::Unknown(error.to_string()), BTreeSet::new()),
    }
}

async fn group<P: Ports>(ports: &P, nodes: &Nodes, seen: &mut Observed) {
    let asg = nodes.asg.as_str();
    seen.group = match ports.auto_scaling().groups(&[asg.to_owned()]).await {
        Ok(groups) => groups.into_iter().find(|group| group.name == asg).map_or(Seen::Absent, Seen::Known),
        Err(error) => Seen::Unknown(error.to_string()),
    };
    let Seen::Known(group) = &seen.group else { return };
    let ids: Vec<String> = group
        .instances
        .iter()
        .filter(|instance| instance.state == LifecycleState::InService)
        .map(|instance| instance.id.clone())
        .collect();
    if ids.is_empty() {
        return;
    }
    let instances: Vec<Instance> = match ports.instances().describe(&ids).await {
        Ok(instances) => instances,
        Err(error) => {
            seen.group = Seen::Unknown(error.to_string());
            return;
        }
    };
    seen.instances = instances.into_iter().map(|instance| (instance.id.clone(), instance)).collect();
    let running: BTreeMap<String, Ipv4Addr> = seen
        .instances
        .values()
        .filter(|instance| instance.state == InstanceState::Running)
        .filter_map(|instance| Some((instance.id.clone(), instance.address?)))
        .collect();
    let keys = Keys::of_patroni(ports, nodes).await;
    let asker = Asker::of(ports, nodes, &keys);
    seen.looked = look(&asker, nodes, &running).await;
}
