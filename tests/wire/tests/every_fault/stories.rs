//! The stories. One more is one more entry: how the world is, what happens, how many passes that takes.

use serde_json::{Value, json};
use stack::NewPeering;
use wire::{ACME, FIRST, FOREIGN, SECOND, Scene, THIRD};

use crate::customer;
use crate::story::{ALL, Play, Step, Story};

/// Every story of the watcher.
pub(crate) const STORIES: &[Story] = &[
    Story {
        name: "first registration",
        begin: |stage| {
            let play = Play::with_peering(stage, "pending-acceptance");
            play.scene.put(&play.scene.spec(ACME));
            play.scene.pass();
            play
        },
        steps: &[Step { what: "accepted", happens: |p| p.scene.peering_becomes(ACME, "active"), passes: 3 }, TIME],
        about: ALL,
        least_calls: 30,
    },
    Story {
        name: "failover",
        begin: |stage| Play::serving(stage, writer),
        steps: &[Step { what: "name moves", happens: |p| p.scene.name_moves_to(&[SECOND]), passes: 3 }, TIME, TIME],
        about: ALL,
        least_calls: 40,
    },
    Story {
        name: "a set of servers changes",
        begin: |stage| {
            let mut play = Play::with_peering(stage, "active");
            play.scene.name_moves_to(&[FIRST, SECOND]);
            play.scene.put(&set(&play.scene));
            play.serve();
            play
        },
        steps: &[
            Step { what: "name moves", happens: |p| p.scene.name_moves_to(&[SECOND, THIRD]), passes: 3 },
            TIME,
            TIME,
        ],
        about: ALL,
        least_calls: 40,
    },
    Story {
        name: "peering deleted",
        begin: |stage| Play::serving(stage, writer),
        steps: &[
            Step { what: "deleted", happens: |p| p.scene.peering_becomes(ACME, "deleted"), passes: 2 },
            Step { passes: 3, ..TIME },
        ],
        about: ALL,
        least_calls: 30,
    },
    Story {
        name: "re-peering",
        begin: |stage| {
            let mut play = Play::serving(stage, writer);
            let cluster = play.scene.cluster(ACME);
            let new = NewPeering {
                peer_account: Some(cluster.peer_account.clone()),
                peer_vpc: Some(cluster.peer_vpc.clone()),
                peer_cidrs: Some(cluster.allowed_cidrs.clone()),
                state: Some("active".to_owned()),
                ..NewPeering::default()
            };
            let new = play.scene.stack.new_peering(&new).unwrap().connection_id;
            play.scene.pass();
            play.noted.insert("the new connection", new);
            play
        },
        steps: &[
            Step {
                what: "put",
                happens: |p| {
                    let new = json!(p.noted["the new connection"]);
                    p.scene.put(&p.scene.spec_with(ACME, &[("/primary/peerings/0/connection_id", new)]));
                },
                passes: 2,
            },
            Step { what: "old one deleted", happens: |p| p.scene.peering_becomes(ACME, "deleted"), passes: 1 },
        ],
        about: ALL,
        least_calls: 20,
    },
    Story {
        name: "deletion with teardown",
        begin: |stage| Play::serving(stage, writer),
        steps: &[Step { what: "deleted", happens: |p| p.scene.delete(ACME), passes: 2 }, TIME],
        about: ALL,
        least_calls: 30,
    },
    Story {
        name: "port changed",
        begin: |stage| Play::serving(stage, writer),
        steps: &[
            Step {
                what: "put",
                happens: |p| {
                    p.scene.put(&p.scene.spec_with(ACME, &[("/primary/endpoints/0/port", json!(5433))]));
                },
                passes: 2,
            },
            TIME,
            TIME,
        ],
        about: ALL,
        least_calls: 40,
    },
    Story {
        name: "pause and resume",
        begin: |stage| Play::serving(stage, writer),
        steps: &[
            Step {
                what: "paused, name moves",
                happens: |p| {
                    p.scene.ask_registry(&json!({"pause": {"by": "ops", "reason": "maintenance"}}));
                    p.scene.name_moves_to(&[SECOND]);
                },
                passes: 3,
            },
            Step {
                what: "resumed",
                happens: |p| drop(p.scene.ask_registry(&json!({"resume": {"by": "ops", "reason": "done"}}))),
                passes: 2,
            },
            TIME,
        ],
        about: ALL,
        least_calls: 40,
    },
    Story {
        name: "a foreign target is handed over",
        begin: |stage| {
            let mut play = Play::serving(stage, writer);
            play.scene.stack.register_target(&play.scene.arn(ACME), FOREIGN, 5432, Some("all")).unwrap();
            play.a_minute_passes();
            play
        },
        steps: &[
            Step {
                what: "acknowledged",
                happens: |p| p.scene.acknowledge(ACME, &format!("ForeignTarget:{FOREIGN}:5432")),
                passes: 2,
            },
            TIME,
        ],
        about: ALL,
        least_calls: 20,
    },
    Story {
        name: "failover through a gateway",
        begin: customer::serving,
        steps: &[
            Step { what: "secret filled in", happens: customer::secret_is_filled_in, passes: 2 },
            Step { what: "name moves", happens: customer::name_follows, passes: 2 },
            TIME,
        ],
        about: &["lambda:", "secretsmanager:", "elasticloadbalancing:", " state#peering-watcher"],
        least_calls: 70,
    },
    Story {
        name: "nothing happens",
        begin: |stage| Play::serving(stage, writer),
        steps: &[Step { what: "cold start", happens: |p| p.scene.cold_start(), passes: 2 }],
        about: ALL,
        least_calls: 10,
    },
];

/// What was begun takes its time: health checks pass, reads of the load balancer catch up.
const TIME: Step = Step { what: "a minute", happens: |_| {}, passes: 2 };

fn writer(scene: &Scene) -> Value {
    scene.spec(ACME)
}

fn set(scene: &Scene) -> Value {
    scene.spec_with(ACME, &[("/primary/endpoints/0/role", json!("any"))])
}
