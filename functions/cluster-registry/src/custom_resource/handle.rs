//! Answers a request of CloudFormation once, whatever happens.
//!
//! CloudFormation waits for an answer up to an hour, and takes one. Lambda delivers an event at least once, and again
//! where an invocation ended in an error. So the table keeps what was done about each request: `sending` is written
//! before the answer goes out, `sent` or `unsent` after it. A later invocation of the same request answers only where it
//! finds nothing or `unsent`. A process that dies between `sending` and the PUT leaves the stack waiting: that is the
//! price for never answering twice, and the window is one call wide.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ports::{Class, Clock, Expect, Key, PortError, ResponseUrl, Table, TableError, Write};
use runtime::shell::{Failure, Invocation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, Ending};
use super::carry_out::{carry_out, given_up, id_of_refused};
use super::event::{self, Envelope};
use crate::refusal;
use crate::{Moment, Ports};

/// How often a PUT is tried of which it is certain that nothing was stored.
const TRIES: u32 = 3;
/// Between two tries.
const GAP: Duration = Duration::from_secs(1);
/// What is kept of the invocation's time for the answer: two writes and a PUT, each at most 10 s, and what lies between.
const FOR_THE_ANSWER: SignedDuration = SignedDuration::from_secs(35);
/// How long it is remembered that a request was answered. Lambda keeps an event for six hours, CloudFormation waits an hour.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Progress {
    /// The answer is about to go out, or has, with the outcome unknown.
    Sending,
    /// CloudFormation has it.
    Sent,
    /// CloudFormation certainly does not have it.
    Unsent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    state: Progress,
    /// Which run of this function wrote this. Not the invocation's id: Lambda gives a repeated one the same.
    run: u64,
    stack_id: String,
    logical_id: String,
    at: Timestamp,
}

/// Carries a request out and answers it.
///
/// # Errors
/// CloudFormation could not be given the answer. Lambda then invokes the function again with the same event, which
/// answers if it is certain that this invocation did not.
pub async fn handle<P: Ports>(ports: &P, payload: &Value, invocation: &Invocation) -> Result<Value, Failure> {
    let envelope = match event::envelope(payload) {
        Ok(envelope) => envelope,
        Err(problems) => {
            tracing::error!(?problems, "a request of CloudFormation that cannot be answered");
            return Ok(refusal::answer(&problems));
        }
    };
    let started = ports.clock().now();
    let moment = Moment::of(started, &invocation.request_id);
    // A request without an id cannot be remembered; it is answered, and no real one is such.
    let before = match key(&envelope) {
        Some(key) => read(ports.table(), &key).await,
        None => Ok(None),
    };
    // A table that cannot be read says nothing about an earlier answer. CloudFormation is answered then: it was told
    // nothing, unless Lambda delivered the event twice while the table was away.
    let before = before
        .inspect_err(|error| tracing::error!(%error, "whether this was answered before is unknown"))
        .ok()
        .flatten();
    let version = match before {
        None => None,
        Some((version, Progress::Unsent)) => Some(version),
        Some((_, state)) => {
            tracing::warn!(request = envelope.request_id, ?state, "the request was answered by an earlier invocation");
            return Ok(json!({"ok": true, "answered": "earlier"}));
        }
    };

    let ending = match event::wanted(payload, &envelope) {
        Ok(wanted) => {
            let all = invocation.deadline.duration_since(started);
            // Where the function has little time altogether, half of it must do.
            let left = all.saturating_sub(FOR_THE_ANSWER).max(all / 2).max(SignedDuration::ZERO);
            let left = Duration::try_from(left).unwrap_or_default();
            tokio::select! {
                biased;
                ending = carry_out(ports.table(), &envelope, &wanted, moment) => ending,
                () = ports.clock().sleep(left) => given_up(&envelope, &wanted, moment),
            }
        }
        Err(problems) => Ending { physical_id: id_of_refused(&envelope, payload), result: Err(problems) },
    };
    let sent = send(ports, &envelope, &ending, version).await?;
    if let Err(problems) = &ending.result {
        tracing::error!(request = envelope.request_id, stack = envelope.stack_id, ?problems, "answered FAILED");
        let mut answer = refusal::answer(problems);
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("answered".to_owned(), json!(sent));
        }
        return Ok(answer);
    }
    Ok(json!({"ok": true, "answered": sent, "physical_id": ending.physical_id}))
}

/// Sends the answer; `earlier` where another invocation came before. `version` is that of the mark that an invocation left
/// which certainly did not answer.
async fn send<P: Ports>(
    ports: &P,
    envelope: &Envelope,
    ending: &Ending,
    version: Option<u64>,
) -> Result<&'static str, Failure> {
    let run = fastrand::u64(..);
    let expect = version.map_or(Expect::Absent, Expect::Version);
    let written = version.map_or(1, |version| version + 1);
    let after = match mark(ports, envelope, Progress::Sending, expect, run).await {
        Marked::Written => Expect::Version(written),
        Marked::Trouble => Expect::Any,
        Marked::Taken => {
            tracing::warn!(request = envelope.request_id, "another invocation answers this request");
            return Ok("earlier");
        }
        Marked::Unknown(error) => return Err(refusal::failure(&error)),
    };
    let body = answer::body(envelope, ending);
    let mut result = Ok(());
    for attempt in 1..=TRIES {
        result = ports.response_url().put(&envelope.response_url, body.clone()).await;
        match &result {
            Err(error) if attempt < TRIES && nothing_stored(error) && error.class.settles_by_itself() => {
                tracing::warn!(%error, attempt, "the answer was not taken; trying again");
                ports.clock().sleep(GAP).await;
            }
            _ => break,
        }
    }
    // What is written here is for a later invocation alone: the answer is what counts, and it is out or it is not.
    match result {
        Ok(()) => {
            mark(ports, envelope, Progress::Sent, after, run).await;
            Ok("now")
        }
        Err(error) => {
            if nothing_stored(&error) {
                mark(ports, envelope, Progress::Unsent, after, run).await;
            }
            Err(Failure { code: format!("ResponseUrl.{:?}", error.class), message: error.to_string() })
        }
    }
}

/// Whether CloudFormation certainly does not have the answer. S3, behind the URL, stored nothing where it answered with an
/// error. A connection that broke, or an answer that did not come, tells nothing, so the answer is not repeated.
fn nothing_stored(error: &PortError) -> bool {
    match error.class {
        Class::Disconnected | Class::TimedOut | Class::Malformed => false,
        Class::Unavailable
        | Class::NotFound
        | Class::Throttled
        | Class::Conflict
        | Class::LimitReached
        | Class::Denied
        | Class::Invalid
        | Class::InsideVpc => true,
    }
}

fn key(envelope: &Envelope) -> Option<Key> {
    let id = &envelope.request_id;
    // DynamoDB's longest partition key has 2048 bytes.
    (!id.is_empty() && id.len() <= 1024).then(|| Key::new(format!("answer#{id}"), "answer"))
}

/// The version of the mark, and what it says. One that cannot be read is somebody's trace all the same.
async fn read(table: &impl Table, key: &Key) -> Result<Option<(u64, Progress)>, PortError> {
    let item = table.get(key).await?;
    Ok(item.map(|item| (item.version, Mark::deserialize(&item.body).map_or(Progress::Sending, |mark| mark.state))))
}

/// What came of noting how far the answer is.
enum Marked {
    /// It is noted.
    Written,
    /// The table failed. That is no reason to leave CloudFormation waiting.
    Trouble,
    /// Another run is at it.
    Taken,
    /// Somebody was there, and the table failed when it was asked who.
    Unknown(PortError),
}

async fn mark<P: Ports>(ports: &P, envelope: &Envelope, state: Progress, expect: Expect, run: u64) -> Marked {
    let Some(key) = key(envelope) else { return Marked::Trouble };
    let at = ports.clock().now();
    let mark = Mark { state, run, stack_id: envelope.stack_id.clone(), logical_id: envelope.logical_id.clone(), at };
    let body = serde_json::to_value(&mark).unwrap_or_default();
    let expires_at = at.checked_add(REMEMBERED).ok();
    match ports.table().write(vec![Write::Put { key: key.clone(), body: body.clone(), expect, expires_at }]).await {
        Ok(()) => Marked::Written,
        Err(TableError::Port(error)) => {
            tracing::error!(%error, ?state, "it could not be noted how far the answer is");
            Marked::Trouble
        }
        // The adapter repeats a write whose reply was lost, and then meets its own.
        Err(TableError::ConditionFailed { .. }) => match ports.table().get(&key).await {
            Ok(Some(found)) if found.body == body => Marked::Written,
            Ok(_) => Marked::Taken,
            Err(error) => Marked::Unknown(error),
        },
    }
}
