//! What the story plays on: an emulated AWS, the customer's DNS and databases, and both functions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use stack::{
    Call, Control, DnsServer, Emulator, Function, Launch, Listener, MadeCluster, RouteRow, TargetRow, World,
    WorldCluster, WorldEndpoint, WorldMade, Zone, binary,
};

use crate::failure::Failure;
use crate::invoke::Cli;
use crate::report::{Cluster, Report};

pub(crate) const ACME: &str = "acme-prod";
pub(crate) const HOST: &str = "acme.example.internal";
pub(crate) const PORT: u16 = 5432;
/// The customer's servers.
pub(crate) const FIRST: &str = "10.9.0.5";
pub(crate) const SECOND: &str = "10.9.0.6";
/// Our VPC, the customer's, and a host of ours that no customer's name may lead to.
pub(crate) const OUR_BLOCK: &str = "10.200.0.0/16";
pub(crate) const PEER_BLOCK: &str = "10.9.0.0/16";
pub(crate) const OUR_HOST: &str = "10.200.0.10";
/// Seconds: the name's TTL, how long a load balancer takes to find a new target healthy, and how long an old one drains.
/// On AWS they are longer; what happens is the same.
pub(crate) const TTL: u32 = 2;
pub(crate) const FIRST_CHECKS: f64 = 1.5;
const DRAINS: u32 = 2;

/// Everything that runs. The functions end before the emulator does.
#[derive(Debug)]
pub(crate) struct Stage {
    registry: Function,
    watcher: Function,
    cli: Cli,
    dns: DnsServer,
    made: WorldMade,
    arn: String,
    passes: Cell<u32>,
    _databases: [Listener; 2],
    emulator: Emulator,
}

/// The load balancer's targets and the routes to the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) targets: Vec<TargetRow>,
    pub(crate) routes: Vec<RouteRow>,
}

impl Stage {
    /// Starts everything: our account with a peering that waits for acceptance, and a customer whose name answers
    /// [`FIRST`].
    pub(crate) fn set() -> Result<Self, Failure> {
        let (registry, watcher) = (binary("cluster-registry")?, binary("peering-watcher")?);
        let emulator = Emulator::start()?;
        let control = emulator.control();
        control.reset()?;
        let endpoint = WorldEndpoint {
            deregistration_delay: Some(DRAINS),
            initial_seconds: Some(FIRST_CHECKS),
            ..WorldEndpoint::named("postgres", PORT)
        };
        let acme = WorldCluster { endpoints: vec![endpoint], ..WorldCluster::named(ACME, PEER_BLOCK) };
        let made =
            control.world(&World { own_cidr: Some(OUR_BLOCK.to_owned()), clusters: vec![acme], ..World::default() })?;
        let databases = [Listener::start()?, Listener::start()?];
        let reached = [FIRST, SECOND].iter().zip(&databases);
        control.addresses(reached.map(|(host, database)| (format!("{host}:{PORT}"), database.address())))?;
        let dns = DnsServer::start()?;
        dns.set(HOST, Zone::addresses(&[FIRST], TTL));
        let env: BTreeMap<String, String> = [
            ("PILOTHOUSE_TABLE", made.table.clone()),
            ("PILOTHOUSE_TOPIC_ARN", made.topic_arn.clone()),
            ("PILOTHOUSE_RESOLVERS", dns.address().to_string()),
            // One pass for each invocation, so that the story can tell them apart.
            ("PILOTHOUSE_PULSE_BUDGET_SECONDS", "0".to_owned()),
            ("AWS_REGION", made.region.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let endpoints = emulator.endpoints();
        let start = |name, binary| Function::start(&Launch { name, binary, endpoints, env: &env, log_file: None });
        Ok(Self {
            registry: start("cluster-registry", &registry)?,
            watcher: start("peering-watcher", &watcher)?,
            cli: Cli::new(endpoints),
            arn: made.cluster(ACME)?.target_group("postgres")?.to_owned(),
            dns,
            made,
            passes: Cell::new(0),
            _databases: databases,
            emulator,
        })
    }

    /// The emulated AWS, changed by hand.
    pub(crate) fn aws(&self) -> &Control {
        self.emulator.control()
    }

    /// What the account holds.
    pub(crate) fn made(&self) -> &WorldMade {
        &self.made
    }

    /// The cluster's peering and target group.
    pub(crate) fn cluster(&self) -> Result<&MadeCluster, Failure> {
        Ok(self.made.cluster(ACME)?)
    }

    /// The target group's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    /// The spec that the operator writes.
    pub(crate) fn spec(&self) -> Result<Value, Failure> {
        let cluster = self.cluster()?;
        Ok(json!({
            "schema": 1, "name": ACME,
            "primary": {
                "endpoints": [{"name": "postgres", "host": HOST, "port": PORT, "target_group_arn": self.arn}],
                "peerings": [{"connection_id": cluster.connection_id, "peer_account": cluster.peer_account,
                    "peer_vpc": cluster.peer_vpc, "allowed_cidrs": cluster.allowed_cidrs}],
                "route_table_ids": self.made.route_table_ids,
            },
        }))
    }

    /// What the customer's name answers from now on.
    pub(crate) fn name_answers(&self, zone: Zone) {
        self.dns.set(HOST, zone);
    }

    /// What the peering becomes.
    pub(crate) fn peering(&self, state: &str) -> Result<(), Failure> {
        Ok(self.aws().peering(&self.cluster()?.connection_id, state)?)
    }

    /// Asks the registry.
    pub(crate) fn ask(&self, request: &Value) -> Result<Value, Failure> {
        self.cli.invoke("cluster-registry", &self.registry, request)
    }

    /// One pass of the watcher over the cluster.
    pub(crate) fn pass(&self) -> Result<Cluster, Failure> {
        let answer = self.cli.invoke("peering-watcher", &self.watcher, &json!({"cluster": ACME}))?;
        let odd = |problem: String| Failure::Program { program: "peering-watcher".to_owned(), problem };
        let report: Report =
            serde_json::from_value(answer.clone()).map_err(|error| odd(format!("{error} in {answer}")))?;
        self.passes.set(self.passes.get() + report.passes);
        report.clusters.into_iter().next().ok_or_else(|| odd(format!("no cluster in {answer}")))
    }

    /// How many passes the watcher has made.
    pub(crate) fn passes(&self) -> u32 {
        self.passes.get()
    }

    /// Makes passes until one changes nothing; the last. As many as the pulse would make in a minute at most.
    pub(crate) fn settle(&self) -> Result<Cluster, Failure> {
        for _ in 0..6 {
            let cluster = self.pass()?;
            if cluster.outcome == "unchanged" {
                return Ok(cluster);
            }
            pause(0.4);
        }
        self.pass()
    }

    /// What `make status` prints.
    pub(crate) fn status(&self) -> Result<String, Failure> {
        self.cli.status(ACME)
    }

    /// The target group and the routes as they are now.
    pub(crate) fn look(&self) -> Result<Scene, Failure> {
        let mut routes = Vec::new();
        for table in &self.made.route_table_ids {
            routes.extend(self.aws().routes(table)?.into_iter().filter(|r| r.target.as_deref() != Some("local")));
        }
        Ok(Scene { targets: self.aws().targets(&self.arn)?, routes })
    }

    /// The number of the last AWS call.
    pub(crate) fn mark(&self) -> Result<u64, Failure> {
        Ok(self.aws().calls()?.iter().map(|call| call.n).max().unwrap_or_default())
    }

    /// How often each AWS call was made since `mark`, by whether it may change something.
    pub(crate) fn calls_since(&self, mark: u64) -> Result<Calls, Failure> {
        let mut calls = Calls::default();
        for call in self.aws().calls_since(mark)? {
            let kind = if call.mutates() { &mut calls.writes } else { &mut calls.reads };
            *kind.entry(Call::name(&call)).or_default() += 1;
        }
        Ok(calls)
    }
}

/// Calls by name.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) reads: BTreeMap<String, usize>,
    pub(crate) writes: BTreeMap<String, usize>,
}

/// `ec2:CreateRoute 1, ec2:DeleteRoute 1`.
pub(crate) fn listed(calls: &BTreeMap<String, usize>) -> String {
    let each: Vec<String> = calls.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if each.is_empty() { "none".to_owned() } else { each.join(", ") }
}

/// The targets as `10.9.0.5:5432 healthy`.
pub(crate) fn states(targets: &[TargetRow]) -> Vec<String> {
    targets.iter().map(|t| format!("{}:{} {}", t.id, t.port, t.state)).collect()
}

/// Lets time pass.
pub(crate) fn pause(seconds: f64) {
    thread::sleep(Duration::from_secs_f64(seconds));
}
