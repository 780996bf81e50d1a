//! Steps 13 and 14: a restore point of the cluster is taken while a client writes, and becomes a cluster again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab::{Attached, Cluster as Nodes, Node, START_TAG, Writer};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::fleet::{Fleet, SETUP};
use crate::layout::{Style, span};
use crate::print::{Narrator, outcome};
use crate::stage::{ACME, pause};

/// More passes than it can take.
const MOST_PASSES: usize = 60;
const GAP: f64 = 0.7;
/// `infra/node/restore` refuses to let anything start what it has made, until somebody decides.
const GUARDED: i32 = 8;

/// What there is to restore.
struct Kept {
    set: String,
    system: String,
    copy: Bytes,
    /// The rows that were acknowledged before it was asked for.
    rows: Vec<u64>,
}

/// The bytes of its snapshot, which go when this is dropped.
struct Bytes(PathBuf);

impl Drop for Bytes {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A restore point and what it is good for; or, where nodes cannot have disks, what is left out and why.
pub(super) fn restoring(mut fleet: Fleet, say: &mut Narrator) -> Result<(), Failure> {
    if let Some(why) = fleet.no_disks() {
        let why = format!("It needs loop devices, to give nodes disks of their own: {why}");
        say.heading("", "Left out: a restore point is taken, and becomes a cluster again")?;
        return say.text(Style::Pending, &why);
    }
    let kept = taken(&fleet, say)?;
    fleet.lose_all();
    made_anew(&kept, say)
}

fn taken(fleet: &Fleet, say: &mut Narrator) -> Result<Kept, Failure> {
    say.step("A restore point, while a client writes")?;
    let leader = fleet.nodes().leader()?;
    let replica = *fleet.nodes().streaming(1)?.first().ok_or_else(|| odd("no replica streams".to_owned()))?;
    let (volume, data) = fleet.volume_of(replica)?;
    say.row("data", &[span(Style::Name, format!("{} has it on {volume}, an XFS file system", replica.name()))])?;
    // The rows of the steps before are another story's.
    leader.sql("ALTER TABLE numbered RENAME TO of_the_failover")?;
    let writer = Writer::start(&fleet.nodes().nodes().iter().map(Node::ip).collect::<Vec<_>>())?;
    say.happened("the operator puts the spec with `snapshots`, and asks for a restore point before an upgrade")?;
    let answer = fleet.put_snapshots(&data)?;
    say.claim("the registry takes it", answer.get("ok") == Some(&json!(true)), || answer.to_string())?;
    let before = settled(&writer, replica)?;
    let mark = fleet.aws().calls()?.iter().map(|call| call.n).max().unwrap_or_default();
    let request = format!(r#"{{"take": "{ACME}", "hold": "before-upgrade", "by": "the operator"}}"#);
    say.command(&format!("ph snapshot-scheduler '{request}'"))?;
    let answer = fleet.ask_scheduler(&serde_json::from_str(&request).unwrap_or_default())?;
    let set = text(&answer, "/set")?;
    passes(fleet, say, &set)?;
    let after = writer.gap();
    let point = point(fleet, &set)?.ok_or_else(|| odd(format!("{set} is not listed")))?;
    say.row("set", &[span(Style::Name, set.clone())])?;
    say.row("grade", &[span(Style::Plain, format!("{}: {}", text(&point, "/grade")?, text(&point, "/note")?))])?;
    let written = writer.stop();
    let calls = fleet.aws().calls_since(mark)?;
    let made = calls.iter().filter(|call| call.name() == "ec2:CreateSnapshots").count();
    say.claim("one call took it, and it is good: every member is stored", made == 1 && is_good(&point), || {
        format!("{made} calls, {point}")
    })?;
    let (frozen, grade) = (!text(&point, "/note")?.contains("not frozen"), text(&point, "/grade")?);
    say.claim("its grade is what the node itself says of the freeze", frozen == (grade == "filesystem"), || {
        point.to_string()
    })?;
    let told = format!("the client wrote on meanwhile, and waited {} ms at most", after.as_millis());
    say.claim(&told, written.acknowledged.len() > before, || format!("{:?}", written.interruptions))?;
    let held = point.pointer("/holds/before-upgrade/by").is_some();
    say.claim("no policy takes it away before it is released", held, || point.to_string())?;
    let member = point.pointer("/members/~1dev~1sdf/snapshot").and_then(Value::as_str).unwrap_or_default();
    let row = fleet.aws().snapshots()?.into_iter().find(|row| row.snapshot_id == member);
    let file = row.and_then(|row| row.file).ok_or_else(|| odd(format!("{member} has no bytes")))?;
    // What lies beside the lost machine's disks would be lost with them.
    let copy = Bytes(std::env::temp_dir().join(format!("pilothouse-demo-{}.copy", std::process::id())));
    fs::rename(&file, &copy.0)?;
    let rows = written.acknowledged.into_iter().take(before).collect();
    Ok(Kept { set, system: text(&point, "/origin/system")?, copy, rows })
}

/// Passes until it is good, each told that has something to tell.
fn passes(fleet: &Fleet, say: &mut Narrator, set: &str) -> Result<(), Failure> {
    let mut last = String::new();
    for number in 1..=MOST_PASSES {
        if point(fleet, set)?.is_some_and(|point| is_good(&point)) {
            return Ok(());
        }
        let cluster = fleet.scheduler_pass()?;
        let headline = format!("{} {}", cluster.outcome, cluster.reason);
        if headline != last || !cluster.actions.is_empty() {
            say.row(&format!("pass {number}"), &[outcome(&cluster)])?;
        }
        last = headline;
        pause(GAP);
    }
    Err(odd(format!("{set} was not good after {MOST_PASSES} passes: {last}")))
}

fn point(fleet: &Fleet, set: &str) -> Result<Option<Value>, Failure> {
    let list = fleet.ask_scheduler(&json!({"list": ACME}))?;
    let points = list.get("restore_points").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(points.into_iter().find(|point| point.get("set").and_then(Value::as_str) == Some(set)))
}

/// Waits for some rows, and until a replica has all of those: it follows without anybody waiting for it. How many they are.
fn settled(writer: &Writer, replica: &Node) -> Result<usize, Failure> {
    for _ in 0..100 {
        let rows = writer.acknowledged();
        pause(0.1);
        let seen: usize = replica.sql("SELECT count(*) FROM numbered")?.parse().unwrap_or_default();
        if seen >= rows && rows >= 100 {
            return Ok(rows);
        }
    }
    Err(odd(format!("{} does not follow", replica.name())))
}

fn made_anew(kept: &Kept, say: &mut Narrator) -> Result<(), Failure> {
    say.step("Every machine is lost, and a new one starts from the restore point")?;
    let mut nodes = Nodes::new(SETUP);
    let node = Node::new(&nodes.next())?;
    let volume = Attached::new(&kept.copy.0)?;
    let data = node.folder().join("postgres");
    say.happened(&format!("{} is a new machine with a volume made from {}", node.name(), kept.set))?;
    let script = Restore { node: &node };
    let (mount, dir) = (format!("{}:{}", volume.device().display(), data.display()), data.display().to_string());
    let said = script.run(&["--mount", &mount, "--data-dir", &dir, "--set", &kept.set, "--system", &kept.system], 0)?;
    say.verbatim(&said.replace(&dir, "<data>").replace(&volume.device().display().to_string(), "<volume>"))?;
    let refused = script.run(&["--check", &dir, "--patroni"], GUARDED)?;
    say.claim("Patroni may not start on it before somebody says so", refused.contains("refused"), || refused.clone())?;
    script.run(&["--release", &dir, "--settings"], 0)?;
    script.run(&["--check", &dir, "--patroni"], 0)?;
    say.happened("the operator lets it go, and grants the node to begin a cluster")?;
    node.tag(START_TAG, "bootstrap");
    node.boot()?;
    nodes.push(node);
    let leader = nodes.leader()?;
    let is = |statement: &str| leader.sql(statement);
    let system = is("SELECT system_identifier FROM pg_control_system()")?;
    say.claim("it leads, and is the same system", system == kept.system, || system.clone())?;
    let there = is("SELECT n FROM numbered ORDER BY n")?;
    let there: std::collections::BTreeSet<u64> = there.lines().filter_map(|row| row.parse().ok()).collect();
    let lost: Vec<&u64> = kept.rows.iter().filter(|row| !there.contains(row)).collect();
    let claim = format!("of {} rows acknowledged before it was asked for none is lost", kept.rows.len());
    let ended = say.claim(&claim, !kept.rows.is_empty() && lost.is_empty(), || format!("{lost:?}"));
    // What runs on the volume ends before it is unmounted.
    leader.power_off()?;
    drop(volume);
    ended
}

/// `infra/node/restore` on a node.
struct Restore<'a> {
    node: &'a Node,
}

impl Restore<'_> {
    /// Runs it to its end, which must be this one; what it said.
    fn run(&self, arguments: &[&str], wanted: i32) -> Result<String, Failure> {
        let (folder, failed) = (self.node.folder(), |problem: String| Failure::Program {
            program: "infra/node/restore".to_owned(),
            problem,
        });
        let systemd = folder.join("systemd");
        fs::create_dir_all(&systemd)?;
        fs::write(systemd.join("patroni.service"), "[Unit]\n")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/node/restore");
        let mut command = Command::new("sh");
        command.arg(script).args(arguments).current_dir("/").stdin(Stdio::null());
        command.env("PILOTHOUSE_STATE", folder.join("state")).env("PILOTHOUSE_SYSTEMD", systemd);
        let output = command.output()?;
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        if output.status.code() == Some(wanted) { Ok(said) } else { Err(failed(format!("{}: {said}", output.status))) }
    }
}

fn is_good(point: &Value) -> bool {
    point.get("good") == Some(&json!(true))
}

fn text(value: &Value, pointer: &str) -> Result<String, Failure> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| odd(format!("no {pointer} in {value}")))
}

fn odd(problem: String) -> Failure {
    Failure::Program { program: "snapshot-scheduler".to_owned(), problem }
}
