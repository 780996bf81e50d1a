//! What is wrong with the group itself. Each of these has cost somebody a database: see the reasons' remedies.

use std::time::Duration;

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::nodes::OnUnsafe;
use ports::{HookResult, Transition};

use super::View;
use crate::action::has_grant;
use crate::observed::{Observed, Seen};

/// What a hook must at least wait for a heartbeat: several passes, and one that failed.
const SHORTEST: Duration = Duration::from_secs(300);

/// The condition `GroupReady`.
pub(super) fn lint(view: &View<'_>, seen: &Observed) -> Finding {
    let group = match &seen.group {
        Seen::Known(group) => group,
        Seen::Absent => {
            return Finding::no(Reason::GroupNotFound, format!("there is no group {}", view.nodes.asg));
        }
        Seen::Unknown(why) => return Finding::unknown(Reason::GroupUnreadable, why.clone()),
        Seen::NotAsked => return Finding::unknown(Reason::GroupUnreadable, "it was not asked".to_owned()),
    };
    let hooks = match &seen.hooks {
        Seen::Known(hooks) => hooks,
        Seen::Unknown(why) => return Finding::unknown(Reason::GroupUnreadable, why.clone()),
        Seen::Absent | Seen::NotAsked => {
            return Finding::unknown(Reason::GroupUnreadable, "its hooks were not asked".to_owned());
        }
    };
    for (name, transition) in
        [(&view.nodes.hooks.launch, Transition::Launch), (&view.nodes.hooks.terminate, Transition::Terminate)]
    {
        let Some(hook) = hooks.iter().find(|hook| hook.name == name.as_str()) else {
            return Finding::no(Reason::HookMissing, format!("the group has no hook {name}"));
        };
        if hook.transition != Some(transition) {
            return Finding::no(Reason::HookMissing, format!("{name} is no hook on that transition"));
        }
        let (wanted, reason) = match transition {
            Transition::Launch => (HookResult::Continue, Reason::LaunchDefaultAbandons),
            Transition::Terminate => (HookResult::Abandon, Reason::TerminateDefaultContinues),
        };
        if hook.default != wanted {
            let message =
                format!("the default result of {name} is {}, and must be {}", hook.default.word(), wanted.word());
            return Finding::no(reason, message);
        }
        if hook.heartbeat < SHORTEST {
            let message = format!(
                "{name} waits {} s, and should wait {} s or more",
                hook.heartbeat.as_secs(),
                SHORTEST.as_secs()
            );
            return Finding::no(Reason::HookTimeoutShort, message);
        }
    }
    if !group.attached.is_empty() {
        return Finding::no(Reason::GroupAttached, group.attached.join(", "));
    }
    if !group.retains && view.nodes.on_unsafe == OnUnsafe::Retain {
        return Finding::no(
            Reason::RetainPolicyMissing,
            "a node whose end is unsafe can only be held in its hook".to_owned(),
        );
    }
    if group.warm_pool {
        return Finding::no(Reason::WarmPool, "its nodes are passed over".to_owned());
    }
    if group.spot || seen.instances.values().filter_map(Seen::known).any(|instance| instance.spot) {
        return Finding::no(Reason::SpotCapacity, "a Spot reclaim waits two minutes for nobody".to_owned());
    }
    let ungranted: Vec<&str> = group
        .instances
        .iter()
        .filter(|i| i.state == ports::LifecycleState::InService)
        .filter(|i| {
            let known = seen.instance(&i.id).filter(|known| known.state == ports::InstanceState::Running);
            let silent = matches!(seen.postgres.get(&i.id), Some(Seen::Absent));
            known.is_some_and(|known| !has_grant(known)) && silent
        })
        .map(|i| i.id.as_str())
        .collect();
    if !ungranted.is_empty() {
        return Finding::no(Reason::HookPassedOver, ungranted.join(", "));
    }
    Finding::yes(Reason::GroupConfigured, "the group and its hooks are as they must be")
}
