//! What is known of a target group itself, and what makes one unusable.

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::Endpoint;
use ports::{TargetGroup, TargetHealth};

use crate::admission::Usable;
use crate::observed::Seen;
use crate::state::{EndpointMemory, GroupMemory};

/// What is known of the target group itself: read for this generation, or for an older one.
pub(super) fn known(
    generation: u64,
    seen: Option<&Seen<TargetGroup>>,
    memory: &mut EndpointMemory,
) -> Seen<GroupMemory> {
    match seen {
        Some(Seen::Known(group)) => {
            let known = GroupMemory {
                generation,
                vpc: group.vpc.clone(),
                takes_addresses: group.takes_addresses,
                ipv6: group.ipv6,
            };
            memory.group = Some(known.clone());
            Seen::Known(known)
        }
        Some(Seen::Absent) => {
            memory.group = None;
            Seen::Absent
        }
        other => match (&memory.group, other) {
            (Some(known), _) => Seen::Known(known.clone()),
            (None, Some(Seen::Unknown(error))) => Seen::Unknown(error.clone()),
            (None, _) => Seen::NotAsked,
        },
    }
}

/// Why nothing can be done with a target group.
pub(super) fn problem(
    endpoint: &Endpoint,
    group: &Seen<GroupMemory>,
    targets: &Seen<Vec<TargetHealth>>,
    usable: &[Usable],
) -> Option<Finding> {
    let (who, arn) = (&endpoint.name, endpoint.target_group_arn.as_str());
    let absent = || Some(Finding::no(Reason::TargetGroupNotFound, format!("{who}: there is no {arn}")));
    let unreadable = |error: &str| {
        Some(Finding::unknown(Reason::TargetGroupUnreadable, format!("{who}: {arn} could not be read: {error}")))
    };
    match (group, targets) {
        (Seen::Absent, _) | (_, Seen::Absent) => return absent(),
        (Seen::Unknown(error), _) | (_, Seen::Unknown(error)) => return unreadable(error),
        (Seen::NotAsked, Seen::Known(_)) => {
            return Some(Finding::unknown(Reason::Deferred, format!("{who}: the target group was not read yet")));
        }
        (Seen::NotAsked, Seen::NotAsked) => return None,
        (Seen::Known(_), _) => {}
    }
    let known = group.known()?;
    if !known.takes_addresses {
        return Some(Finding::no(Reason::TargetGroupNotIp, format!("{who}: {arn} does not have target type `ip`")));
    }
    if known.ipv6 {
        return Some(Finding::no(Reason::TargetGroupIpv6, format!("{who}: {arn} has address type `ipv6`")));
    }
    let over = usable.iter().find(|u| known.vpc.as_ref().is_some_and(|vpc| *vpc != u.own_vpc))?;
    let message = format!(
        "{who}: {arn} belongs to {}, and our side of {} is {}",
        known.vpc.as_deref().unwrap_or("no VPC"),
        over.connection,
        over.own_vpc
    );
    Some(Finding::no(Reason::TargetGroupVpcMismatch, message))
}
