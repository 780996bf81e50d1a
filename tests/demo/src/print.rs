//! The narration.

use std::io::{IsTerminal as _, Stdout, Write as _, stdout};
use std::time::Instant;

use stack::{RouteRow, TargetRow};

use crate::failure::Failure;
use crate::layout::{Span, Style, WIDTH, flow, span};
use crate::report::Cluster;

/// Where text begins, right of the labels.
const MARGIN: usize = 14;

/// Tells the story on standard output, and counts its steps and claims.
#[derive(Debug)]
pub(crate) struct Narrator {
    out: Stdout,
    colour: bool,
    began: Instant,
    step: usize,
    claims: usize,
    checked_here: bool,
}

impl Narrator {
    /// With colours where a person looks at a terminal and has not said no to them (no-color.org).
    pub(crate) fn on_stdout() -> Self {
        let out = stdout();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let colour = out.is_terminal() && !refused && !dumb;
        Self { out, colour, began: now(), step: 0, claims: 0, checked_here: false }
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        now().duration_since(self.began).as_secs_f64()
    }

    /// How many steps were told and how many claims held.
    pub(crate) fn tally(&self) -> (usize, usize) {
        (self.step, self.claims)
    }

    /// A heading: the next step, with the time.
    pub(crate) fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.step += 1;
        self.heading(&format!("{}. ", self.step), title)
    }

    /// A heading that is no step.
    pub(crate) fn heading(&mut self, before: &str, title: &str) -> Result<(), Failure> {
        self.checked_here = false;
        let time = format!("{:.1} s", self.seconds());
        let used = 3 + before.chars().count() + title.chars().count() + 1 + 1 + time.chars().count();
        let line = "─".repeat(WIDTH.saturating_sub(used));
        self.blank()?;
        self.flow(
            "",
            0,
            &[
                span(Style::Faint, "── "),
                span(Style::Strong, format!("{before}{title}")),
                span(Style::Faint, format!(" {line} {time}")),
            ],
        )
    }

    /// A paragraph without a label.
    pub(crate) fn text(&mut self, style: Style, text: &str) -> Result<(), Failure> {
        self.flow("  ", 2, &[span(style, text)])
    }

    /// Lines as another program printed them, broken where they are too wide.
    pub(crate) fn verbatim(&mut self, text: &str) -> Result<(), Failure> {
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            let spans = [span(Style::Plain, line.trim_start())];
            self.flow(&" ".repeat(2 + indent), 4 + indent, &spans)?;
        }
        Ok(())
    }

    /// A paragraph with a label.
    pub(crate) fn row(&mut self, label: &str, spans: &[Span]) -> Result<(), Failure> {
        self.row_hanging(label, 0, spans)
    }

    /// A paragraph with a label, whose further lines begin `hang` columns further in.
    fn row_hanging(&mut self, label: &str, hang: usize, spans: &[Span]) -> Result<(), Failure> {
        self.checked_here = false;
        let first = format!("  {label:<width$}", width = MARGIN - 2);
        self.flow(&first, MARGIN + hang, spans)
    }

    /// What the customer, the operator or AWS did.
    pub(crate) fn happened(&mut self, text: &str) -> Result<(), Failure> {
        self.row("happened", &[span(Style::Plain, text)])
    }

    /// A command as typed.
    pub(crate) fn command(&mut self, command: &str) -> Result<(), Failure> {
        self.row("", &[span(Style::Faint, format!("$ {command}"))])
    }

    /// What the watcher answered: outcome, reason, message, and each action.
    pub(crate) fn watcher(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let mut spans = vec![outcome(cluster)];
        if !cluster.message.is_empty() {
            spans.push(span(Style::Plain, format!(": {}", cluster.message)));
        }
        self.row("watcher", &spans)?;
        for action in &cluster.actions {
            let result = action.result();
            let style = if result == "done" { Style::Good } else { Style::Bad };
            let spans = [span(style, result), span(Style::Plain, format!(" {} {}", action.verb, action.on))];
            self.row("", &spans)?;
        }
        Ok(())
    }

    /// The target group before and after.
    pub(crate) fn targets(&mut self, before: &[TargetRow], after: &[TargetRow]) -> Result<(), Failure> {
        let describe = |row: &TargetRow| {
            let address = format!("{:<15} zone {:<4} ", format!("{}:{}", row.id, row.port), zone(row));
            vec![span(Style::Plain, address), state(row)]
        };
        self.before_and_after("targets", before, after, describe)
    }

    /// The routes to the peer before and after.
    pub(crate) fn routes(&mut self, before: &[RouteRow], after: &[RouteRow]) -> Result<(), Failure> {
        let describe = |row: &RouteRow| {
            let style = if row.state == "active" { Style::Good } else { Style::Bad };
            let leads = format!("{} -> {} ", row.destination, row.target.as_deref().unwrap_or("?"));
            vec![span(Style::Plain, leads), span(style, row.state.clone())]
        };
        self.before_and_after("routes", before, after, describe)
    }

    fn before_and_after<T: PartialEq>(
        &mut self,
        label: &str,
        before: &[T],
        after: &[T],
        describe: impl Fn(&T) -> Vec<Span>,
    ) -> Result<(), Failure> {
        let lines = |rows: &[T]| match rows {
            [] => vec![vec![span(Style::Faint, "none")]],
            rows => rows.iter().map(&describe).collect(),
        };
        let same = vec![vec![span(Style::Faint, "the same")]];
        let after = if before == after { same } else { lines(after) };
        let mut label = label;
        for (when, rows) in [("before", lines(before)), ("after", after)] {
            let mut when = when;
            for row in rows {
                let mut spans = vec![span(Style::Faint, format!("{when:<7} "))];
                spans.extend(row);
                self.row(label, &spans)?;
                (label, when) = ("", "");
            }
        }
        Ok(())
    }

    /// The conditions: those that hold, then those that don't and why. What the watcher's own line says is not said again.
    pub(crate) fn conditions(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let mut label = "conditions";
        for group in cluster.groups() {
            let names = group.names.join(", ");
            let (mark, text) = match (group.status, group.message) {
                ("true", _) => (span(Style::Good, "yes "), names),
                (status, message) => {
                    let mark = if status == "false" { span(Style::Bad, "no  ") } else { span(Style::Pending, "?   ") };
                    let said = message.filter(|text| *text != cluster.message).map(|text| format!(": {text}"));
                    (mark, format!("{names} {}{}", group.reason, said.unwrap_or_default()))
                }
            };
            self.row_hanging(label, 4, &[mark, span(Style::Plain, text)])?;
            label = "";
        }
        Ok(())
    }

    /// Says what was checked; ends the demo where it does not hold, with what was `seen` instead.
    pub(crate) fn claim(&mut self, claim: &str, holds: bool, seen: impl FnOnce() -> String) -> Result<(), Failure> {
        let label = if self.checked_here { "" } else { "checked" };
        let mark = if holds { span(Style::Good, "✓ ") } else { span(Style::Bad, "✗ ") };
        self.row_hanging(label, 2, &[mark, span(Style::Plain, claim)])?;
        self.checked_here = true;
        if holds {
            self.claims += 1;
            return Ok(());
        }
        Err(Failure::Claim { step: self.step, claim: claim.to_owned(), seen: seen() })
    }

    /// An empty line.
    pub(crate) fn blank(&mut self) -> Result<(), Failure> {
        Ok(writeln!(self.out)?)
    }

    fn flow(&mut self, first: &str, rest: usize, spans: &[Span]) -> Result<(), Failure> {
        let mut out = self.out.lock();
        for line in flow(first, rest, spans, self.colour) {
            writeln!(out, "{line}")?;
        }
        Ok(out.flush()?)
    }
}

/// The outcome and its reason, coloured by who has to act.
pub(crate) fn outcome(cluster: &Cluster) -> Span {
    let style = match cluster.outcome.as_str() {
        "changed" | "unchanged" => Style::Good,
        "waiting" => Style::Pending,
        _ => Style::Bad,
    };
    span(style, format!("{} {}", cluster.outcome, cluster.reason))
}

/// A target's state, coloured by what it means for the clients.
pub(crate) fn state(row: &TargetRow) -> Span {
    let style = match row.state.as_str() {
        "healthy" => Style::Good,
        "initial" => Style::Pending,
        "draining" => Style::Faint,
        _ => Style::Bad,
    };
    span(style, row.state.clone())
}

fn zone(row: &TargetRow) -> &str {
    row.zone.as_deref().unwrap_or("-")
}

#[allow(
    clippy::disallowed_methods,
    reason = "the demo tells how long things take on this machine; it decides nothing by it"
)]
fn now() -> Instant {
    Instant::now()
}
