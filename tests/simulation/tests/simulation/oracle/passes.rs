//! What a process was told in its present pass.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::{NameAnswer, Peering, RouteTable, TargetHealth};
use sim::{Happened, Record};

use super::Oracle;

/// One pass of one process: it begins when the fleet's records are read.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) number: u64,
    pub(crate) started: Timestamp,
    pub(crate) listed: Option<Vec<Peering>>,
    /// Every answer to a question by id: clusters that share a connection each ask, and one answer may lag behind.
    pub(crate) by_id: Vec<(String, Option<Peering>)>,
    pub(crate) targets: BTreeMap<String, Vec<TargetHealth>>,
    pub(crate) tables: BTreeMap<String, RouteTable>,
    pub(crate) names: BTreeMap<String, NameAnswer>,
}

impl Pass {
    fn new(number: u64, started: Timestamp, listed: Option<Vec<Peering>>) -> Self {
        let (by_id, targets) = (Vec::new(), BTreeMap::new());
        Self { number, started, listed, by_id, targets, tables: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// A connection as it was told, in every answer that had it.
    pub(crate) fn peering<'p>(&'p self, id: &'p str) -> impl Iterator<Item = &'p Peering> {
        let listed = self.listed.iter().flatten().filter(move |p| p.id == id);
        listed.chain(self.answers(id).flatten())
    }

    /// The answers to questions by this id.
    pub(crate) fn answers<'p>(&'p self, id: &'p str) -> impl Iterator<Item = Option<&'p Peering>> {
        self.by_id.iter().filter(move |(of, _)| of == id).map(|(_, answer)| answer.as_ref())
    }
}

impl Oracle {
    pub(crate) fn pass(&self, record: &Record) -> Option<&Pass> {
        self.passes.get(&*record.process)
    }

    /// Keeps what the caller is told.
    pub(super) fn remember(&mut self, record: &Record) {
        let process = record.process.to_string();
        let at = record.at;
        if let Happened::Queried(pk, _) = &record.happened
            && pk == "cluster"
        {
            self.passes_made += 1;
            let number = self.passes_made;
            // The list is read beside the records, so it may have come first.
            let listed = self.passes.get_mut(&process).and_then(|pass| pass.listed.take());
            self.passes.insert(process, Pass::new(number, at, listed));
            return;
        }
        let pass = self.passes.entry(process).or_insert_with(|| Pass::new(0, at, None));
        match &record.happened {
            Happened::PeeringsListed(all) => pass.listed = record.answered.then(|| all.clone()),
            Happened::PeeringRead(id, read) if record.answered => {
                pass.by_id.push((id.clone(), read.clone()));
            }
            Happened::TargetsRead(arn, targets) if record.answered => {
                pass.targets.insert(arn.clone(), targets.clone());
            }
            Happened::RouteTablesRead(tables) if record.answered => {
                pass.tables.extend(tables.iter().map(|t| (t.id.clone(), t.clone())));
            }
            Happened::NameAsked(host, answer) if record.answered => {
                pass.names.insert(host.clone(), answer.clone());
            }
            Happened::GatewayResolved(_, names) if record.answered => pass.names.extend(names.iter().cloned()),
            _ => {}
        }
    }
}
