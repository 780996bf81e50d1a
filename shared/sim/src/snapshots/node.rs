//! The file systems of nodes, and the scripts of the restore points that run on them: what they print, and what they freeze.
//!
//! Held here (`fsfreeze(8)`; the scripts' own terms): a script is known by the assignments before its text (`VERB='freeze'`, or
//! `CHECKPOINT=` without a verb for the survey); a freeze that comes after its time does nothing; all mounts are frozen or none, and
//! one that holds what must go on never; each thaws by itself after its limit, whatever else happens; a token is good for one freeze.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::instances::after;
use crate::patroni::NodeTruth;
use crate::wal::Position;
use crate::world::State;

/// A mount of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub path: String,
    /// The type of its file system.
    pub kind: String,
    /// What is under it: the volume (empty: no EBS volume), the kernel's name, and what it is (`ebs`, `instance-store`).
    pub disks: Vec<(String, String, String)>,
    /// What it holds that must never be frozen.
    pub holds: Option<String>,
    /// It cannot be frozen.
    pub refuses: bool,
    /// It cannot be thawed when asked: it does so by itself.
    pub stays: bool,
}

/// A node's file systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystems {
    /// PostgreSQL's data directory.
    pub data: String,
    /// What of the data lies where: `data`, `wal`, or a tablespace's OID; the path; the mount.
    pub places: Vec<(String, String, String)>,
    /// The mounts.
    pub mounts: Vec<Mount>,
    /// A sentence that the survey ends with instead.
    pub problem: Option<String>,
}

impl FileSystems {
    /// The volumes that hold the data: those under the mounts of all places.
    #[must_use]
    pub fn volumes(&self) -> BTreeSet<&str> {
        let on = |mount: &&Mount| self.places.iter().any(|(.., place)| *place == mount.path);
        self.mounts.iter().filter(on).flat_map(|mount| &mount.disks).map(|(volume, ..)| volume.as_str()).collect()
    }

    /// Data and WAL together, on one ext4 over these volumes.
    #[must_use]
    pub fn over(mount: &str, volumes: &[String]) -> Self {
        let data = format!("{mount}/15/main");
        let disk = |(n, volume): (usize, &String)| (volume.clone(), format!("/dev/nvme{}n1", n + 1), "ebs".to_owned());
        let place = |what: &str, path: String| (what.to_owned(), path, mount.to_owned());
        Self {
            places: vec![place("data", data.clone()), place("wal", format!("{data}/pg_wal"))],
            data,
            mounts: vec![Mount {
                path: mount.to_owned(),
                kind: "ext4".to_owned(),
                disks: volumes.iter().enumerate().map(disk).collect(),
                holds: None,
                refuses: false,
                stays: false,
            }],
            problem: None,
        }
    }
}

/// One freeze of one mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// The instance.
    pub instance: String,
    /// The mount.
    pub mount: String,
    /// Whose it is.
    pub token: String,
    /// Since when.
    pub from: Timestamp,
    /// It thaws by itself after this.
    pub limit: Duration,
    /// When it was thawed before that.
    pub thawed: Option<Timestamp>,
    /// Whether the node led.
    pub led: bool,
    /// Whether the node was the synchronous standby.
    pub synchronous: bool,
    /// What whoever thawed it was told.
    pub answer: Option<&'static str>,
    /// Another mount could not be frozen, and this one was thawed at once.
    pub undone: bool,
}

impl Freeze {
    /// When it was over, or will be.
    #[must_use]
    pub fn over(&self) -> Timestamp {
        let limit = after(self.from, self.limit);
        self.thawed.map_or(limit, |thawed| thawed.min(limit))
    }
}

/// The file systems of all nodes, and every freeze.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nodes {
    systems: BTreeMap<String, FileSystems>,
    freezes: Vec<Freeze>,
}

/// The value that a script is given: `NAME='value'`, a quote in it as `'\''`.
fn given(script: &str, name: &str) -> Option<String> {
    let start = format!("{name}='");
    let mut rest = match script.strip_prefix(&start) {
        Some(rest) => rest,
        None => script.split_once(&format!("\n{start}"))?.1,
    };
    let mut value = String::new();
    loop {
        let (part, next) = rest.split_once('\'')?;
        value.push_str(part);
        match next.strip_prefix("\\''") {
            Some(next) => {
                value.push('\'');
                rest = next;
            }
            None => return Some(value),
        }
    }
}

fn moment(at: Timestamp) -> String {
    let milliseconds = at.as_millisecond();
    format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000))
}

fn refused(code: i32, why: &str) -> (i32, String) {
    (code, format!("refused\t{why}\nend\n"))
}

fn problem(what: &str) -> (i32, String) {
    (1, format!("problem\t{what}\nend\n"))
}

impl State {
    /// A node has these file systems from now on.
    pub fn put_file_systems(&mut self, instance: &str, systems: FileSystems) {
        self.nodes.systems.insert(instance.to_owned(), systems);
    }

    /// A node's file systems.
    #[must_use]
    pub fn file_systems(&self, instance: &str) -> Option<&FileSystems> {
        self.nodes.systems.get(instance)
    }

    /// Somebody changes a node's file systems.
    pub fn change_file_systems(&mut self, instance: &str, change: impl FnOnce(&mut FileSystems)) {
        if let Some(systems) = self.nodes.systems.get_mut(instance) {
            change(systems);
        }
    }

    /// Every freeze that there was.
    #[must_use]
    pub fn freezes(&self) -> &[Freeze] {
        &self.nodes.freezes
    }

    fn node_of(&self, instance: &str) -> Option<(NodeTruth, u32)> {
        let group = &self.machines.get(instance)?.group;
        let cluster = self.clusters.get(group)?;
        let node = cluster.nodes().into_iter().find(|node| node.instance == instance)?;
        let timeline = node.received.map_or(0, |place| cluster.timeline(place.branch));
        Some((node, timeline))
    }

    /// What an instance's database had received, or written.
    pub(super) fn log_of(&self, instance: &str) -> Option<Position> {
        self.node_of(instance).and_then(|(node, _)| node.received)
    }

    /// Whether the file system on a volume is frozen.
    pub(super) fn is_frozen(&self, instance: &str, volume: &str, now: Timestamp) -> bool {
        let mounts = self.nodes.systems.get(instance).into_iter().flat_map(|systems| &systems.mounts);
        let mut on = mounts.filter(|mount| mount.disks.iter().any(|(of, ..)| of == volume));
        on.any(|mount| {
            let mut freezes = self.nodes.freezes.iter().filter(|f| f.instance == instance && f.mount == mount.path);
            freezes.any(|freeze| freeze.from <= now && now < freeze.over())
        })
    }

    /// Runs a script of the restore points. Gives its exit code and what it prints; `None`: it is another's.
    pub(crate) fn run_node_script(&mut self, instance: &str, script: &str, now: Timestamp) -> Option<(i32, String)> {
        match given(script, "VERB").as_deref() {
            Some("freeze") => Some(self.freeze(instance, script, now)),
            Some(verb @ ("thaw" | "tell")) => Some(self.thaw(instance, script, verb == "thaw", now)),
            Some(_) => None,
            None => given(script, "CHECKPOINT").map(|_| match given(script, "STOPPED").as_deref() {
                Some("yes") => self.survey_stopped(instance, &given(script, "DATA_DIR").unwrap_or_default()),
                _ => self.survey(instance),
            }),
        }
    }

    fn survey(&self, instance: &str) -> (i32, String) {
        match self.node_of(instance).filter(|(node, _)| node.postgres) {
            Some((node, timeline)) => self.tell_layout(instance, &node, timeline, node.writable),
            None => self.tell_nothing(instance, "PostgreSQL does not answer"),
        }
    }

    /// What PostgreSQL has left behind, as `pg_controldata` and `standby.signal` say.
    fn survey_stopped(&self, instance: &str, data: &str) -> (i32, String) {
        if data.is_empty() {
            return self.tell_nothing(instance, "PostgreSQL has stopped, and DATA_DIR is not given");
        }
        let Some((node, timeline)) = self.node_of(instance).filter(|(node, _)| !node.postgres) else {
            return self.tell_nothing(instance, &format!("PostgreSQL runs on {data} still"));
        };
        let cluster = self.machines.get(instance).and_then(|machine| self.clusters.get(&machine.group));
        let led = cluster.is_some_and(|cluster| cluster.leader().is_none());
        self.tell_layout(instance, &node, timeline, led)
    }

    fn tell_nothing(&self, instance: &str, why: &str) -> (i32, String) {
        let known = self.nodes.systems.get(instance);
        let own = known.map_or(Some("no data directory"), |systems| systems.problem.as_deref());
        problem(own.unwrap_or(why))
    }

    fn tell_layout(&self, instance: &str, node: &NodeTruth, timeline: u32, leads: bool) -> (i32, String) {
        let Some(systems) = self.nodes.systems.get(instance).filter(|systems| systems.problem.is_none()) else {
            return self.tell_nothing(instance, "");
        };
        let role = if leads { "leader" } else { "replica" };
        let mut lines = vec![
            "survey\t1".to_owned(),
            format!("role\t{role}"),
            "synchronous\tunknown".to_owned(),
            "system\t7301234567890123456".to_owned(),
            format!("timeline\t{timeline}"),
            "version\t150005".to_owned(),
            format!("redo\t{:X}/{:X}", node.replayed >> 32, node.replayed & 0xFFFF_FFFF),
            format!("data\t{}", systems.data),
            "full_page_writes\ton".to_owned(),
        ];
        lines.extend(systems.places.iter().map(|(what, path, mount)| format!("place\t{what}\t{path}\t{mount}")));
        for mount in &systems.mounts {
            lines.push(format!("mount\t{}\t{}", mount.path, mount.kind));
            lines.extend(mount.holds.iter().map(|what| format!("holds\t{}\t{what}", mount.path)));
            lines.extend(mount.disks.iter().map(|(volume, device, kind)| {
                let volume = if volume.is_empty() { "-" } else { volume };
                format!("disk\t{}\t{volume}\t{device}\t{kind}", mount.path)
            }));
        }
        lines.extend(["checkpoint\tdone".to_owned(), "end".to_owned(), String::new()]);
        (0, lines.join("\n"))
    }

    fn freeze(&mut self, instance: &str, script: &str, now: Timestamp) -> (i32, String) {
        let number = |name: &str| given(script, name).and_then(|text| text.parse::<i64>().ok());
        let Some(limit) = number("LIMIT").and_then(|limit| u64::try_from(limit).ok()).filter(|n| (1..=5).contains(n))
        else {
            return refused(3, "LIMIT must be a whole number of seconds, 1 to 5");
        };
        let Some(not_after) = number("NOT_AFTER") else { return refused(3, "NOT_AFTER must be seconds since 1970") };
        if now.as_second() > not_after {
            return refused(2, &format!("too late: it is after {not_after}"));
        }
        let token = given(script, "TOKEN").unwrap_or_default();
        let theirs = |f: &&Freeze| f.instance == instance;
        if self.nodes.freezes.iter().filter(theirs).any(|f| f.token == token) {
            return refused(3, &format!("there has been a freeze {token}"));
        }
        let node = self.node_of(instance).map(|(node, _)| node);
        let mounts = self.nodes.systems.get(instance).map(|systems| systems.mounts.as_slice()).unwrap_or_default();
        let mut chosen = Vec::new();
        let wanted = given(script, "MOUNTS").unwrap_or_default();
        for path in wanted.lines().filter(|path| !path.is_empty()) {
            let Some(mount) = mounts.iter().find(|mount| mount.path == path) else {
                return refused(3, &format!("{path} does not exist"));
            };
            if let Some(what) = &mount.holds {
                return refused(3, &format!("{path} must not be frozen: it holds what must go on ({what})"));
            }
            if let Some(busy) = self.nodes.freezes.iter().filter(theirs).find(|f| f.mount == path && f.over() > now) {
                return refused(3, &format!("{path}: the freeze {} is not over", busy.token));
            }
            chosen.push(mount);
        }
        if chosen.is_empty() {
            return refused(3, "no mount point is given");
        }
        let failed = chosen.iter().find(|mount| mount.refuses).map(|mount| mount.path.clone());
        let frozen = chosen.iter().filter(|mount| !mount.refuses).map(|mount| Freeze {
            instance: instance.to_owned(),
            mount: mount.path.clone(),
            token: token.clone(),
            from: now,
            limit: Duration::from_secs(limit),
            thawed: failed.is_some().then_some(now),
            led: node.as_ref().is_some_and(|node| node.leads || node.writable),
            synchronous: node.as_ref().is_some_and(|node| node.synchronous),
            answer: None,
            undone: failed.is_some(),
        });
        let frozen: Vec<Freeze> = frozen.collect();
        let lines: String = frozen.iter().map(|f| format!("frozen\t{}\t{}\n", f.mount, moment(f.from))).collect();
        self.nodes.freezes.extend(frozen);
        match failed {
            // The others are thawed at once.
            Some(path) => refused(4, &format!("{path} could not be frozen: Operation not supported")),
            None => (0, format!("{lines}end\n")),
        }
    }

    fn thaw(&mut self, instance: &str, script: &str, thaws: bool, now: Timestamp) -> (i32, String) {
        let token = given(script, "TOKEN").unwrap_or_default();
        let nodes = &mut self.nodes;
        let stays = |mount: &str| {
            let systems = nodes.systems.get(instance);
            systems.is_some_and(|s| s.mounts.iter().any(|m| m.path == mount && m.stays))
        };
        let mut lines = String::new();
        let mut code = 6;
        for freeze in nodes.freezes.iter_mut().filter(|f| f.instance == instance && f.token == token && !f.undone) {
            let over = freeze.over() <= now;
            let word = freeze.answer.unwrap_or(match (over, thaws && stays(&freeze.mount)) {
                (true, _) => "early",
                (false, true) => "failed",
                (false, false) => "still",
            });
            if thaws && freeze.answer.is_none() {
                // Whoever asks again is told the same.
                freeze.answer = Some(word);
                if word == "still" {
                    freeze.thawed = Some(now);
                }
            }
            code = if word == "failed" || code == 5 { 5 } else { 0 };
            let until = freeze.over();
            let until = if until <= now { moment(until) } else { "-".to_owned() };
            lines.push_str(&format!("mount\t{}\t{word}\t{}\t{until}\n", freeze.mount, moment(freeze.from)));
        }
        if code == 6 {
            return refused(6, &format!("there is no freeze {token}"));
        }
        (code, format!("{lines}end\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::given;

    #[test]
    fn a_scripts_values_are_found_quotes_and_all() {
        let script = "VERB='freeze'\nMOUNTS='/a\n/b'\"'\"\nTOKEN='it'\\''s'\n# PORT='1'\nset -eu\n";
        assert_eq!(given(script, "VERB").unwrap(), "freeze");
        assert_eq!(given(script, "MOUNTS").unwrap(), "/a\n/b");
        assert_eq!(given(script, "TOKEN").unwrap(), "it's");
        assert_eq!(given(script, "PORT"), None);
    }
}
