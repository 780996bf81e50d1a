//! The hooks: whose token is used, and how long one is kept alive.

use asg_lifecycle::action::Action;
use asg_lifecycle::event::Hint;
use asg_lifecycle::observed::Seen;
use ports::Transition;

use crate::world::World;

/// Whether a heartbeat is due so many seconds from now, where nothing changes.
fn beats(world: &mut World, seconds: i64) -> bool {
    let now = world.now;
    let plan = world.after(seconds).look();
    world.now = now;
    plan.actions.iter().any(|action| matches!(action, Action::Heartbeat(_)))
}

#[test]
fn l6_a_token_is_taken_from_the_specs_own_hook_alone() {
    let hint = |hook: &str, token: &str, destination: &str| Hint {
        group: "acme-pg".to_owned(),
        hook: hook.to_owned(),
        instance: "i-3".to_owned(),
        token: token.to_owned(),
        transition: Transition::Terminate,
        origin: None,
        destination: Some(destination.to_owned()),
    };
    let mut world = World::at_rest();
    world.hints = vec![
        hint("somebody-elses", "t-1", "EC2"),
        hint("acme-terminate", "t-2", "WarmPool"),
        hint("acme-terminate", "t-3", "EC2"),
    ];
    world.terminating("i-3");
    world.step();
    assert_eq!(world.journal("i-3").token.as_deref(), Some("t-3"));
}

/// A hook that nobody keeps alive runs out: a function that is stuck itself does no harm.
#[test]
fn a_hook_is_kept_alive_while_its_node_comes_forward_and_not_up_to_its_end() {
    // EC2 does not say how it is: nothing moves.
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.seen.instances.insert("i-3".to_owned(), Seen::Unknown("throttled".to_owned()));
    world.step();
    for (seconds, expected) in [(299, false), (300, true), (4499, true), (4500, false)] {
        assert_eq!(beats(&mut world, seconds), expected, "after {seconds} s");
    }
    // It is held on purpose: up to a tenth of the hook's whole time before its end.
    let mut world = World::at_rest();
    world.group().retains = false;
    world.topologies(|t| t.scheduled_switchover = Some("soon".to_owned()));
    world.terminating("i-3");
    world.step();
    for (seconds, expected) in [(4500, true), (80_999, true), (81_000, false)] {
        assert_eq!(beats(&mut world, seconds), expected, "after {seconds} s");
    }
}
