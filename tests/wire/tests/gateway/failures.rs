//! What a gateway's failure does not do: take anything away, or hold anybody else up.

use stack::{Fault, FaultKind};
use wire::{ACME, condition};

use crate::transit::Transit;

#[test]
fn w2_no_failure_of_the_gateway_takes_anything_away_and_each_is_named() {
    let mut transit = Transit::serving();
    let serving = [format!("{} healthy", transit.target(0))];
    let invoke = "lambda:Invoke";
    for (fault, reason) in [
        (Fault::new(invoke, FaultKind::Throttle), "GatewayFailed"),
        (Fault::new(invoke, FaultKind::Error500), "GatewayFailed"),
        (Fault::new(invoke, FaultKind::Reset), "GatewayFailed"),
        (Fault::new(invoke, FaultKind::LostReply), "GatewayFailed"),
        (Fault::code(invoke, "AccessDeniedException"), "GatewayFailed"),
        (Fault::code(invoke, "ResourceNotFoundException"), "GatewayNotFound"),
    ] {
        transit.name_answers(&[1], 0);
        transit.scene.stack.fault(&fault.clone().always()).unwrap();
        for _ in 0..3 {
            let found = transit.fresh_look();
            assert_eq!(condition(&found, "NameResolves"), format!("unknown {reason}"), "{fault:?}: {found:#}");
            assert_eq!(transit.targets(), serving, "{fault:?}");
        }
        transit.scene.stack.clear_faults().unwrap();
        transit.name_answers(&[0], 0);
        transit.scene.settle(ACME);
        assert_eq!(transit.targets(), serving, "{fault:?}");
    }
}

#[test]
fn w2_w7_a_gateway_that_never_answers_costs_its_time_and_nothing_else() {
    let transit = Transit::serving();
    let serving = [format!("{} healthy", transit.target(0))];
    let silent = Fault { seconds: Some(30.0), ..Fault::new("lambda:Invoke", FaultKind::Timeout) };
    transit.scene.stack.fault(&silent.always()).unwrap();
    let found = transit.scene.look(ACME);
    assert_eq!(found["outcome"], "failed", "{found:#}");
    assert_eq!(found["reason"], "GatewayFailed", "{found:#}");
    assert_eq!(transit.targets(), serving);
}

#[test]
fn w3_a_gateway_that_was_away_is_asked_again() {
    let mut transit = Transit::serving();
    transit.gateway.kill();
    transit.scene.stack.fault(&Fault::code("lambda:Invoke", "ResourceNotFoundException").times(2)).unwrap();
    assert_eq!(condition(&transit.scene.look(ACME), "NameResolves"), "unknown GatewayNotFound");
    transit.scene.stack.clear_faults().unwrap();
    transit.restart_gateway();
    transit.scene.settle(ACME);
    assert_eq!(transit.targets(), [format!("{} healthy", transit.target(0))]);
}
