//! What a story is.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stack::{Stack, World, WorldCluster};
use wire::{ACME, Scene};

use crate::customer::Transit;

/// Somebody else's cluster: its target group exists, holds a target, and is nothing to the watcher.
const NEIGHBOUR: &str = "neighbour";
/// Somebody else's route.
const NOT_OURS: &str = "10.77.0.0/16";
/// How long a new target is `initial`. Between two steps more than that passes.
const INITIAL_SECONDS: f64 = 60.0;
/// What passes between two steps: health checks, the lag of ELB's reads, a lease of the lock.
const MINUTE: i64 = 61;

/// Every call.
pub(crate) const ALL: &[&str] = &[""];

/// A story: how the world is when it begins, and what happens in it, step after step.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    /// Its name.
    pub(crate) name: &'static str,
    /// What was there before. Passes are allowed; none of it is part of the story.
    pub(crate) begin: fn(Stage) -> Play,
    /// What happens.
    pub(crate) steps: &'static [Step],
    /// The calls that go wrong in it: those whose names have one of these parts. [`ALL`], unless what is left out goes wrong
    /// in the same code in other stories.
    pub(crate) about: &'static [&'static str],
    /// How many calls it makes at least undisturbed. A story that shrinks has lost what it was about.
    pub(crate) least_calls: usize,
}

/// A step of a story. A minute passes before it.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// In a word.
    pub(crate) what: &'static str,
    /// What somebody else does.
    pub(crate) happens: fn(&mut Play),
    /// How many passes the watcher then makes, undisturbed.
    pub(crate) passes: usize,
}

/// Where a story is played: an emulator and a DNS server of its own.
pub(crate) type Stage = Stack;

/// A story on its stage.
pub(crate) struct Play {
    /// The customer's gateway, where the story has one. It ends before the stage that it runs on.
    pub(crate) transit: Option<Transit>,
    pub(crate) scene: Scene,
    /// Ids that the story made, by what they are called in it.
    pub(crate) noted: BTreeMap<&'static str, String>,
}

impl Play {
    /// [`ACME`], whose peering is in `state`.
    pub(crate) fn with_peering(stage: Stage, state: &str) -> Self {
        Self::of(stage, WorldCluster { state: Some(state.to_owned()), ..WorldCluster::named(ACME, "10.9.0.0/16") })
    }

    /// A cluster, and bystanders: a neighbour's target group and a route that is not ours.
    pub(crate) fn of(stage: Stage, acme: WorldCluster) -> Self {
        let clusters = vec![
            acme,
            WorldCluster { state: Some("active".to_owned()), ..WorldCluster::named(NEIGHBOUR, "10.10.0.0/16") },
        ];
        let world = World { initial_seconds: Some(INITIAL_SECONDS), clusters, ..World::default() };
        let scene = Scene::on(stage, &world);
        scene.stack.register_target(&scene.arn(NEIGHBOUR), "10.10.0.5", 5432, Some("all")).unwrap();
        let table = scene.made.route_table_ids.first().unwrap();
        scene.stack.put_route(table, NOT_OURS, &scene.connection(NEIGHBOUR), false).unwrap();
        Self { transit: None, scene, noted: BTreeMap::new() }
    }

    /// `spec` put, its targets registered, healthy and settled.
    pub(crate) fn serving(stage: Stage, spec: fn(&Scene) -> Value) -> Self {
        let mut play = Self::with_peering(stage, "active");
        play.scene.put(&spec(&play.scene));
        play.serve();
        play
    }

    /// Passes until what is put has been registered, found healthy and found again.
    pub(crate) fn serve(&mut self) {
        self.scene.pass();
        self.a_minute_passes();
        for _ in 0..2 {
            self.scene.pass();
        }
    }

    /// A minute passes: for the load balancer, and for what the watcher has on record. What its process remembers of its
    /// looks counts for a minute, so a new one is as good.
    pub(crate) fn a_minute_passes(&mut self) {
        self.scene.stack.clock(MINUTE as f64).unwrap();
        self.records_get_older(&["state#", "lock#"]);
        self.scene.cold_start();
    }

    /// The lease of whoever was killed runs out.
    pub(crate) fn leases_run_out(&self) {
        self.records_get_older(&["lock#"]);
    }

    /// Every time in these records becomes earlier by a minute.
    fn records_get_older(&self, of: &[&str]) {
        let stack = &self.scene.stack;
        for mut item in stack.items().unwrap() {
            let key = item["pk"].as_str().unwrap();
            if of.iter().any(|prefix| key.starts_with(prefix)) {
                let mut body: Value = serde_json::from_str(item["body"].as_str().unwrap()).unwrap();
                earlier(&mut body);
                item["body"] = json!(body.to_string());
                // As any write: who still has the record from before must notice.
                item["version"] = json!(item["version"].as_u64().unwrap() + 1);
                stack.put_item(&item).unwrap();
            }
        }
    }

    /// The target groups of the story.
    pub(crate) fn groups(&self) -> Vec<&str> {
        self.scene.cluster(ACME).endpoints.iter().map(|e| e.target_group_arn.as_str()).collect()
    }

    /// How many targets take connections now.
    pub(crate) fn serving_targets(&self) -> usize {
        let rows = self.groups().into_iter().flat_map(|arn| self.scene.targets_in(arn));
        rows.filter(|row| row.ends_with(" healthy")).count()
    }
}

/// Every time in a record becomes earlier by a minute: also the epoch, which is the end of a lease that was let go of.
fn earlier(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<jiff::Timestamp>() {
                *text = time.checked_sub(jiff::SignedDuration::from_secs(MINUTE)).unwrap().to_string();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(earlier),
        Value::Object(map) => map.values_mut().for_each(earlier),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
