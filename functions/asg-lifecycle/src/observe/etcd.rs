//! etcd, as every running node's member has it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use domain::spec::Nodes;
use domain::spec::nodes::Etcd;
use reach::asking::{Asker, Keys, Unanswered};
use reach::gateway::{ErrorCode, EtcdItem, EtcdView, Verb};

use crate::Ports;
use crate::observed::{Observed, Seen};

/// Asks every member at once.
pub(super) async fn look<P: Ports>(
    asker: &Asker<'_, P>,
    nodes: &Nodes,
    running: &BTreeMap<String, Ipv4Addr>,
    seen: &mut Observed,
) {
    let Some(spec) = &nodes.etcd else { return };
    let items: Result<Vec<EtcdItem>, String> =
        running.values().enumerate().map(|(number, address)| item(number, spec, asker.keys, *address)).collect();
    let items = match items {
        Ok(items) if items.is_empty() => return,
        Ok(items) => items,
        Err(why) => {
            seen.etcd = running.keys().map(|id| (id.clone(), Seen::Unknown(why.clone()))).collect();
            return;
        }
    };
    let answers: Vec<Result<EtcdView, Unanswered>> = asker.ask(Verb::EtcdMembers, items).await;
    seen.etcd = running
        .keys()
        .zip(answers)
        .map(|(id, answer)| {
            let seen = match answer {
                Ok(view) => Seen::Known(view),
                Err(error) if error.code == ErrorCode::ConnectionRefused.code() => Seen::Absent,
                Err(error) => Seen::Unknown(error.to_string()),
            };
            (id.clone(), seen)
        })
        .collect();
}

/// A question to the member at `address`.
pub(crate) fn item(number: usize, spec: &Etcd, keys: &Keys, address: Ipv4Addr) -> Result<EtcdItem, String> {
    Ok(EtcdItem {
        id: number.to_string(),
        address,
        port: spec.port,
        tls: keys.tls(spec.tls.as_ref(), address)?,
        credentials: keys.credentials(&spec.credentials_secret)?,
    })
}
