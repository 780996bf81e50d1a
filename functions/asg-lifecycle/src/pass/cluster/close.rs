//! How a cluster's pass closes: notices, and a cluster that asks for nothing any more.

use domain::spec::ClusterSpec;
use ports::{AutoScaling as _, Table as _};
use runtime::notice;

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
        let unsent = notice::send(ports.notices(), known.unsent.clone()).await;
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
        let state = (self.state.version > 0).then(|| self.state.delete(FUNCTION, &self.record.name));
        let mut writes = self.record.forgotten_by(FUNCTION, GROUP, &self.acknowledged, state);
        writes.extend(self.audit_writes(progress));
        ports.table().write(writes).await?;
        Ok(Ended::let_go())
    }
}
