//! From an invocation to its answer.

use domain::spec;
use ports::Clock;
use runtime::shell::{Failure, Handler, Invocation};
use serde_json::{Value, json};

use crate::custom_resource::handle::handle;
use crate::ownership::Requester;
use crate::put::{self, Purpose};
use crate::refusal::{self, Stop};
use crate::request::{self, Payload, Request};
use crate::{Moment, Ports, acknowledge, deletion, listing, pause, status};

/// The registry over its ports.
#[derive(Debug)]
pub struct Registry<P>(pub P);

impl<P: Ports + Send> Handler for Registry<P> {
    async fn handle(&self, payload: Value, invocation: Invocation) -> Result<Value, Failure> {
        match request::read(&payload) {
            Ok(Payload::CustomResource) => handle(&self.0, &payload, &invocation).await,
            Ok(Payload::Event { source }) => {
                tracing::info!(source, "ignored");
                let problem = format!("an event ({source}) asks nothing of the registry");
                let mut answer = refusal::answer(&[refusal::at("", problem)]);
                if let Some(answer) = answer.as_object_mut() {
                    answer.insert("ignored".to_owned(), json!(true));
                }
                Ok(answer)
            }
            Ok(Payload::Direct { request, dry_run }) => {
                let moment = Moment::of(self.0.clock().now(), &invocation.request_id);
                match direct(&self.0, &request, dry_run, moment).await {
                    Ok(answer) => Ok(answer),
                    Err(Stop::Refused(problems)) => {
                        tracing::info!(?problems, "refused");
                        Ok(refusal::answer(&problems))
                    }
                    Err(Stop::Table(error)) => Err(refusal::failure(&error)),
                }
            }
            Err(problems) => {
                tracing::info!(?problems, "no request");
                Ok(refusal::answer(&problems))
            }
        }
    }
}

async fn direct<P: Ports>(ports: &P, request: &Request, dry_run: bool, moment: Moment) -> Result<Value, Stop> {
    let table = ports.table();
    let mut answer = match request {
        Request::Put(given) => {
            let spec = spec::validate(given).map_err(Stop::Refused)?;
            if dry_run {
                return Ok(put::put(table, &spec, Purpose::DryRun(&Requester::Direct), moment).await?.dry_run_answer());
            }
            put::put(table, &spec, Purpose::Store(&Requester::Direct), moment).await?.answer()
        }
        Request::Validate(given) => {
            let spec = spec::validate(given).map_err(Stop::Refused)?;
            put::put(table, &spec, Purpose::Validate, moment).await?.answer()
        }
        Request::Get(name) => listing::get(table, name).await?,
        Request::List => listing::list(table).await?,
        Request::Delete(name) => deletion::delete(table, name, &Requester::Direct, dry_run, moment).await?.answer(),
        Request::Status(name) => status::status(table, name, moment).await?,
        Request::Acknowledge { cluster, what, word } => {
            acknowledge::acknowledge(table, cluster, what, word, dry_run, moment).await?
        }
        Request::Pause(word) => pause::pause(table, word, dry_run, moment).await?,
        Request::Resume(word) => pause::resume(table, word, dry_run, moment).await?,
    };
    if dry_run && let Some(answer) = answer.as_object_mut() {
        answer.insert("dry_run".to_owned(), json!(true));
    }
    Ok(answer)
}
