//! The AWS that the bench measures against, in memory: the few operations that registry and watcher make, with the pages,
//! conditions and errors that AWS documents for them. The emulator of `tests/aws` is truer and serves one request at a time
//! through Python, so with thousands of clusters it would be what is measured.

mod load_balancers;
mod network;
mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::load_balancers::LoadBalancers;
use self::network::Network;
use self::table::Table;
use crate::clock::now;
use crate::failure::Failure;
use crate::fleet::Member;
use crate::http::{Request, Response, Service, serve};

/// A call that came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `dynamodb:Query`
    pub(crate) name: String,
    /// Seconds since the cloud was made.
    pub(crate) at: f64,
    /// The HTTP status of the answer.
    pub(crate) status: u16,
}

impl Call {
    /// Whether it may change something that is not our own table or a notice.
    pub(crate) fn changes_the_world(&self) -> bool {
        let operation = self.name.split(':').nth(1).unwrap_or_default();
        !operation.starts_with("Describe") && !self.name.starts_with("dynamodb:") && !self.name.starts_with("sns:")
    }

    /// Whether it may change anything.
    pub(crate) fn writes(&self) -> bool {
        self.changes_the_world() || !["Describe", "Query", "GetItem"].iter().any(|verb| self.name.contains(verb))
    }
}

/// The cloud.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// For `AWS_ENDPOINT_URL`.
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    since: Instant,
    connections: AtomicUsize,
    calls: Mutex<Vec<Call>>,
    table: Mutex<Table>,
    network: Mutex<Network>,
    load_balancers: Mutex<LoadBalancers>,
}

/// What an operation answers.
type Answer = Result<String, Refusal>;

/// An error, by its code in AWS's documentation.
#[derive(Debug)]
struct Refusal {
    status: u16,
    code: &'static str,
    /// Fields of the answer beside code and message, as JSON members.
    more: String,
}

fn refusal(code: &'static str) -> Refusal {
    Refusal { status: 400, code, more: String::new() }
}

/// The parameters of a form.
type Form = BTreeMap<String, String>;

impl Cloud {
    /// An empty one.
    pub(crate) fn start() -> Result<Self, Failure> {
        let state = Arc::new(State {
            since: now(),
            connections: AtomicUsize::new(0),
            calls: Mutex::default(),
            table: Mutex::default(),
            network: Mutex::default(),
            load_balancers: Mutex::default(),
        });
        Ok(Self { address: serve(Arc::clone(&state))?, state })
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The calls since this was last asked, the oldest first.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *lock(&self.state.calls))
    }

    /// Makes a member's peering (active), its target group and, once, its route table.
    pub(crate) fn make(&self, member: &Member) {
        lock(&self.state.network).make(member);
        lock(&self.state.load_balancers).make(member);
    }

    /// Makes what the watcher makes for a member: its route, and its target, healthy.
    pub(crate) fn make_served(&self, member: &Member) {
        lock(&self.state.network).create_route(&member.route_table, &member.block(), &member.connection);
        lock(&self.state.load_balancers).register(&member.target_group, &member.address(), "5432");
    }

    /// The table's rows as DynamoDB's JSON, by key.
    pub(crate) fn rows(&self) -> Vec<(String, String, String)> {
        lock(&self.state.table).rows()
    }

    /// The fewest pages in which a partition of the table can be read.
    pub(crate) fn pages(&self, partition: &str) -> usize {
        lock(&self.state.table).pages(partition)
    }

    /// Puts a row by hand.
    pub(crate) fn put_row(&self, json: &str) {
        lock(&self.state.table).put_by_hand(json);
    }

    /// How many targets serve in all target groups together.
    pub(crate) fn serving(&self) -> usize {
        lock(&self.state.load_balancers).serving()
    }
}

impl Service for State {
    fn connected(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    fn answer(&self, request: &Request) -> Response {
        let at = self.since.elapsed().as_secs_f64();
        let service = service(request.header("authorization").unwrap_or_default());
        let form: Form = form_urlencoded::parse(&request.body).into_owned().collect();
        let target = request.header("x-amz-target").and_then(|target| target.split('.').nth(1));
        let operation = target.or_else(|| form.get("Action").map(String::as_str)).unwrap_or_default();
        let answer = match service {
            "dynamodb" => lock(&self.table).answer(operation, &request.body),
            "ec2" => lock(&self.network).answer(operation, &form),
            "elasticloadbalancing" => lock(&self.load_balancers).answer(operation, &form),
            "sns" => {
                Ok("<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>".into())
            }
            _ => Err(refusal("UnknownOperationException")),
        };
        let response = match answer {
            Ok(body) => Response::new(200, body),
            Err(refusal) => Response::new(refusal.status, refused(service, &refusal)),
        };
        let call = Call { name: format!("{service}:{operation}"), at, status: response.status };
        lock(&self.calls).push(call);
        response
    }
}

/// The signing name, from the credential's scope.
fn service(authorization: &str) -> &str {
    authorization.split("Credential=").nth(1).and_then(|scope| scope.split('/').nth(3)).unwrap_or_default()
}

fn refused(service: &str, refusal: &Refusal) -> String {
    let code = refusal.code;
    match service {
        "dynamodb" => format!(
            r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{code}"{more}}}"#,
            more = refusal.more
        ),
        "ec2" => {
            format!("<Response><Errors><Error><Code>{code}</Code><Message>{code}</Message></Error></Errors></Response>")
        }
        _ => format!("<ErrorResponse><Error><Code>{code}</Code><Message>{code}</Message></Error></ErrorResponse>"),
    }
}

/// The values of `<prefix>.1`, `<prefix>.2`, ...
fn list<'a>(form: &'a Form, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    (1..).map_while(move |n| form.get(&format!("{prefix}.{n}")).map(String::as_str))
}

fn text<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", String::as_str)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
