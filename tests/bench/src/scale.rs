//! The watcher over fleets of several sizes: settled, with a few changes, all new, and with a DNS that says nothing.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use stack::Zone;

use crate::cloud::Call;
use crate::failure::Failure;
use crate::figures::{growth, overdraft};
use crate::fleet::{IN_A_VPC, Rows, Template};
use crate::gates::{GROWTH, Gates, OVERDRAFT, WATCHER};
use crate::lab::{Lab, Pass, Site};
use crate::print::{Growing, line, megabytes, table, time};

const COLUMNS: [(&str, usize); 6] =
    [("pass", 22), ("clusters", 8), ("time", 8), ("CPU", 8), ("CPU/0.29", 8), ("peak", 9)];
const FUNCTION: &str = "peering-watcher";
/// As many passes as show a figure that a hundredth of a second of clock does not blur.
const SETTLED_PASSES: usize = 5;
/// A Lambda function of 512 MB has this much of a processor (1,769 MB are one: `configuration-memory`).
const SHARE: f64 = 512.0 / 1769.0;
/// Passes in which 1 % of the fleet must have failed over.
const PASSES_TO_FOLLOW: usize = 30;
/// A fleet of up to this size is followed until all of it is served; of a larger one two passes are looked at.
const FOLLOWED_TO_THE_END: usize = 100;
/// Between passes that follow something. On Lambda it is 10 s.
const GAP: Duration = Duration::from_millis(1200);

/// What one size showed.
#[derive(Debug, Clone)]
struct Settled {
    n: usize,
    processor: Duration,
    peak: u64,
    /// Of the process before its first pass.
    idle: u64,
}

/// Runs all of it, prints the tables and checks the gates.
pub(crate) fn run(lab: &Lab, sizes: &[usize], gates: &mut Gates) -> Result<(), Failure> {
    let template = lab.settle_one()?;
    line(&format!(
        "\nThe watcher, {} bytes of records for each cluster. CPU/{SHARE:.2}: the time at 512 MB if nothing is waited for.",
        template.bytes_read()
    ));
    let rows = Growing::begin("Passes", &COLUMNS);
    let mut figures = Vec::new();
    for &n in sizes {
        figures.push(settled(lab, &template, n, &rows, gates)?);
    }
    for &n in sizes {
        few_changes(lab, &template, n, &rows, gates)?;
    }
    for &n in sizes {
        all_new(lab, &template, n, &rows, gates)?;
    }
    for &n in sizes {
        dns_dead(lab, &template, n, &rows, gates)?;
    }
    let mut rows = Vec::new();
    for (small, large) in figures.iter().zip(figures.iter().skip(1)) {
        rows.push(grown(small, large, gates));
    }
    table(
        "Growth of a settled pass, in multiples of the fleet's (1.00 is linear)",
        &["from", "to", "CPU", "memory"],
        &rows,
    );
    Ok(())
}

/// A cold pass, which reads what every process reads once, and then those that a fleet costs every ten seconds.
fn settled(lab: &Lab, template: &Template, n: usize, rows: &Growing, gates: &mut Gates) -> Result<Settled, Failure> {
    let site = Site::fill(template, n, Rows::Settled)?;
    let watcher = lab.start(FUNCTION, &site)?;
    let idle = watcher.usage()?.peak;
    let fewest: usize =
        ["cluster", "control", "state#peering-watcher"].iter().map(|partition| site.cloud.pages(partition)).sum();
    let cold = site.pass(&watcher)?;
    rows.row(&row("settled, cold", n, &cold));
    let mut passes = Vec::new();
    for _ in 0..SETTLED_PASSES {
        // As much of ELB's budget comes back as a turn of looks takes.
        thread::sleep(Duration::from_secs(3));
        passes.push(site.pass(&watcher)?);
    }
    // Where a machine is too busy to answer names in time, the watcher rightly notes it, and that is not what is measured.
    // What the code itself does in every pass it does in the quietest, too.
    let quietest = passes.iter().min_by_key(|pass| pass.calls.len()).unwrap_or(&cold);
    let unchanged = quietest.outcome("unchanged");
    gates.check(unchanged == n, || format!("{n} settled: {unchanged} unchanged"));
    calls_of_a_settled_pass(n, fewest, quietest, gates);
    if cold.outcome("unchanged") == n {
        calls_of_a_settled_pass(n, fewest, &cold, gates);
    }
    let all: Vec<Call> = std::iter::once(&cold).chain(&passes).flat_map(|pass| pass.calls.iter().cloned()).collect();
    within_elbs_budget("settled", n, &all, gates);
    rows.row(&row("settled", n, quietest));
    let peak = passes.last().unwrap_or(&cold).peak;
    gates.check(peak <= WATCHER, || format!("{n} settled: peak {} of 512 MB", megabytes(peak)));
    let quiet: Vec<Duration> =
        passes.iter().filter(|pass| !pass.calls.iter().any(Call::writes)).map(|pass| pass.processor).collect();
    let processor = quiet.iter().sum::<Duration>() / u32::try_from(quiet.len()).unwrap_or(1).max(1);
    Ok(Settled { n, processor, peak, idle })
}

fn calls_of_a_settled_pass(n: usize, fewest: usize, pass: &Pass, gates: &mut Gates) {
    let kinds = by_kind(&pass.calls);
    let of = |name: &str| kinds.get(name).copied().unwrap_or_default();
    let written = pass.calls.iter().filter(|call| call.writes()).count();
    gates.check(written == 0, || format!("{n} settled: {written} writes"));
    let lists = of("ec2:DescribeVpcPeeringConnections");
    gates.check(lists == n.div_ceil(1000), || format!("{n} settled: {lists} lists of peerings"));
    let pages = of("dynamodb:Query");
    gates.check(pages == fewest, || format!("{n} settled: {pages} pages of the table, {fewest} are the fewest"));
    let tables = of("ec2:DescribeRouteTables");
    let needed = n.div_ceil(IN_A_VPC).div_ceil(100);
    gates.check(tables <= needed, || format!("{n} settled: {tables} calls for route tables, {needed} would do"));
    let health = of("elasticloadbalancing:DescribeTargetHealth");
    let others = pass.calls.len() - lists - pages - tables - health;
    gates.check(others == 0, || format!("{n} settled: {others} calls of other kinds"));
}

/// One in a hundred fails over.
fn few_changes(lab: &Lab, template: &Template, n: usize, rows: &Growing, gates: &mut Gates) -> Result<(), Failure> {
    let site = Site::fill(template, n, Rows::Settled)?;
    let watcher = lab.start(FUNCTION, &site)?;
    site.pass(&watcher)?;
    let changed = (n / 100).max(1);
    for member in site.members.iter().take(changed) {
        site.answer(member, &member.standby());
    }
    let (passes, settled) = follow(&site, &watcher, PASSES_TO_FOLLOW, |pass| pass.outcome("unchanged") == n)?;
    let calls: Vec<Call> = passes.iter().flat_map(|pass| pass.calls.iter().cloned()).collect();
    let kinds = by_kind(&calls);
    let of = |name: &str| kinds.get(name).copied().unwrap_or_default();
    gates.check(settled, || format!("{n}, 1 % changed: not settled after {PASSES_TO_FOLLOW} passes"));
    for name in ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"] {
        gates.check(of(name) == changed, || format!("{n}, 1 % changed: {} of {name} for {changed}", of(name)));
    }
    let serving = site.cloud.serving();
    gates.check(serving == n, || format!("{n}, 1 % changed: {serving} targets serve in the end"));
    within_elbs_budget("1 % changed", n, &calls, gates);
    rows.row(&sum(&format!("1 % changed, {} passes", passes.len()), n, &passes));
    Ok(())
}

/// Every cluster was just put.
fn all_new(lab: &Lab, template: &Template, n: usize, rows: &Growing, gates: &mut Gates) -> Result<(), Failure> {
    let site = Site::fill(template, n, Rows::Put)?;
    let watcher = lab.start(FUNCTION, &site)?;
    let most = if n <= FOLLOWED_TO_THE_END { PASSES_TO_FOLLOW } else { 2 };
    let (passes, settled) = follow(&site, &watcher, most, |pass| pass.outcome("unchanged") == n)?;
    let calls: Vec<Call> = passes.iter().flat_map(|pass| pass.calls.iter().cloned()).collect();
    for pass in &passes {
        gates.check(pass.reported() == n, || format!("{n} all new: {} reported", pass.reported()));
        gates.check(pass.outcome("failed") == 0, || format!("{n} all new: {} failed", pass.outcome("failed")));
    }
    if n <= FOLLOWED_TO_THE_END {
        gates.check(settled, || format!("{n} all new: not settled after {most} passes"));
        let serving = site.cloud.serving();
        gates.check(serving == n, || format!("{n} all new: {serving} targets serve in the end"));
    }
    within_elbs_budget("all new", n, &calls, gates);
    rows.row(&sum(&format!("all new, {} passes", passes.len()), n, &passes));
    Ok(())
}

/// No name is answered any more.
fn dns_dead(lab: &Lab, template: &Template, n: usize, rows: &Growing, gates: &mut Gates) -> Result<(), Failure> {
    let site = Site::fill(template, n, Rows::Settled)?;
    let watcher = lab.start(FUNCTION, &site)?;
    for member in &site.members {
        site.dns.set(&member.host, Zone::Silent);
    }
    let pass = site.pass(&watcher)?;
    gates.check(pass.reported() == n, || format!("{n}, DNS dead: {} reported", pass.reported()));
    gates.check(pass.outcome("failed") == 0, || format!("{n}, DNS dead: {} failed", pass.outcome("failed")));
    let changes = pass.calls.iter().filter(|call| call.changes_the_world()).count();
    gates.check(changes == 0, || format!("{n}, DNS dead: {changes} changes outside our table"));
    let serving = site.cloud.serving();
    gates.check(serving == n, || format!("{n}, DNS dead: {serving} targets serve"));
    within_elbs_budget("DNS dead", n, &pass.calls, gates);
    rows.row(&row("DNS dead", n, &pass));
    Ok(())
}

fn follow(
    site: &Site,
    watcher: &crate::process::Process,
    most: usize,
    done: impl Fn(&Pass) -> bool,
) -> Result<(Vec<Pass>, bool), Failure> {
    let mut passes = Vec::new();
    while passes.len() < most {
        let pass = site.pass(watcher)?;
        // The first one has not seen two answers of a name, and nothing before it was done.
        let over = !passes.is_empty() && done(&pass);
        passes.push(pass);
        if over {
            return Ok((passes, true));
        }
        thread::sleep(GAP);
    }
    Ok((passes, false))
}

/// ELB's documented buckets: 40 reads that refill at 10 a second, 20 registrations at 4 (`elb-api-throttling`).
fn within_elbs_budget(pass: &str, n: usize, calls: &[Call], gates: &mut Gates) {
    let times = |reads: bool| {
        let of_elb = calls.iter().filter(|call| call.name.starts_with("elasticloadbalancing:"));
        of_elb.filter(move |call| call.name.contains(":Describe") == reads).map(|call| call.at)
    };
    let reads = overdraft(times(true), 40.0, 10.0);
    gates.check(reads <= OVERDRAFT, || format!("{n} {pass}: ELB's reads overdrawn by {reads:.1}"));
    let writes = overdraft(times(false), 20.0, 4.0);
    gates.check(writes <= OVERDRAFT, || format!("{n} {pass}: ELB's registrations overdrawn by {writes:.1}"));
    let refused = calls.iter().filter(|call| call.status >= 400).map(|call| &call.name).collect::<Vec<_>>();
    gates.check(refused.is_empty(), || {
        format!("{n} {pass}: {} calls refused, {:?} first", refused.len(), refused.first())
    });
}

fn grown(small: &Settled, large: &Settled, gates: &mut Gates) -> Vec<String> {
    #[expect(clippy::cast_precision_loss, reason = "a size in bytes")]
    let memory = |of: &Settled| (of.n, of.peak.saturating_sub(of.idle) as f64);
    let processor = |of: &Settled| (of.n, of.processor.as_secs_f64());
    let (processor, memory) = (growth(processor(small), processor(large)), growth(memory(small), memory(large)));
    let check = |gates: &mut Gates, what: &str, ratio: f64| {
        gates.check(ratio <= GROWTH, || {
            format!("from {} to {} clusters {what} grows {ratio:.2} times as fast", small.n, large.n)
        });
    };
    check(gates, "processor time", processor);
    check(gates, "memory", memory);
    vec![small.n.to_string(), large.n.to_string(), format!("{processor:.2}"), format!("{memory:.2}")]
}

fn row(what: &str, n: usize, pass: &Pass) -> Vec<String> {
    sum(what, n, std::slice::from_ref(pass))
}

/// Several passes as one row: times and calls together, the outcomes of the last.
fn sum(what: &str, n: usize, passes: &[Pass]) -> Vec<String> {
    let taken: Duration = passes.iter().map(|pass| pass.time).sum();
    let processor: Duration = passes.iter().map(|pass| pass.processor).sum();
    let peak = passes.iter().map(|pass| pass.peak).max().unwrap_or_default();
    let kinds = by_kind(passes.iter().flat_map(|pass| &pass.calls));
    let calls: Vec<String> = kinds.iter().map(|(name, n)| format!("{} {n}", short(name))).collect();
    let outcomes =
        passes.last().and_then(|pass| pass.report.get("counts")).map(ToString::to_string).unwrap_or_default();
    vec![
        what.to_owned(),
        n.to_string(),
        time(taken),
        time(processor),
        time(processor.div_f64(SHARE)),
        megabytes(peak),
        outcomes.replace(['{', '}', '"'], "").replace(',', ", ").replace(':', " "),
        calls.join(", "),
    ]
}

fn by_kind<'a>(calls: impl IntoIterator<Item = &'a Call>) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for call in calls {
        *kinds.entry(call.name.clone()).or_default() += 1;
    }
    kinds
}

/// The operation, without the service that it belongs to.
fn short(name: &str) -> &str {
    name.split(':').nth(1).unwrap_or(name)
}
