//! How the cluster stands: the conditions `PatroniHealthy` and `EtcdHealthy`.

use domain::condition::{ConditionKind, Finding};
use domain::reason::Reason;

use super::Context;
use super::digest::{Digest, Leader};

/// What Patroni and etcd look like.
pub(super) fn cluster(context: &Context<'_>, digest: &Digest<'_>) -> Vec<(ConditionKind, Finding)> {
    let patroni = match &digest.leader {
        Leader::Node { id, name } => {
            let streaming = digest.streaming(id).len();
            let wanted = usize::from(context.nodes.min_streaming_after_terminate);
            let message = format!("{name} ({id}) leads");
            if digest.paused {
                Finding::no(Reason::PatroniPaused, format!("{message}; Patroni is paused, and fails over to nobody"))
            } else if streaming < wanted {
                Finding::no(Reason::TooFewStreaming, format!("{message}; fewer standbys than {wanted} stream"))
            } else {
                Finding::yes(Reason::LeaderAndStandbys, message)
            }
        }
        Leader::Stranger(name) => {
            Finding::no(Reason::LeaderOutsideGroup, format!("{name} is no instance of the group"))
        }
        Leader::Nobody => Finding::no(Reason::NoLeader, "no node leads".to_owned()),
        Leader::Unclear(said) => Finding::unknown(Reason::LeaderUnclear, said.clone()),
        Leader::Unknown(why) => Finding::unknown(Reason::PatroniUnreadable, why.clone()),
    };
    let mut findings = vec![(ConditionKind::PatroniHealthy, patroni)];
    if let Some(spec) = &context.nodes.etcd {
        let wanted = usize::from(spec.voters);
        let finding = match &digest.etcd {
            None => Finding::unknown(Reason::EtcdUnreadable, digest.etcd_trouble.clone()),
            Some(etcd) => {
                let voters = etcd.voters().count();
                let well = etcd.voters().filter(|member| etcd.is_well(member)).count();
                let message = format!("{well} of {voters} voters answer; the spec asks for {wanted}");
                if well >= wanted && well == voters {
                    Finding::yes(Reason::VotersWhole, message)
                } else {
                    Finding::no(Reason::VotersMissing, message)
                }
            }
        };
        findings.push((ConditionKind::EtcdHealthy, finding));
    }
    findings
}
