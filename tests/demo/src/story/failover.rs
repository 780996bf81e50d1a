//! Step 6: the writer moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use stack::{Control, TargetRow, Zone};

use crate::failure::Failure;
use crate::layout::{Style, span};
use crate::print::{Narrator, outcome, state};
use crate::report::Cluster;
use crate::stage::{FIRST, HOST, PORT, SECOND, Stage, TTL, pause, states};

/// Seconds between two passes.
const GAP: f64 = 1.2;
/// More passes than it can take.
const MOST_PASSES: usize = 20;

/// The customer's primary moves to another server.
pub(super) fn failover(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("A failover: the customer's primary moves")?;
    let before = stage.look()?;
    stage.name_answers(Zone::addresses(&[SECOND], TTL));
    say.happened(&format!(
        "the customer switches over; {HOST} answers {SECOND}, TTL {TTL} s. Each line is a pass (on AWS: every 10 s)"
    ))?;
    let (moved, watch) = (say.seconds(), Watch::over(stage));
    let mut passes: Vec<Pass> = Vec::new();
    loop {
        let cluster = stage.pass()?;
        let pass =
            Pass { number: passes.len() + 1, at: say.seconds() - moved, cluster, targets: stage.look()?.targets };
        pass.tell(say)?;
        let over = pass.cluster.outcome == "unchanged" && states(&pass.targets) == [format!("{SECOND}:{PORT} healthy")];
        let stuck = ["blocked", "failed"].contains(&pass.cluster.outcome.as_str());
        passes.push(pass);
        if over || stuck || passes.len() == MOST_PASSES {
            break;
        }
        pause(GAP);
    }
    let looks = watch.end()?;
    let after = stage.look()?;
    say.targets(&before.targets, &after.targets)?;
    if let Some(last) = passes.last() {
        say.conditions(&last.cluster)?;
    }
    let seen = || passes.last().map_or_else(String::new, |p| format!("the last pass said {}", p.cluster.headline()));
    let waits = |p: &Pass| p.cluster.ended("waiting", "AwaitingSecondAnswer") && p.cluster.actions.is_empty();
    let first = passes.first().is_some_and(waits);
    say.claim("one answer moves nothing: it may be a stale resolver's, or a split brain's", first, seen)?;
    let did =
        |verb: &str| passes.iter().find(|p| p.cluster.actions.iter().any(|a| a.verb == verb && a.result == "done"));
    let (came, went) = (did("RegisterTarget"), did("DeregisterTarget"));
    let (Some(came), Some(went)) = (came, went) else {
        return say.claim("the new primary comes and the old one goes", false, seen);
    };
    let counted = came.at >= f64::from(TTL);
    let claim =
        format!("a second answer after the TTL: {SECOND} registered after {:.1} s, in pass {}", came.at, came.number);
    say.claim(&claim, counted, seen)?;
    let claim = format!("{FIRST} left once {SECOND} was healthy: after {:.1} s, in pass {}", went.at, went.number);
    let healthy = states(&went.targets).contains(&format!("{SECOND}:{PORT} healthy"));
    say.claim(&claim, went.number > came.number && healthy, || format!("{:?}", went.targets))?;
    let claim = format!("of {} looks at the target group meanwhile, each found a healthy target", looks.all);
    say.claim(&claim, looks.all > 0 && looks.without == 0, || format!("{} looks found none", looks.without))?;
    let only = states(&after.targets) == [format!("{SECOND}:{PORT} healthy")] && before.routes == after.routes;
    say.claim("in the end the new primary serves alone, over the same route", only, || format!("{after:?}"))
}

/// A pass, and the target group after it.
struct Pass {
    number: usize,
    /// Seconds since the name moved.
    at: f64,
    cluster: Cluster,
    targets: Vec<TargetRow>,
}

impl Pass {
    fn tell(&self, say: &mut Narrator) -> Result<(), Failure> {
        let pad = |width: usize, used: usize| span(Style::Plain, " ".repeat(width.saturating_sub(used)));
        let at = format!("+{:.1} s", self.at);
        let said = self.cluster.outcome.len() + 1 + self.cluster.reason.len();
        let mut spans = vec![span(Style::Faint, format!("{at:>7}  ")), outcome(&self.cluster), pad(29, said)];
        for target in &self.targets {
            spans.extend([span(Style::Plain, format!("  {} ", target.id)), state(target), pad(8, target.state.len())]);
        }
        say.row(&format!("pass {}", self.number), &spans)
    }
}

/// Looks at the target group over and over, in a thread of its own.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Looks, stack::Error>>,
}

/// How many looks there were, and how many found no healthy target.
#[derive(Default)]
struct Looks {
    all: usize,
    without: usize,
}

impl Watch {
    fn over(stage: &Stage) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (aws, arn): (Control, String) = (stage.aws().clone(), stage.arn().to_owned());
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut looks = Looks::default();
                while !stop.load(Ordering::SeqCst) {
                    looks.all += 1;
                    looks.without += usize::from(!aws.targets(&arn)?.iter().any(|t| t.state == "healthy"));
                    thread::sleep(Duration::from_millis(20));
                }
                Ok(looks)
            }
        });
        Self { stop, thread }
    }

    fn end(self) -> Result<Looks, Failure> {
        self.stop.store(true, Ordering::SeqCst);
        match self.thread.join() {
            Ok(looks) => Ok(looks?),
            Err(_) => {
                let problem = "the thread that looks at the target group died".to_owned();
                Err(Failure::Program { program: "demo".to_owned(), problem })
            }
        }
    }
}
