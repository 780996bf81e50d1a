//! Commands that the Systems Manager agent runs on a node.
//!
//! Held here (Systems Manager user guide, "Command statuses"; `API_SendCommand`, `API_GetCommandInvocation`): a command is taken up
//! by the agent within its delivery time-out or lost; an instance that is not known, or not running, is refused
//! (`InvalidInstanceId`); an invocation cannot be read for a moment after it was sent (`InvocationDoesNotExist`); what runs on a
//! node ends with it, and the service learns of it late.
//!
//! Of a script only this is carried out: `systemctl stop patroni` stops the model's Patroni, and PostgreSQL with it unless
//! Patroni is paused. Every such script prints at its end what is left of both: `patroni=inactive`, `postgres=stopped`. The scripts
//! of the restore points are carried out in `snapshots::node`: they take effect as they start, and are over a second later.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, CommandState, PortError};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::instances::after;
use crate::world::State;

const SEND: &str = "ssm:SendCommand";
const READ: &str = "ssm:GetCommandInvocation";
/// How long until the service gives up on a command whose node died (`executionTimeout` is an hour; the agent's pings end sooner).
const CUT_OFF: Duration = Duration::from_secs(300);

/// How an agent behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Agent {
    /// It answers within seconds.
    #[default]
    Answers,
    /// It takes a command up after this long.
    Slow(Duration),
    /// It never takes a command up.
    Never,
    /// The service knows no agent on this instance.
    Unknown,
}

#[derive(Debug, Clone)]
struct Command {
    instance: String,
    script: String,
    readable_from: Timestamp,
    starts_at: Option<Timestamp>,
    delivery_until: Timestamp,
    ends_at: Timestamp,
    state: CommandState,
    /// What it ends with, where that is known as soon as it starts.
    ends: Option<(i32, String)>,
}

/// All commands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    commands: BTreeMap<String, Command>,
    agents: BTreeMap<String, Agent>,
    number: u64,
}

impl State {
    /// An instance's agent behaves so from now on.
    pub fn set_agent(&mut self, instance: &str, agent: Agent) {
        self.sent.agents.insert(instance.to_owned(), agent);
    }

    fn send(&mut self, instance: &str, script: &str, delivery: Duration, now: Timestamp) -> Option<String> {
        let agent = self.sent.agents.get(instance).copied().unwrap_or_default();
        if agent == Agent::Unknown || !self.machines.get(instance).is_some_and(crate::instances::Machine::runs) {
            return None;
        }
        let (readable, start, lasts) = (self.rng().u64(..2500), self.rng().u64(200..3000), self.rng().u64(500..4000));
        let wait = match agent {
            Agent::Answers => Some(Duration::from_millis(start)),
            Agent::Slow(wait) => Some(wait),
            Agent::Never | Agent::Unknown => None,
        };
        self.sent.number += 1;
        let id = format!("command-{}", self.sent.number);
        let starts_at = wait.map(|wait| after(now, wait));
        let command = Command {
            instance: instance.to_owned(),
            script: script.to_owned(),
            readable_from: after(now, Duration::from_millis(readable)),
            starts_at,
            delivery_until: after(now, delivery),
            ends_at: after(starts_at.unwrap_or(now), Duration::from_millis(lasts)),
            state: CommandState::Sent,
            ends: None,
        };
        self.sent.commands.insert(id.clone(), command);
        Some(id)
    }

    pub(crate) fn tick_commands(&mut self, now: Timestamp) {
        let mut sent = std::mem::take(&mut self.sent);
        for command in sent.commands.values_mut() {
            let alive = self.machines.get(&command.instance).is_some_and(crate::instances::Machine::runs);
            match command.state {
                CommandState::Sent
                    if alive && command.starts_at.is_some_and(|at| at <= now && at <= command.delivery_until) =>
                {
                    command.state = CommandState::Running;
                    command.ends = self.run_node_script(&command.instance, &command.script, now);
                    if command.ends.is_some() {
                        command.ends_at = now;
                    }
                    if command.script.contains("systemctl stop patroni") {
                        self.with_node(&command.instance, |cluster, id| cluster.stop_service(id, now));
                    }
                }
                CommandState::Sent if command.delivery_until <= now => {
                    command.state = CommandState::Lost("DeliveryTimedOut".to_owned());
                }
                CommandState::Running if alive && command.ends_at <= now => {
                    if let Some((code, output)) = command.ends.take() {
                        command.state = CommandState::Ended { code, output };
                        continue;
                    }
                    let left = self.with_node(&command.instance, |cluster, id| cluster.services(id));
                    let Some((patroni, postgres, stopping)) = left else { continue };
                    if stopping {
                        continue;
                    }
                    let output = format!(
                        "patroni={}\npostgres={}\n",
                        if patroni { "active" } else { "inactive" },
                        if postgres { "running" } else { "stopped" }
                    );
                    command.state = CommandState::Ended { code: 0, output };
                }
                CommandState::Running if !alive && after(command.ends_at, CUT_OFF) <= now => {
                    command.state = CommandState::Lost("ExecutionTimedOut".to_owned());
                }
                _ => {}
            }
        }
        self.sent = sent;
    }
}

fn refuse<T>(call: &'static str, code: &str) -> (Result<T, PortError>, Happened) {
    let code = code.to_owned();
    let happened = Happened::Refused(code.clone());
    (
        Err(PortError { call, class: Class::NotFound, code, message: "as Systems Manager refuses it".to_owned() }),
        happened,
    )
}

/// The port.
#[derive(Debug, Clone)]
pub struct Commands(Client);

impl Commands {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Commands for Commands {
    async fn send(&self, instance: &str, script: &str, _: &str, delivery: Duration) -> Result<String, PortError> {
        self.0
            .call(SEND, Kind::Change, |state, moment| match state.send(instance, script, delivery, moment.now) {
                Some(id) => {
                    let (instance, script) = (instance.to_owned(), script.to_owned());
                    (Ok(id.clone()), Happened::CommandSent { command: id, instance, script })
                }
                None => refuse(SEND, "InvalidInstanceId"),
            })
            .await
    }

    async fn state(&self, instance: &str, command: &str) -> Result<CommandState, PortError> {
        self.0
            .call(READ, Kind::Consistent, |state, moment| {
                let found = state.sent.commands.get(command);
                match found.filter(|c| c.instance == instance && c.readable_from <= moment.now) {
                    Some(found) => {
                        (Ok(found.state.clone()), Happened::CommandRead(command.to_owned(), found.state.clone()))
                    }
                    None => refuse(READ, "InvocationDoesNotExist"),
                }
            })
            .await
    }
}
