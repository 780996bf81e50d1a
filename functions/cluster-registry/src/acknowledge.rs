//! Letting a held-back action go on.

use std::net::Ipv4Addr;

use domain::reason::Reason;
use ports::Table;
use runtime::records::{Acknowledgement, AuditEntry};
use serde_json::{Value, json};

use crate::nearest::{nearest, no_cluster};
use crate::pause::write;
use crate::put::record;
use crate::refusal::Stop;
use crate::request::Word;
use crate::{FUNCTION, Moment};

/// Reasons that hold something back until a person lets it go on.
const REASONS: [Reason; 4] = [Reason::BootstrapRefused, Reason::Flapping, Reason::FleetBrake, Reason::RebuildingState];

/// Stores the acknowledgement of `what` for `cluster`.
///
/// # Errors
/// `what` is nothing that can be acknowledged, or there is no such cluster; or the table could not be read or written.
pub async fn acknowledge(
    table: &impl Table,
    cluster: &str,
    what: &str,
    word: &Word,
    dry_run: bool,
    moment: Moment,
) -> Result<Value, Stop> {
    if let Some(problem) = objection(what) {
        return Err(Stop::one("acknowledge.what", problem));
    }
    if record(table, "acknowledge.cluster", cluster).await?.is_none() {
        return Err(no_cluster(table, "acknowledge.cluster", cluster).await?);
    }
    let acknowledgement = Acknowledgement {
        cluster: cluster.to_owned(),
        what: what.to_owned(),
        by: word.by.clone(),
        reason: word.reason.clone(),
        at: moment.now,
    };
    if !dry_run {
        let entry = AuditEntry {
            at: moment.now,
            function: FUNCTION.to_owned(),
            what: "acknowledge".to_owned(),
            by: Some(word.by.clone()),
            detail: json!({"what": what, "reason": word.reason}),
        };
        write(table, vec![acknowledgement.put(), entry.append(cluster, moment.nonce)]).await?;
    }
    Ok(json!({"ok": true, "cluster": cluster, "what": what}))
}

/// Why `what` cannot be acknowledged; `None` where it can. One that no function looks for would be stored, and the
/// person would wait in vain.
fn objection(what: &str) -> Option<String> {
    if REASONS.iter().any(|reason| reason.code() == what) {
        return None;
    }
    if let Some(target) = what.strip_prefix("ForeignTarget:") {
        let good = target.split_once(':').is_some_and(|(address, port)| {
            address.parse::<Ipv4Addr>().is_ok() && port.parse::<u16>().is_ok_and(|p| p > 0 && p.to_string() == port)
        });
        return (!good).then(|| format!("`{what}` names no target: write `ForeignTarget:<IPv4 address>:<port>`"));
    }
    if let Some(member) = what.strip_prefix("ForeignEtcdMember:") {
        // etcd's ids use all 64 bits.
        let good = member.parse::<u64>().is_ok_and(|id| id.to_string() == member);
        return (!good).then(|| format!("`{what}` names no member: write `ForeignEtcdMember:<decimal id>`"));
    }
    if let Some(hash) = what.strip_prefix("plan:") {
        let good = (8..=128).contains(&hash.len()) && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        return (!good).then(|| format!("`{what}` is no plan hash: write `plan:` and the hash as the dry run gave it"));
    }
    let codes = REASONS.iter().map(|reason| reason.code()).chain(["ForeignTarget", "ForeignEtcdMember"]);
    if let Some(code) = nearest(what, codes.clone()) {
        let form = match code {
            "ForeignTarget" => "ForeignTarget:<address>:<port>",
            "ForeignEtcdMember" => "ForeignEtcdMember:<decimal id>",
            code => code,
        };
        return Some(format!("`{what}` cannot be acknowledged; did you mean `{form}`?"));
    }
    let known: Vec<String> = REASONS.iter().map(|reason| format!("`{reason}`")).collect();
    Some(format!(
        "`{what}` cannot be acknowledged; known are {}, `ForeignTarget:<address>:<port>`, `ForeignEtcdMember:<decimal id>` and `plan:<hash>`",
        known.join(", ")
    ))
}
