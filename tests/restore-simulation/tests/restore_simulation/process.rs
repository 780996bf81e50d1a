//! The snapshot scheduler as a process of a world: the real handler over the ports in memory.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::task::Poll;
use std::time::Duration;

use cluster_registry::handler::Registry;
use jiff::Timestamp;
use runtime::config::Config;
use runtime::shell::{Failure, Handler as _, Invocation};
use serde_json::Value;
use sim::{Client, Doom, World};
use snapshot_scheduler::handler::SnapshotScheduler;
use snapshot_scheduler::pass::Keeper;

use crate::layout::{DEPLOYMENT, HOME};

type Ports = snapshot_scheduler::World<
    sim::Table,
    sim::Notices,
    sim::AutoScaling,
    sim::Instances,
    sim::Commands,
    sim::Snapshots,
    sim::EncryptionKeys,
    sim::Gateways,
    sim::Gateways,
    sim::Secrets,
    sim::Clock,
>;

fn ports(client: &Client) -> Ports {
    Ports {
        table: sim::Table::new(client),
        notices: sim::Notices::new(client),
        auto_scaling: sim::AutoScaling::new(client),
        instances: sim::Instances::new(client),
        commands: sim::Commands::new(client),
        snapshots: sim::Snapshots::new(client),
        keys: sim::EncryptionKeys::new(client),
        gateways: sim::Gateways::new(client),
        inside: sim::Gateways::new(client),
        secrets: sim::Secrets::new(client),
        clock: sim::Clock::new(client),
    }
}

/// As the registry needs it.
struct Operator {
    table: sim::Table,
    response_url: sim::ResponseUrl,
    clock: sim::Clock,
}

impl cluster_registry::Ports for Operator {
    type Table = sim::Table;
    type ResponseUrl = sim::ResponseUrl;
    type Clock = sim::Clock;

    fn table(&self) -> &sim::Table {
        &self.table
    }
    fn response_url(&self) -> &sim::ResponseUrl {
        &self.response_url
    }
    fn clock(&self) -> &sim::Clock {
        &self.clock
    }
}

/// A warm process of the function.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    client: Client,
    function: SnapshotScheduler<Ports>,
    invocations: u32,
}

/// What is asked of an invocation.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) payload: Value,
    pub(crate) budget: Duration,
    pub(crate) doom: Option<Doom>,
}

/// What came of an invocation.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: the process died.
    pub(crate) answer: Option<Result<Value, Failure>>,
    pub(crate) deadline: Timestamp,
    /// It did not end by itself, and was killed then.
    pub(crate) overran: bool,
}

/// How long an invocation may take.
const LIMIT: Duration = Duration::from_secs(180);

impl Process {
    pub(crate) fn cold(world: &World, name: &'static str) -> Self {
        let client = world.client(name);
        let keeper = Keeper {
            ports: ports(&client),
            calls: client.calls().clone(),
            region: HOME.to_owned(),
            deployment: DEPLOYMENT.to_owned(),
            woken: AtomicBool::new(false),
        };
        let config = Config {
            table: DEPLOYMENT.to_owned(),
            topic_arn: None,
            resolvers: None,
            pulse: Duration::from_secs(10),
            pulse_budget: Duration::ZERO,
        };
        Self { name, client, function: SnapshotScheduler { keeper, config }, invocations: 0 }
    }

    /// One invocation. A process that dies is replaced by a cold one.
    pub(crate) async fn invoke(&mut self, world: &World, ask: &Ask) -> Ended {
        self.invocations += 1;
        let now = world.time().now();
        let deadline = now.checked_add(LIMIT).unwrap();
        let request_id = format!("{}#{}-{}", self.name, now.as_millisecond(), self.invocations);
        self.function.config.pulse_budget = ask.budget;
        self.client.doom(ask.doom);
        // Lambda's host tells the deadline by the clock that the process reads.
        let ahead = world.read(|state| state.clock_ahead(self.name));
        let invocation = Invocation { deadline: deadline + ahead, request_id };
        let life = self.client.live(self.function.handle(ask.payload.clone(), invocation));
        let ended = within(world.time().sleep(LIMIT), life).await;
        let (answer, overran) = ended.map_or((None, true), |answer| (answer, false));
        self.client.doom(None);
        if answer.is_none() {
            *self = Self::cold(world, self.name);
        }
        Ended { answer, deadline, overran }
    }
}

/// What is done by then. `None`: it is not done, and ends where it stands.
async fn within<T>(limit: sim::Sleep, life: impl Future<Output = T>) -> Option<T> {
    let (mut limit, mut life) = (pin!(limit), pin!(life));
    poll_fn(|context| match life.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => limit.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// An operator asks the registry. Gives its answer.
pub(crate) async fn operate(world: &World, request: &Value) -> Value {
    let client = world.client("operator");
    let registry = Registry(Operator {
        table: sim::Table::new(&client),
        response_url: sim::ResponseUrl::new(&client),
        clock: sim::Clock::new(&client),
    });
    for attempt in 0..6 {
        let now = world.time().now();
        let deadline = now.checked_add(Duration::from_secs(60)).unwrap();
        let invocation = Invocation { deadline, request_id: format!("operator#{now}-{attempt}") };
        if let Some(Ok(answer)) = client.live(registry.handle(request.clone(), invocation)).await {
            return answer;
        }
        world.time().sleep(Duration::from_secs(2)).await;
    }
    Value::Null
}
