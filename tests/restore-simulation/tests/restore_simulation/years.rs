//! Years of a schedule in seconds: what is kept at any time is what the policy keeps of all that was ever taken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::retention::{Place, Point, Policy, decide};
use domain::slots::{Slots, time_zone};
use domain::spec::ClusterSpec;
use domain::spec::stored::{Stored, read};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sim::{Agent, Odds, Weather, World};

use crate::layout::{CLUSTER, GROUP, HOME, Layout};
use crate::process::Ask;
use crate::run::Fleet;

/// How many times of the schedule pass: one a day, for more than two years.
const SLOTS: u32 = 800;
/// So often what is kept is compared.
const COMPARED: u32 = 50;

struct Years {
    fleet: Fleet,
    layout: Layout,
    spec: ClusterSpec,
    slots: Slots,
    /// The times of which there was a good restore point.
    taken: BTreeSet<Timestamp>,
}

impl Years {
    fn begin() -> Self {
        runtime::telemetry::mute();
        let world = World::new(41, "2026-11-21T11:50:00Z".parse().unwrap());
        let mut layout = Layout { volumes: 1, ..Layout::plain(41) };
        layout.build(&world);
        world.happen(|state, _| {
            state.snapshot_habits().takes = (Duration::from_secs(15), Duration::from_secs(60));
        });
        let mut spec = layout.spec();
        spec["snapshots"]["schedule"] = json!("15 2 * * *");
        spec["snapshots"]["timezone"] = json!("Europe/Berlin");
        spec["snapshots"]["max_age_hours"] = json!(49);
        spec["snapshots"]["retention"] = json!({"last": 3, "daily": 7, "weekly": 5, "monthly": 12, "yearly": 3});
        let fleet = Fleet::new(&world, &layout);
        // Every call is judged in the seeds; here the end counts.
        world.set_observer(None);
        fleet.operate(&json!({"put": spec}));
        let Ok(Stored::Current(spec)) = read(&spec) else { panic!("{spec}") };
        let wanted = spec.snapshots.as_ref().unwrap();
        let slots = Slots::new(&wanted.schedule, &wanted.timezone).unwrap();
        Self { fleet, layout, spec: *spec, slots, taken: BTreeSet::new() }
    }

    fn look(&self, seconds: u64) {
        let time = self.fleet.world.time();
        let ask = Ask { payload: json!({"cluster": CLUSTER}), budget: Duration::from_secs(seconds), doom: None };
        sim::block_on(time, self.fleet.invoke(0, &ask)).unwrap();
    }

    /// The times that have a good restore point, as the records say.
    fn kept(&self) -> BTreeSet<Timestamp> {
        self.fleet.world.read(|state| {
            let records = state.documents("restore#acme-prod").map(|item| &item.body);
            let good = records.filter(|body| body["good"] == true && body["region"] == HOME);
            good.map(|body| body["slot"].as_str().unwrap().parse().unwrap()).collect()
        })
    }

    /// One time of the schedule comes and goes. `missed`: no node says where its data lies.
    fn pass_one(&mut self, missed: bool, weather: Weather) {
        let now = self.fleet.world.time().now();
        let slot = self.slots.next_after(now).unwrap();
        let agents = |agent: Agent| {
            self.fleet.world.happen(|state, _| {
                let nodes = state.database(GROUP).unwrap().nodes();
                nodes.iter().for_each(|node| state.set_agent(&node.instance, agent));
            });
        };
        self.fleet.wait(&self.layout, Duration::try_from(slot.duration_since(now)).unwrap() + Duration::from_secs(5));
        let calm = weather == Weather::default();
        self.fleet.world.happen(|state, _| state.set_weather(weather));
        agents(if missed { Agent::Never } else { Agent::Answers });
        self.look(20);
        self.fleet.wait(&self.layout, Duration::from_secs(120));
        self.look(0);
        if missed || !calm {
            self.fleet.world.happen(|state, _| state.set_weather(Weather::default()));
            (0..3).for_each(|_| {
                self.fleet.wait(&self.layout, Duration::from_secs(240));
                self.look(20);
            });
        }
        agents(Agent::Answers);
        self.taken.extend(self.kept());
    }

    /// What the policy keeps of all that was taken, were it all there.
    fn wanted(&self) -> BTreeMap<Timestamp, String> {
        let spec = self.spec.snapshots.as_ref().unwrap();
        let points: Vec<Point> = self.taken.iter().map(|at| Point::new(at.to_string(), *at)).collect();
        let zone = time_zone(&spec.timezone).unwrap();
        let now = self.fleet.world.time().now();
        let all = decide(&points, &Policy::from(&spec.retention), &zone, &Place::Source, now);
        all.into_iter().filter(|d| d.kept()).map(|d| (d.at, format!("{:?}", d.because))).collect()
    }
}

#[test]
fn after_years_what_is_kept_is_what_the_policy_keeps_of_all_that_was_taken() {
    let mut years = Years::begin();
    let bad = Odds { lost_reply: 0.03, failure: 0.03, throttle: 0.02, stale: 0.2, ..Odds::default() };
    let (mut missed, mut most) = (0, 0);
    for n in 1..=SLOTS {
        // What fails is over in time for the times at which all is compared.
        let calm = n % COMPARED == 0 || n % COMPARED > COMPARED - 3;
        let misses = !calm && n % 29 == 7;
        let weather = if !calm && n % 7 == 3 { Weather { everywhere: bad, at: None } } else { Weather::default() };
        missed += u32::from(misses);
        years.pass_one(misses, weather);
        most = most.max(years.kept().len());
        if n % COMPARED == 0 {
            let wanted = years.wanted();
            let at = years.fleet.world.time().now();
            assert_eq!(years.kept(), wanted.keys().copied().collect(), "at {at} of {wanted:#?}");
        }
    }
    let end = years.fleet.world.time().now();
    let since = end.duration_since("2026-11-21T11:50:00Z".parse().unwrap());
    assert!(since > SignedDuration::from_hours(24 * 790), "{since:?}");
    let taken = u32::try_from(years.taken.len()).unwrap();
    assert!(missed > 20 && taken + missed + 5 >= SLOTS && taken < SLOTS - 20, "{taken} were taken, {missed} missed");
    // The policy's 30, some of which are the same, and those that are new.
    assert!((20..=34).contains(&most), "{most} at the most");
    let stored = years.fleet.world.read(|state| state.snapshots().count());
    assert!(stored <= most + 2, "{stored} snapshots are stored of {most} restore points at the most");
}
