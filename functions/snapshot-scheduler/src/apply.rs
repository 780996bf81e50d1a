//! Carries out what was planned. It makes no choices: each action says everything.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ports::{Clock as _, CommandState, Commands as _, PortError, Snapshot, Snapshots as _};
use runtime::records::Grade;

use crate::Ports;
use crate::action::{Action, deleting};
use crate::sets;
use crate::survey::{self, FREEZE, Frozen};

/// How long an agent has to take a command up: the least that Systems Manager takes.
const DELIVERY: Duration = Duration::from_secs(30);
/// A freeze that has not begun after this is refused by the script itself (case 4).
const FREEZE_UNTIL: SignedDuration = SignedDuration::from_secs(12);
/// The longest that a mount stays frozen, in seconds; the node sees to it by itself (invariant S2).
pub const FREEZE_LIMIT: u32 = 5;
/// How long the freeze's end is waited for.
const FREEZE_WAIT: SignedDuration = SignedDuration::from_secs(14);
/// How long the thaw's end is waited for. The mounts thaw without it.
const THAW_WAIT: SignedDuration = SignedDuration::from_secs(12);
/// How often a command is asked after. A frozen file system is waiting.
const BEAT: Duration = Duration::from_millis(300);
/// The longest that taking a set can be under way, with a freeze.
pub const LONGEST_TAKE: SignedDuration = SignedDuration::from_secs(45);

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was done.
    Done,
    /// A command was sent: its id.
    Sent(String),
    /// A set was begun.
    Taken {
        /// Its snapshots.
        snapshots: Vec<Snapshot>,
        /// How consistent it is.
        grade: Grade,
        /// What came of the freeze.
        note: String,
    },
    /// A copy was begun: its id.
    Copied(String),
    /// It failed.
    Failed(PortError),
}

/// Carries out one action.
pub async fn apply<P: Ports>(ports: &P, action: &Action) -> Applied {
    let done = match action {
        Action::SurveyNode { instance, script } => {
            return match ports.commands().send(instance, script, "Pilothouse asks where the data lies", DELIVERY).await
            {
                Ok(command) => Applied::Sent(command),
                Err(error) => Applied::Failed(error),
            };
        }
        Action::TakeSet { .. } => return take(ports, action).await,
        Action::CopySnapshot { region, copy, .. } => {
            return match ports.snapshots().copy(region, copy).await {
                Ok(id) => Applied::Copied(id),
                Err(error) => Applied::Failed(error),
            };
        }
        Action::MarkDeleting { region, snapshots, .. } => ports.snapshots().tag(region, snapshots, &deleting()).await,
        Action::TagHolds { region, snapshots, holds, .. } => {
            let tag = BTreeMap::from([(sets::HOLDS.to_owned(), holds.clone())]);
            ports.snapshots().tag(region, snapshots, &tag).await
        }
        Action::DeleteSnapshot { region, snapshot, .. } => ports.snapshots().delete(region, snapshot).await,
    };
    match done {
        Ok(()) => Applied::Done,
        Err(error) => Applied::Failed(error),
    }
}

/// Freezes where that is asked for, takes the set, thaws, and asks whether all was frozen throughout. A freeze that cannot be
/// had is no reason to take nothing: the set is what PostgreSQL recovers from after a loss of power, and is graded as that.
async fn take<P: Ports>(ports: &P, action: &Action) -> Applied {
    let Action::TakeSet { set, new, freeze, data_dir, unfrozen } = action else { return Applied::Done };
    let freeze =
        (!freeze.is_empty()).then(|| Freeze { ports, instance: &new.instance, token: set, mounts: freeze, data_dir });
    let mut note = String::new();
    let mut frozen = false;
    if let Some(freeze) = &freeze {
        match freeze.begin().await {
            Ok(()) => frozen = true,
            Err(why) => note = format!("not frozen: {why}"),
        }
    }
    let taken = ports.snapshots().create(new).await;
    let mut grade = *unfrozen;
    if let Some(freeze) = &freeze {
        // Thawed whether or not the freeze was heard of: it may have come late.
        match freeze.end().await {
            Frozen::Throughout if frozen => {
                grade = Grade::Filesystem;
                note = "frozen throughout the call".to_owned();
            }
            Frozen::Throughout => {}
            Frozen::Broken(why) if frozen => note = format!("counted as not frozen: {why}"),
            Frozen::Broken(_) => {}
        }
    }
    match taken {
        Ok(snapshots) => Applied::Taken { snapshots, grade, note },
        Err(error) => Applied::Failed(error),
    }
}

struct Freeze<'a, P> {
    ports: &'a P,
    instance: &'a str,
    token: &'a str,
    mounts: &'a [String],
    data_dir: &'a str,
}

impl<P: Ports> Freeze<'_, P> {
    fn script(&self, verb: &str, not_after: Timestamp) -> String {
        let (mounts, limit) = (self.mounts.join("\n"), FREEZE_LIMIT.to_string());
        let not_after = not_after.as_second().to_string();
        let variables = [
            ("VERB", verb),
            ("TOKEN", self.token),
            ("NOT_AFTER", &not_after),
            ("LIMIT", &limit),
            ("MOUNTS", &mounts),
            ("DATA_DIR", self.data_dir),
        ];
        survey::script(FREEZE, &variables)
    }

    async fn begin(&self) -> Result<(), String> {
        let now = self.ports.clock().now();
        let not_after = now.checked_add(FREEZE_UNTIL).unwrap_or(now);
        let (code, output) = self.run(&self.script("freeze", not_after), "freezes", FREEZE_WAIT).await?;
        if code == 0 { Ok(()) } else { Err(refusal(&output)) }
    }

    async fn end(&self) -> Frozen {
        let script = self.script("thaw", self.ports.clock().now());
        match self.run(&script, "thaws", THAW_WAIT).await {
            Ok((_, output)) => survey::frozen(&output, self.mounts),
            Err(why) => Frozen::Broken(format!("the node was not heard of after the call ({why})")),
        }
    }

    async fn run(&self, script: &str, what: &str, limit: SignedDuration) -> Result<(i32, String), String> {
        let (ports, clock) = (self.ports, self.ports.clock());
        let end = clock.now().checked_add(limit).unwrap_or(Timestamp::MAX);
        let comment = format!("Pilothouse {what} {}", self.token);
        let command = ports.commands().send(self.instance, script, &comment, DELIVERY).await;
        let command = command.map_err(|error| error.to_string())?;
        while clock.now() < end {
            clock.sleep(BEAT).await;
            // An error here says nothing of the command.
            match ports.commands().state(self.instance, &command).await {
                Ok(CommandState::Ended { code, output }) => return Ok((code, output)),
                Ok(CommandState::Lost(how)) => return Err(how),
                Ok(CommandState::Sent | CommandState::Running) | Err(_) => {}
            }
        }
        Err("no answer in time".to_owned())
    }
}

/// The script's own word for why nothing is frozen.
fn refusal(output: &str) -> String {
    let said = output.lines().find_map(|line| line.strip_prefix("refused\t"));
    said.unwrap_or("the node gave no reason").replace('\t', " ")
}
