//! Each function by itself: its package, its start, its memory after one invocation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, io};
use crate::figures::median;
use crate::fleet::{Member, Rows};
use crate::gates::{Gates, ONE_CLUSTER, START_RATIO};
use crate::lab::{BUDGET, Lab, Site};
use crate::print::{line, megabytes, table, time};
use crate::process::Process;

/// What a start is compared with: a handler that does nothing.
const EMPTY: &str = "empty-handler";
/// Starts of each program. With 15, the median of the empty handler's one millisecond wandered by a fifth from run to run, and
/// the ratios with it across their limit; with 101, by a twentieth.
const STARTS: usize = 101;
/// Whoever sends something at start has done so by then.
const QUIET: Duration = Duration::from_millis(100);

/// Runs all of it, prints the tables and checks the gates.
pub(crate) fn run(lab: &Lab, functions: &[String], gates: &mut Gates) -> Result<(), Failure> {
    sizes(lab, gates)?;
    let site = Site::fill(&lab.settle_one()?, 1, Rows::Settled)?;
    let mut starts: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut sockets: BTreeMap<&str, usize> = BTreeMap::new();
    let connections = site.cloud.connections();
    // In turns, so that whatever else the machine does hits all alike.
    for _ in 0..STARTS {
        for name in functions.iter().map(String::as_str).chain([EMPTY]) {
            let process = Process::start(&lab.program(name), &site.environment(), &lab.log(name))?;
            starts.entry(name).or_default().push(process.first_poll()?);
            let open = sockets.entry(name).or_default();
            *open = process.sockets()?.max(*open);
        }
    }
    thread::sleep(QUIET);
    let sent = site.cloud.connections() - connections + site.dns.queries().len();
    gates.check(sent == 0, || format!("{sent} connections and queries before the first poll"));
    let empty = starts.remove(EMPTY).map(median).unwrap_or_default();
    let plain = sockets.remove(EMPTY).unwrap_or_default();
    let mut rows = vec![vec![EMPTY.to_owned(), time(empty), "1.00".to_owned(), plain.to_string(), String::new()]];
    for function in functions {
        let start = starts.remove(function.as_str()).map(median).unwrap_or_default();
        let ratio = start.as_secs_f64() / empty.as_secs_f64().max(f64::MIN_POSITIVE);
        gates.check(ratio <= START_RATIO, || format!("{function}: {ratio:.2} times the start of an empty handler"));
        let open = sockets.remove(function.as_str()).unwrap_or_default();
        gates.check(open <= plain, || {
            format!("{function}: {open} sockets at its first poll, an empty handler has {plain}")
        });
        let process = lab.start(function, &site)?;
        let first = site.members.first().cloned().unwrap_or_else(|| Member::number(0));
        let answer = process.invoke(&invocation(function, &first), BUDGET)?;
        let peak = process.usage()?.peak;
        gates.check(peak <= ONE_CLUSTER, || format!("{function}: peak {} with one cluster", megabytes(peak)));
        gates.check(is_an_answer(&answer), || format!("{function} answered {answer}"));
        rows.push(vec![function.clone(), time(start), format!("{ratio:.2}"), open.to_string(), megabytes(peak)]);
    }
    table(
        &format!("Start of a process to its first poll, median of {STARTS}; peak memory after one invocation"),
        &["function", "start", "ratio", "sockets", "peak"],
        &rows,
    );
    Ok(())
}

/// What a function is asked about its one cluster. One that this list does not know must ignore `{}`.
fn invocation(function: &str, member: &Member) -> Value {
    match function {
        "cluster-registry" => json!({"status": member.name}),
        // A pass over the fleet, of which no cluster has nodes: this cloud has no Auto Scaling.
        "asg-lifecycle" => json!({"single_pass": true}),
        // The same, of which no cluster has restore points.
        "snapshot-scheduler" => json!({"single_pass": true}),
        "vpc-gateway" => json!({"v": 1, "verb": "resolve", "items": [{"id": "1", "host": member.host}]}),
        _ => json!({}),
    }
}

/// A refusal is cheap, and would measure nothing.
fn is_an_answer(answer: &Value) -> bool {
    let items = answer.pointer("/items").and_then(Value::as_array);
    answer.get("errors").is_none()
        && answer.get("ok") != Some(&Value::Bool(false))
        && items.is_none_or(|items| items.iter().all(|item| item.get("ok").is_some()))
}

/// The sizes, as `make build` shows and gates them.
fn sizes(lab: &Lab, gates: &mut Gates) -> Result<(), Failure> {
    let python =
        std::env::var_os("PILOTHOUSE_VENV").map_or_else(|| PathBuf::from(".venv"), PathBuf::from).join("bin/python");
    let shown = Command::new(&python).arg("infra/package-sizes").arg(lab.packages()).output();
    let shown = shown.map_err(io(format!("run {}", python.display())))?;
    line(&format!("\nPackages\n\n{}", String::from_utf8_lossy(&shown.stdout).trim_end()));
    gates.check(shown.status.success(), || {
        format!("a package is over its budget {}", String::from_utf8_lossy(&shown.stderr))
    });
    Ok(())
}
