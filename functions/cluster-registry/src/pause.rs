//! The pause that holds for every cluster.

use ports::{Table, TableError};
use runtime::records::{AuditEntry, Pause};
use serde_json::{Value, json};

use crate::refusal::Stop;
use crate::request::Word;
use crate::{FUNCTION, Moment};

/// The audit trail of the whole control plane: that of no cluster.
const WHOLE_PLANE: &str = "";

/// Pauses everything, over an older pause.
///
/// # Errors
/// The table could not be written.
pub async fn pause(table: &impl Table, word: &Word, dry_run: bool, moment: Moment) -> Result<Value, Stop> {
    if !dry_run {
        let pause = Pause { by: word.by.clone(), reason: word.reason.clone(), at: Some(moment.now) };
        let entry = audit("pause", word, moment);
        write(table, vec![pause.put(), entry.append(WHOLE_PLANE, moment.nonce)]).await?;
    }
    Ok(json!({"ok": true, "paused": true}))
}

/// Ends the pause. Where nothing is paused, nothing is written.
///
/// # Errors
/// The table could not be read or written.
pub async fn resume(table: &impl Table, word: &Word, dry_run: bool, moment: Moment) -> Result<Value, Stop> {
    let paused = table.get(&Pause::key()).await?.is_some();
    if paused && !dry_run {
        let entry = audit("resume", word, moment);
        write(table, vec![Pause::end(), entry.append(WHOLE_PLANE, moment.nonce)]).await?;
    }
    Ok(json!({"ok": true, "paused": false, "changed": paused}))
}

fn audit(what: &str, word: &Word, moment: Moment) -> AuditEntry {
    AuditEntry {
        at: moment.now,
        function: FUNCTION.to_owned(),
        what: what.to_owned(),
        by: Some(word.by.clone()),
        detail: json!({"reason": word.reason}),
    }
}

/// Writes without conditions: repeated, it writes the same again, so one lost reply or one transaction in the way is
/// answered with a second try.
pub(crate) async fn write(table: &impl Table, writes: Vec<ports::Write>) -> Result<(), Stop> {
    let first = match table.write(writes.clone()).await {
        Ok(()) => return Ok(()),
        Err(TableError::Port(error)) if !error.class.settles_by_itself() => return Err(Stop::Table(error)),
        Err(error) => error,
    };
    match (table.write(writes).await, first) {
        (Ok(()), _) => Ok(()),
        (Err(TableError::Port(error)), _) | (Err(TableError::ConditionFailed { .. }), TableError::Port(error)) => {
            Err(Stop::Table(error))
        }
        (Err(TableError::ConditionFailed { .. }), TableError::ConditionFailed { .. }) => {
            Err(Stop::one("", "others are writing the same items at this moment; try again"))
        }
    }
}
