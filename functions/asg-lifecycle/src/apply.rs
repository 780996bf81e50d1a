//! Carries out what was planned. It makes no choices: each action says everything.

use std::net::Ipv4Addr;
use std::time::Duration;

use domain::spec::Nodes;
use ports::{
    AutoScaling as _, Class, Commands as _, Instances as _, NodeTargets as _, PortError, Table as _, TableError,
    Volumes as _,
};
use reach::asking::{Asker, Keys, Unanswered};
use reach::gateway::{
    Credentials, ErrorCode, EtcdChanged, EtcdLearnerItem, EtcdMemberItem, ReinitializeItem, Said, SwitchoverItem,
    TlsItem, Verb,
};
use reach::patroni::{Reinitialize, Switchover};

use crate::Ports;
use crate::action::{Action, REVOKED, START_TAG};
use crate::observe::etcd_item;
use crate::plan::{COMMAND, NO_AGENT, NOT_TAKEN, SCRIPT};

/// How long an agent has to take a command up.
const DELIVERY: Duration = Duration::from_secs(60);

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was done. The text is what the next look needs to know of it: a command's id, what Patroni answered.
    Done(String),
    /// It failed. The text is what the next look needs to know of it.
    Failed(PortError, String),
}

/// Carries out one action of a cluster.
pub async fn apply<P: Ports>(ports: &P, nodes: &Nodes, keys: &Keys, action: &Action) -> Applied {
    let asker = Asker::of(ports, nodes, keys);
    let done = match action {
        Action::Heartbeat(action) => ports.auto_scaling().heartbeat(action).await,
        Action::Complete { action, result, .. } => ports.auto_scaling().complete(action, *result).await,
        Action::EndRetained { instance } => ports.auto_scaling().terminate(instance).await,
        Action::RegisterNode { arn, target, .. } => ports.node_targets().register(arn, target).await,
        Action::DeregisterNode { arn, target, .. } => ports.node_targets().deregister(arn, target).await,
        Action::Switchover { via, leader, candidate, .. } => {
            return switch_over(&asker, nodes, *via, leader, candidate).await;
        }
        Action::Reinitialize { via, .. } => return reinitialize(&asker, nodes, *via).await,
        Action::StopNode { instance } => {
            return match ports.commands().send(instance, SCRIPT, "Pilothouse stops Patroni", DELIVERY).await {
                Ok(id) => Applied::Done(format!("{COMMAND}{id}")),
                // No agent has ever reported from this instance.
                Err(error) if error.class == Class::NotFound => Applied::Failed(error, NO_AGENT.to_owned()),
                Err(error) => {
                    let evidence = format!("not sent: {}: {}", error.class, error.code);
                    Applied::Failed(error, evidence)
                }
            };
        }
        Action::AskFinalRestorePoint(request) => match ports.table().write(vec![request.put()]).await {
            Ok(()) | Err(TableError::ConditionFailed { .. }) => Ok(()),
            Err(TableError::Port(error)) => Err(error),
        },
        Action::MoveEtcdLeader { via, to } => return member(&asker, nodes, Verb::EtcdMoveLeader, *via, to).await,
        Action::RemoveEtcdMember { via, member: id, .. } => {
            return member(&asker, nodes, Verb::EtcdRemove, *via, id).await;
        }
        Action::PromoteLearner { via, member: id, .. } => {
            return member(&asker, nodes, Verb::EtcdPromote, *via, id).await;
        }
        Action::AddLearner { via, peer_url, .. } => return add_learner(&asker, nodes, *via, peer_url).await,
        Action::CreateVolume(volume) => ports.volumes().create(volume).await.map(|_| ()),
        Action::AttachVolume { volume, instance, device } => ports.volumes().attach(volume, instance, device).await,
        Action::EndVolumeWithInstance { instance, device } => ports.volumes().end_with_instance(instance, device).await,
        Action::DeleteVolume { volume, .. } => ports.volumes().delete(volume).await,
        Action::Grant { instance, start } => ports.instances().tag(instance, START_TAG, start.word()).await,
        Action::Revoke { instance } => ports.instances().tag(instance, START_TAG, REVOKED).await,
        Action::Protect { group, instance, on } => ports.auto_scaling().protect(group, instance, *on).await,
        Action::SuspendLaunch { group } => ports.auto_scaling().suspend_launch(group).await,
    };
    match done {
        Ok(()) => Applied::Done(String::new()),
        Err(error) => Applied::Failed(error, String::new()),
    }
}

async fn switch_over<P: Ports>(
    asker: &Asker<'_, P>,
    nodes: &Nodes,
    via: Ipv4Addr,
    leader: &str,
    candidate: &str,
) -> Applied {
    const CALL: &str = "patroni:switchover";
    let (tls, credentials) = match shown(asker, nodes, via) {
        Ok(shown) => shown,
        Err(why) => return Applied::Failed(error(CALL, Class::Denied, "CredentialsUnreadable", why), String::new()),
    };
    let item = SwitchoverItem {
        id: "0".to_owned(),
        address: via,
        port: nodes.patroni.port,
        leader: leader.to_owned(),
        candidate: candidate.to_owned(),
        tls,
        credentials,
    };
    let answer: Result<Said, Unanswered> = asker.one(Verb::PatroniSwitchover, item).await;
    let said = match answer {
        Ok(said) => Switchover::of(&said),
        Err(why) => Switchover::of_error(&reach::gateway::ItemError { code: why.code, message: why.message }),
    };
    // The reply is a hint: the cluster, read again, decides.
    let refused = |class, code: &str, said: String| {
        Applied::Failed(error(CALL, class, code, said.clone()), format!("to {candidate}: refused: {said}"))
    };
    match said {
        Switchover::Done { leader } => Applied::Done(format!("to {candidate}: {leader} leads, says Patroni")),
        Switchover::DoneInstead { actual, .. } => {
            Applied::Done(format!("to {candidate}: {actual} leads instead, says Patroni"))
        }
        Switchover::ViewChanged => Applied::Done(format!("to {candidate}: refused: another leads already")),
        Switchover::InDoubt { said } => Applied::Done(format!("to {candidate}: in doubt: {said}")),
        Switchover::Scheduled => Applied::Done(format!("to {candidate}: in doubt: scheduled for later")),
        Switchover::NotNow => Applied::Done(format!("to {candidate}: refused: not now, says the leader")),
        Switchover::NoEffect => Applied::Done(format!("to {candidate}: refused: the DCS took no order")),
        Switchover::Refused { said, .. } => refused(Class::Conflict, "Refused", said),
        Switchover::Denied { said } => refused(Class::Denied, "Denied", said),
        Switchover::NotSent { code } => refused(Class::Unavailable, "NotSent", code),
    }
}

async fn reinitialize<P: Ports>(asker: &Asker<'_, P>, nodes: &Nodes, via: Ipv4Addr) -> Applied {
    const CALL: &str = "patroni:reinitialize";
    let failed = |class, code: &str, said: String| Applied::Failed(error(CALL, class, code, said.clone()), said);
    let (tls, credentials) = match shown(asker, nodes, via) {
        Ok(shown) => shown,
        Err(why) => return failed(Class::Denied, "CredentialsUnreadable", format!("{NOT_TAKEN}{why}")),
    };
    let item = ReinitializeItem { id: "0".to_owned(), address: via, port: nodes.patroni.port, tls, credentials };
    let answer: Result<Said, Unanswered> = asker.one(Verb::PatroniReinitialize, item).await;
    let said = match answer {
        Ok(said) => Reinitialize::of(&said),
        Err(why) => Reinitialize::of_error(&reach::gateway::ItemError { code: why.code, message: why.message }),
    };
    match said {
        Reinitialize::Started => Applied::Done("it copies the leader, says Patroni".to_owned()),
        Reinitialize::InDoubt { said } => Applied::Done(format!("in doubt: {said}")),
        Reinitialize::Refused { said } => failed(Class::Conflict, "Refused", format!("{NOT_TAKEN}{said}")),
        Reinitialize::Denied { said } => failed(Class::Denied, "Denied", format!("{NOT_TAKEN}{said}")),
        Reinitialize::NotSent { code } => failed(Class::Unavailable, "NotSent", format!("{NOT_TAKEN}{code}")),
    }
}

/// What a node's Patroni is shown where it is to change something.
fn shown<P: Ports>(
    asker: &Asker<'_, P>,
    nodes: &Nodes,
    via: Ipv4Addr,
) -> Result<(Option<TlsItem>, Option<Credentials>), String> {
    let tls = asker.keys.tls(nodes.patroni.tls.as_ref(), via)?;
    Ok((tls, asker.keys.credentials(&nodes.patroni.credentials_secret)?))
}

async fn member<P: Ports>(asker: &Asker<'_, P>, nodes: &Nodes, verb: Verb, via: Ipv4Addr, member: &str) -> Applied {
    let Some(spec) = &nodes.etcd else { return Applied::Done(String::new()) };
    let ask = match etcd_item(0, spec, asker.keys, via) {
        Ok(ask) => ask,
        Err(why) => {
            let failed = error("etcd:members", Class::Denied, "CredentialsUnreadable", why);
            return Applied::Failed(failed, String::new());
        }
    };
    let item = EtcdMemberItem { ask, member: member.to_owned() };
    let answer: Result<EtcdChanged, Unanswered> = asker.one(verb, item).await;
    changed(verb, answer)
}

async fn add_learner<P: Ports>(asker: &Asker<'_, P>, nodes: &Nodes, via: Ipv4Addr, peer_url: &str) -> Applied {
    let Some(spec) = &nodes.etcd else { return Applied::Done(String::new()) };
    let ask = match etcd_item(0, spec, asker.keys, via) {
        Ok(ask) => ask,
        Err(why) => {
            let failed = error("etcd:members", Class::Denied, "CredentialsUnreadable", why);
            return Applied::Failed(failed, String::new());
        }
    };
    let item = EtcdLearnerItem { ask, peer_url: peer_url.to_owned() };
    changed(Verb::EtcdAddLearner, asker.one(Verb::EtcdAddLearner, item).await)
}

fn changed(verb: Verb, answer: Result<EtcdChanged, Unanswered>) -> Applied {
    let call = match verb {
        Verb::EtcdRemove => "etcd:remove",
        Verb::EtcdPromote => "etcd:promote",
        Verb::EtcdMoveLeader => "etcd:moveLeader",
        _ => "etcd:addLearner",
    };
    match answer {
        Ok(_) => Applied::Done(String::new()),
        // What is not there is removed.
        Err(why) if verb == Verb::EtcdRemove && why.code == ErrorCode::EtcdMemberNotFound.code() => {
            Applied::Done(String::new())
        }
        Err(why) => {
            let class = match ErrorCode::of(&why.code) {
                Some(ErrorCode::EtcdPermissionDenied | ErrorCode::AuthenticationFailed) => Class::Denied,
                Some(ErrorCode::EtcdNotReady) => Class::Conflict,
                Some(ErrorCode::BadItem | ErrorCode::VerbNotAllowed | ErrorCode::UnknownVerb) => Class::Invalid,
                _ => Class::Unavailable,
            };
            Applied::Failed(error(call, class, &why.code, why.message), String::new())
        }
    }
}

fn error(call: &'static str, class: Class, code: &str, message: String) -> PortError {
    PortError { call, class, code: code.to_owned(), message }
}
