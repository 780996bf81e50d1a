//! A node's data volumes: from the newest good restore point, so that terabytes need not be copied from the leader. Made for
//! this node and for no other, in its own zone, so that no two launches ever reach for one volume, and none that another node
//! still holds.

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::nodes::VolumeSource;
use jiff::SignedDuration;
use ports::{NewVolume, Volume, VolumeState};
use runtime::records::RestorePoint;

use crate::action::Action;
use crate::journal::{Journal, Status, Step};
use crate::observed::Seen;
use crate::plan::digest::{Node, Up};
use crate::plan::{Context, Verdict};

/// `None`: the volumes are there, or none are wanted.
pub(super) fn volumes(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal) -> Option<Verdict> {
    if journal.is_over(Step::Volumes) {
        return None;
    }
    if journal.status(Step::Volumes) == Some(Status::Failed) {
        return give_up(context, node, journal);
    }
    // What was begun is taken back before the node goes on without.
    let without = |journal: &mut Journal, why: &str| {
        if journal.restore_set.is_none() {
            journal.end(Step::Volumes, Status::Skipped, context.now, why);
            return None;
        }
        journal.end(Step::Volumes, Status::Failed, context.now, why);
        give_up(context, node, journal)
    };
    if context.nodes.volumes.source == VolumeSource::None {
        return without(journal, "the spec asks for none");
    }
    let points = match &context.seen.restore_points {
        Seen::Known(points) => points.as_slice(),
        Seen::Absent => &[],
        Seen::Unknown(why) => {
            return Some(Verdict::Wait(Finding::unknown(Reason::RestorePointUnreadable, why.clone())));
        }
        Seen::NotAsked => {
            let why = "the restore points were not read".to_owned();
            return Some(Verdict::Wait(Finding::unknown(Reason::RestorePointUnreadable, why)));
        }
    };
    // A point that becomes the newest in the middle of a launch must not mix with the one that it began with.
    let chosen = match &journal.restore_set {
        Some(set) => points.iter().find(|point| point.set == *set),
        None => points.first(),
    };
    let Some(point) = chosen else {
        let gone = journal.restore_set.as_ref().map(|gone| format!("the restore point {gone} is no longer there"));
        return without(journal, gone.as_deref().unwrap_or(NONE_YET));
    };
    let devices: Vec<&str> = context.nodes.volumes.devices.iter().map(|device| device.as_str()).collect();
    if let Some(missing) = devices.iter().find(|device| !point.members.contains_key(**device)) {
        return without(
            journal,
            &format!("the restore point {} has no {missing}: the node copies from the leader", point.set),
        );
    }
    let made = match context.seen.volumes.get(node.id) {
        Some(Seen::Known(made)) => made,
        Some(Seen::Absent) => &Vec::new(),
        Some(Seen::Unknown(why)) => {
            return Some(Verdict::Wait(Finding::unknown(Reason::VolumesUnreadable, why.clone())));
        }
        Some(Seen::NotAsked) | None => {
            let why = "the volumes were not read".to_owned();
            return Some(Verdict::Wait(Finding::unknown(Reason::VolumesUnreadable, why)));
        }
    };
    let begun = journal.steps.get(&Step::Volumes).map(|record| record.first_at);
    if begun.is_some_and(|at| context.now.duration_since(at) > PATIENCE) {
        let why = format!("no volumes from {} within {} s", point.set, PATIENCE.as_secs());
        journal.end(Step::Volumes, Status::Failed, context.now, why);
        return give_up(context, node, journal);
    }
    if made.iter().any(|volume| volume.state == VolumeState::Error) {
        let why = format!("EC2 could not make a volume from {}", point.set);
        journal.end(Step::Volumes, Status::Failed, context.now, why);
        return give_up(context, node, journal);
    }
    journal.restore_set = Some(point.set.clone());
    journal.volume_ids = made.iter().map(|volume| volume.id.clone()).collect();
    let (mut wanted, mut waits) = (Vec::new(), Vec::new());
    for device in devices {
        let volume = made.iter().find(|v| v.device == device && v.state != VolumeState::Gone);
        match next(context, node, journal, point, device, volume) {
            Next::Ready => {}
            Next::Act(action) => wanted.push(action),
            Next::Wait(message) => waits.push(message),
        }
    }
    if !wanted.is_empty() {
        let what =
            wanted.iter().map(|action| format!("{} {}", action.name(), action.on())).collect::<Vec<_>>().join(", ");
        // What was asked for a moment ago may not show yet.
        let tried = journal.steps.get(&Step::Volumes).filter(|record| record.evidence == what);
        if tried.is_some_and(|record| context.now.duration_since(record.last_at) < super::super::ANSWER_LAG) {
            return Some(Verdict::wait(Reason::MakingVolumes, what));
        }
        journal.begin(Step::Volumes, context.now, what);
        return Some(Verdict::Act(wanted));
    }
    if !waits.is_empty() {
        return Some(Verdict::wait(Reason::MakingVolumes, waits.join(", ")));
    }
    journal.end(Step::Volumes, Status::Done, context.now, format!("from the restore point {}", point.set));
    None
}

/// How long volumes may take. They are there within seconds; the data comes as it is read.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

/// Volumes that cannot be had are no reason to keep a node waiting: it copies from the leader. With some of them attached it
/// would hold half a cluster's data, and is better replaced.
fn give_up(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal) -> Option<Verdict> {
    let why = journal.steps.get(&Step::Volumes).map(|record| record.evidence.clone()).unwrap_or_default();
    let made = context.seen.volumes.get(node.id).and_then(Seen::known);
    if made.is_some_and(|made| made.iter().any(|volume| volume.state == VolumeState::InUse)) {
        let message = format!("{}: {why}, and others are attached already", node.id);
        journal.end(Step::Follow, Status::Failed, context.now, message.clone());
        return Some(Verdict::Failed(Finding::no(Reason::NodeNotReady, message)));
    }
    match left_over(context, node, journal) {
        Some(verdict) => Some(verdict),
        None => {
            journal.end(Step::Volumes, Status::Skipped, context.now, format!("{why}: the node copies from the leader"));
            None
        }
    }
}

const NONE_YET: &str = "there is no good restore point in this Region: the node copies from the leader";

enum Next {
    Ready,
    Act(Action),
    Wait(String),
}

fn next(
    context: &Context<'_>,
    node: &Node<'_>,
    journal: &Journal,
    point: &RestorePoint,
    device: &str,
    volume: Option<&Volume>,
) -> Next {
    let instance = node.id.to_owned();
    let Some(volume) = volume else {
        let Some(member) = point.members.get(device) else { return Next::Ready };
        return Next::Act(Action::CreateVolume(NewVolume {
            snapshot: member.snapshot.clone(),
            zone: journal.az.clone(),
            size_gib: member.size_gib,
            kind: member.kind.clone(),
            iops: member.iops,
            throughput: member.throughput,
            key: member.key.clone(),
            // The same launch asks for the same volume, however often a reply is lost.
            token: token(&instance, device, &point.set),
            cluster: context.cluster.to_owned(),
            instance,
            device: device.to_owned(),
        }));
    };
    match volume.state {
        VolumeState::Available => {
            Next::Act(Action::AttachVolume { volume: volume.id.clone(), instance, device: device.to_owned() })
        }
        VolumeState::InUse if volume.attached_to.as_deref() == Some(node.id) && volume.ends_with_it => Next::Ready,
        VolumeState::InUse if volume.attached_to.as_deref() == Some(node.id) => {
            Next::Act(Action::EndVolumeWithInstance { instance, device: device.to_owned() })
        }
        VolumeState::Creating
        | VolumeState::InUse
        | VolumeState::Error
        | VolumeState::Gone
        | VolumeState::Unrecognized => Next::Wait(format!("{} for {device} of {instance}", volume.id)),
    }
}

/// At most 64 characters (`API_CreateVolume`, ClientToken): what a set is called may be longer, so its hash stands for it (FNV-1a).
fn token(instance: &str, device: &str, set: &str) -> String {
    let hash = set
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let device: String = device.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    format!("{instance}-{device}-{hash:016x}")
}

/// What is to be done about the volumes of a node that does not join, or leaves: those that are attached to nothing would be
/// nobody's, and those that do not end with their instance would be left by it. `None`: there are none such.
pub(in crate::plan) fn left_over(context: &Context<'_>, node: &Node<'_>, journal: &Journal) -> Option<Verdict> {
    let instance = || node.id.to_owned();
    let made = match context.seen.volumes.get(node.id) {
        Some(Seen::Known(made)) => made,
        // Where nothing was ever asked for, nothing is left.
        _ if journal.restore_set.is_none() => return None,
        Some(Seen::Unknown(why)) => return Some(Verdict::wait(Reason::VolumesUnreadable, why.clone())),
        Some(Seen::NotAsked | Seen::Absent) | None => {
            return Some(Verdict::wait(Reason::VolumesUnreadable, "the volumes were not read".to_owned()));
        }
    };
    for volume in made {
        let id = volume.id.clone();
        match volume.state {
            VolumeState::Available | VolumeState::Error => {
                return Some(Verdict::Act(vec![Action::DeleteVolume { volume: id, instance: instance() }]));
            }
            VolumeState::Creating => return Some(Verdict::wait(Reason::MakingVolumes, format!("{id} is being made"))),
            VolumeState::InUse if volume.ends_with_it => {}
            VolumeState::InUse if node.up != Up::Dead && volume.attached_to.is_some() => {
                let device = volume.device.clone();
                return Some(Verdict::Act(vec![Action::EndVolumeWithInstance { instance: instance(), device }]));
            }
            VolumeState::InUse => {
                return Some(Verdict::wait(Reason::MakingVolumes, format!("{id} is on its way from {}", node.id)));
            }
            VolumeState::Gone | VolumeState::Unrecognized => {}
        }
    }
    let asked = journal.steps.get(&Step::Volumes).filter(|record| record.attempts > 0);
    if asked.is_some_and(|record| context.now.duration_since(record.last_at) < super::super::ANSWER_LAG) {
        return Some(Verdict::wait(Reason::MakingVolumes, format!("what was made for {} may not show yet", node.id)));
    }
    None
}
