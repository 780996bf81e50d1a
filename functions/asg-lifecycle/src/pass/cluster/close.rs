//! How a cluster's pass closes: notices, and a cluster that asks for nothing any more.

use domain::spec::ClusterSpec;
use ports::{AutoScaling as _, Notices as _, Table as _, Write};
use runtime::notice::Notice;
use runtime::records::{Acknowledgement, ClaimRecord, ClusterRecord, Tombstone};

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::plan::ending::Ended;
use crate::state::{FUNCTION, LifecycleState};

/// What the claim on an Auto Scaling group begins with.
const GROUP: &str = "asg#";

impl<P: Ports> Job<'_, P> {
    /// Sends what is unsent, and writes what is left to write.
    pub(super) async fn settle(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        if self.errand.look.dry_run {
            return Ok(());
        }
        let ports = &self.keeper.ports;
        let known = self.known_state();
        if known.unsent.is_empty() && progress.audit.is_empty() {
            return Ok(());
        }
        if progress.lease.is_none() {
            // Another pass wrote them, and did not come to send them.
            self.take_lock(progress).await?;
        }
        let known = self.known_state();
        let mut unsent = Vec::new();
        for notice in Notice::news(known.unsent.clone()) {
            let body = serde_json::to_string(&notice).unwrap_or_default();
            tracing::info!(cluster = notice.cluster, condition = notice.condition, to = %notice.to, reason = notice.reason, detail = notice.message, "notice");
            if let Err(error) = ports.notices().publish(&notice.subject(), &body).await {
                tracing::warn!(cluster = notice.cluster, %error, "a notice was not sent; it is sent again in the next pass");
                unsent.push(notice);
            }
        }
        let audit = self.audit_writes(progress);
        let journals = progress.kept.iter().map(|kept| kept.journal.clone()).collect();
        self.store(progress, journals, LifecycleState { unsent, ..known }, audit).await
    }

    /// A cluster that is deleted, or asks for no nodes any more: the group and its nodes stay as they are, unprotected by us.
    pub(super) async fn let_go(&mut self, spec: &ClusterSpec, progress: &mut Progress) -> Result<Ended, Stop> {
        if self.errand.look.dry_run {
            return Ok(Ended::let_go());
        }
        self.take_lock(progress).await?;
        let ports = &self.keeper.ports;
        let state = self.known_state();
        if let (Some(instance), Some(nodes)) = (&state.protected, &spec.nodes)
            && let Err(error) = ports.auto_scaling().protect(nodes.asg.as_str(), instance, false).await
        {
            let cluster = self.record.name.as_str();
            tracing::warn!(cluster, instance, %error, "the leader stays protected from scale-in");
        }
        let mut writes = self.forgotten();
        writes.extend(self.audit_writes(progress));
        ports.table().write(writes).await?;
        Ok(Ended::let_go())
    }

    /// Our part of a cluster goes: with the last function's part the record, its claims and its acknowledgements.
    fn forgotten(&self) -> Vec<Write> {
        let mut writes = Vec::new();
        if self.state.version > 0 {
            writes.push(self.state.delete(FUNCTION, &self.record.name));
        }
        let Some(tombstone) = &self.record.tombstone else {
            let groups: Vec<String> =
                self.record.releasing.iter().filter(|claim| claim.starts_with(GROUP)).cloned().collect();
            if !groups.is_empty() {
                writes.extend(groups.iter().map(|claim| ClaimRecord::release(claim)));
                let releasing = self.record.releasing.iter().filter(|claim| !groups.contains(claim)).cloned().collect();
                writes.push(ClusterRecord { releasing, ..self.record.clone() }.put());
            }
            return writes;
        };
        let awaiting: Vec<String> = tombstone.awaiting.iter().filter(|f| *f != FUNCTION).cloned().collect();
        if awaiting.is_empty() {
            writes.push(self.record.delete());
            let claims = self.record.claims.iter().chain(&self.record.releasing);
            writes.extend(claims.map(|what| ClaimRecord::release(what)));
            writes.extend(self.acknowledged.iter().map(Acknowledgement::used));
        } else if awaiting.len() < tombstone.awaiting.len() {
            let tombstone = Some(Tombstone { awaiting, ..tombstone.clone() });
            writes.push(ClusterRecord { tombstone, ..self.record.clone() }.put());
        }
        writes
    }
}
