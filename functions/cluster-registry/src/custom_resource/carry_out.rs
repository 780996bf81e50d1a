//! What a request of CloudFormation comes to.

use domain::names::ClusterName;
use domain::spec::{self, ClusterSpec, Problem};
use ports::Table;
use runtime::records::ClusterRecord;
use serde_json::{Map, Value};

use super::answer::{Data, Ending};
use super::event::{Envelope, Wanted};
use super::physical_id::{PhysicalId, failed_create, unfinished_create};
use crate::Moment;
use crate::deletion;
use crate::ownership::Requester;
use crate::put::{self, Purpose};
use crate::refusal::{Stop, at};

/// Carries a request out. Whatever happens, there is an ending to be answered.
pub async fn carry_out(table: &impl Table, envelope: &Envelope, wanted: &Wanted, moment: Moment) -> Ending {
    match wanted {
        Wanted::Create(properties) => create(table, envelope, properties, moment).await,
        Wanted::Update { physical_id, properties } => update(table, envelope, physical_id, properties, moment).await,
        Wanted::Delete { physical_id, properties } => {
            let result = delete(table, envelope, physical_id, properties, moment).await;
            Ending { physical_id: physical_id.clone(), result: result.map(|()| Data::default()).map_err(problems) }
        }
    }
}

/// The ending of a request that is given up before its work is done, because time runs out. What was written is unknown.
#[must_use]
pub fn given_up(envelope: &Envelope, wanted: &Wanted, moment: Moment) -> Ending {
    let why = vec![at("", "the table did not answer in time; try again")];
    match wanted {
        Wanted::Create(properties) => {
            let physical_id =
                name_of(properties).map_or_else(|| failed_create(None), |name| unfinished_create(&name, moment.now));
            Ending { physical_id, result: Err(why) }
        }
        Wanted::Update { physical_id, properties } => {
            let physical_id = match name_of(properties) {
                Some(name) if name != *physical_id => unfinished_create(&name, moment.now),
                _ => physical_id.clone(),
            };
            Ending { physical_id, result: Err(why) }
        }
        Wanted::Delete { .. } => {
            Ending { physical_id: envelope.physical_id.clone().unwrap_or_default(), result: Err(why) }
        }
    }
}

/// The id that answers a request which could not even be read.
#[must_use]
pub fn id_of_refused(envelope: &Envelope, payload: &Value) -> String {
    let name = payload.get("ResourceProperties").and_then(Value::as_object).and_then(name_of);
    envelope.physical_id.clone().unwrap_or_else(|| failed_create(name.as_deref()))
}

async fn create(table: &impl Table, envelope: &Envelope, properties: &Map<String, Value>, moment: Moment) -> Ending {
    let name = name_of(properties);
    let spec = match spec_of(properties) {
        Ok(spec) => spec,
        Err(problems) => return Ending { physical_id: failed_create(name.as_deref()), result: Err(problems) },
    };
    let name = spec.name.as_str();
    match store(table, envelope, &spec, moment).await {
        Ok(data) => Ending { physical_id: name.to_owned(), result: Ok(data) },
        Err(Stop::Refused(problems)) => Ending { physical_id: failed_create(Some(name)), result: Err(problems) },
        Err(stop) => Ending { physical_id: unfinished_create(name, moment.now), result: Err(problems(stop)) },
    }
}

/// An Update under another name is a replacement: the new cluster is made, and CloudFormation deletes the old one by its
/// id once the whole stack is updated.
async fn update(
    table: &impl Table,
    envelope: &Envelope,
    physical_id: &str,
    properties: &Map<String, Value>,
    moment: Moment,
) -> Ending {
    let kept = |result| Ending { physical_id: physical_id.to_owned(), result };
    let spec = match spec_of(properties) {
        Ok(spec) => spec,
        Err(problems) => return kept(Err(problems)),
    };
    let name = spec.name.as_str();
    match store(table, envelope, &spec, moment).await {
        Ok(data) => Ending { physical_id: name.to_owned(), result: Ok(data) },
        Err(Stop::Refused(mut problems)) => {
            if name != physical_id && problems.iter().any(|p| p.problem == format!("claimed by {physical_id}")) {
                problems.push(at("name", format!(
                    "a new name makes a new cluster, which cannot take what `{physical_id}` still holds; first update \
                     `{physical_id}` to hold it no longer, or keep the name"
                )));
            }
            kept(Err(problems))
        }
        // The replacement may have been made: its id lets CloudFormation delete it, and the old cluster stays until the
        // rollback's Update names it again.
        Err(stop) if name != physical_id => {
            Ending { physical_id: unfinished_create(name, moment.now), result: Err(problems(stop)) }
        }
        Err(stop) => kept(Err(problems(stop))),
    }
}

async fn store(table: &impl Table, envelope: &Envelope, spec: &ClusterSpec, moment: Moment) -> Result<Data, Stop> {
    let requester = Requester::Stack(envelope.owner());
    let done = put::put(table, spec, Purpose::Store(&requester), moment).await?;
    Ok(Data { name: Some(spec.name.as_str().to_owned()), generation: Some(done.generation) })
}

/// Deletes what the id names if it is this resource's. Everything else is success without a deletion: an error would
/// leave the stack stuck over something that is not its own.
async fn delete(
    table: &impl Table,
    envelope: &Envelope,
    physical_id: &str,
    properties: &Map<String, Value>,
    moment: Moment,
) -> Result<(), Stop> {
    let nothing = |why: &str| {
        tracing::info!(
            physical_id,
            stack = envelope.stack_id,
            logical_id = envelope.logical_id,
            "nothing deleted: {why}"
        );
        Ok(())
    };
    let (name, created_at) = match PhysicalId::read(physical_id) {
        PhysicalId::Cluster(name) => (name, None),
        PhysicalId::FailedCreate => return nothing("the Create had failed"),
        PhysicalId::UnfinishedCreate { name, created_at } => (name, Some(created_at)),
        PhysicalId::MadeUp => match name_of(properties) {
            Some(name) => (name, None),
            None => return nothing("the id is not ours"),
        },
    };
    let record: Option<ClusterRecord> = match put::record(table, "name", &name).await {
        Ok(record) => record,
        Err(Stop::Refused(_)) => return nothing("the record cannot be read, so it is not known to be ours"),
        Err(stop) => return Err(stop),
    };
    let Some(record) = record else { return nothing("there is no such cluster") };
    if record.owner.as_ref() != Some(&envelope.owner()) {
        return nothing("the cluster is another owner's");
    }
    if created_at.is_some_and(|at| at != record.created_at) {
        return nothing("the cluster is older or younger than that Create");
    }
    let requester = Requester::Stack(envelope.owner());
    match deletion::delete(table, &name, &requester, false, moment).await {
        Ok(_) => Ok(()),
        // Gone, or another's, since it was read.
        Err(Stop::Refused(_)) if still_ours(table, &name, envelope).await? => {
            Err(Stop::one("name", format!("`{name}` is being changed by others at this moment; try again")))
        }
        Err(Stop::Refused(_)) => nothing("the cluster went meanwhile"),
        Err(stop) => Err(stop),
    }
}

async fn still_ours(table: &impl Table, name: &str, envelope: &Envelope) -> Result<bool, Stop> {
    let record = put::record(table, "name", name).await?;
    Ok(record.is_some_and(|record| record.owner.as_ref() == Some(&envelope.owner())))
}

fn spec_of(properties: &Map<String, Value>) -> Result<ClusterSpec, Vec<Problem>> {
    spec::validate(&spec::coerce::from_cloudformation(&Value::Object(properties.clone())))
}

fn name_of(properties: &Map<String, Value>) -> Option<String> {
    let name = properties.get("name")?.as_str()?;
    ClusterName::try_from(name).ok().map(|name| name.as_str().to_owned())
}

fn problems(stop: Stop) -> Vec<Problem> {
    match stop {
        Stop::Refused(problems) => problems,
        Stop::Table(error) => vec![at("", format!("the table could not be read or written: {error}"))],
    }
}
