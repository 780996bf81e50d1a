//! A customer whose VPC has a gateway in it: two real servers at private addresses of this machine, and the gateway's real
//! binary. The servers are started once for all plays: a gateway only asks them, so no play finds them changed by another.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use lab::{Authority, Postgres, Setup};
use serde_json::{Value, json};
use stack::{Function, GATEWAYS, LocalAddress, WorldCluster, WorldEndpoint};
use wire::{ACME, HOST, Scene};

use crate::story::{Play, Stage};

/// The gateway's name.
const TRANSIT: &str = GATEWAYS[0];
/// The second octet of the customer's block.
const NET: u8 = 79;
/// The secrets.
const PROBE: &str = "acme/probe";
const CA: &str = "acme/ca";
const PASSWORD: &str = "correct-horse-battery";
/// What the server keeps of it, with one iteration instead of 4096: a gateway without optimizations takes a tenth of a second
/// for those, and there are thousands of probes.
const VERIFIER: &str = "SCRAM-SHA-256$1:c2l4dGVlbi1ieXRlLXNhbA==$4NfW5jYYVxw2CQrHwWt7HboqzOnzk+o9wEcEyHu+5uU=:jW3g+hAqjXzowcH4kiFws4zMvU1jp/qZouIn0NuSXCU=";
/// More than all plays at once need.
const CONNECTIONS: u32 = 100;

static CUSTOMER: Mutex<Option<Arc<Customer>>> = Mutex::new(None);

/// The customer's servers.
#[derive(Debug)]
pub(crate) struct Customer {
    // Dropped in this order: a server ends before its address goes.
    _standby: Postgres,
    _primary: Postgres,
    authority: Authority,
    old: LocalAddress,
    new: LocalAddress,
    port: u16,
}

/// While this is there, the servers stay, once a story has needed them. An address would outlast the process.
#[derive(Debug)]
pub(crate) struct Kept;

impl Drop for Kept {
    fn drop(&mut self) {
        CUSTOMER.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A play's part of it.
#[derive(Debug)]
pub(crate) struct Transit {
    _gateway: Function,
    customer: Arc<Customer>,
}

impl Customer {
    fn shared() -> Arc<Self> {
        let mut customer = CUSTOMER.lock().unwrap();
        Arc::clone(customer.get_or_insert_with(|| Arc::new(Self::start())))
    }

    /// A server that was the primary and follows the new one now.
    fn start() -> Self {
        let [old, new] = [(); 2].map(|()| LocalAddress::in_net(NET).unwrap());
        let authority = Authority::new("the customer's").unwrap();
        let tls = || Some(authority.server(&[HOST]).unwrap());
        let hba = vec!["hostssl postgres pilothouse_probe 0.0.0.0/0 scram-sha-256".to_owned()];
        let settings = vec![("wal_level", "logical".to_owned()), ("max_connections", CONNECTIONS.to_string())];
        let setup = Setup { address: new.ip(), tls: tls(), hba, settings, ..Setup::default() };
        let primary = Postgres::start(&setup).unwrap();
        primary.sql(&format!("CREATE ROLE pilothouse_probe LOGIN PASSWORD '{VERIFIER}'")).unwrap();
        let port = primary.address().port();
        let standby = primary.standby(&Setup { address: old.ip(), port, tls: tls(), ..setup }).unwrap();
        Self { _standby: standby, _primary: primary, authority, old, new, port }
    }

    fn spec(&self, scene: &Scene) -> Value {
        scene.spec_with(
            ACME,
            &[
                ("/primary/gateway_function", json!(TRANSIT)),
                ("/primary/credentials_secret", json!(PROBE)),
                ("/primary/tls", json!({"ca_secret": CA})),
                ("/primary/endpoints/0/port", json!(self.port)),
            ],
        )
    }
}

/// The old primary serves, through a gateway. Nobody knows yet that it is a standby: the probe's secret is still to be
/// filled in.
pub(crate) fn serving(stage: Stage) -> Play {
    let customer = Customer::shared();
    let acme = WorldCluster {
        state: Some("active".to_owned()),
        endpoints: vec![WorldEndpoint::named("postgres", customer.port)],
        ..WorldCluster::named(ACME, &format!("10.{NET}.0.0/16"))
    };
    let mut play = Play::of(stage, acme);
    let stack = &play.scene.stack;
    let reached = [&customer.old, &customer.new].map(|server| format!("{}:{}", server.ip(), customer.port));
    stack.addresses(reached.each_ref().map(|at| (at, at))).unwrap();
    stack.secret(CA, &customer.authority.pem()).unwrap();
    stack.secret(PROBE, "to be filled in").unwrap();
    let resolvers = ("PILOTHOUSE_RESOLVERS".to_owned(), stack.dns.address().to_string());
    let gateway = stack.function_named(TRANSIT, "vpc-gateway", &[resolvers].into()).unwrap();
    play.scene.name_moves_to(&[&customer.old.ip().to_string()]);
    play.scene.put(&customer.spec(&play.scene));
    play.transit = Some(Transit { _gateway: gateway, customer });
    play.serve();
    play
}

/// The probe gets its password.
pub(crate) fn secret_is_filled_in(play: &mut Play) {
    let credentials = json!({"username": "pilothouse_probe", "password": PASSWORD});
    play.scene.stack.secret(PROBE, &credentials.to_string()).unwrap();
}

/// The name leads to the new primary.
pub(crate) fn name_follows(play: &mut Play) {
    let new: Ipv4Addr = play.transit.as_ref().unwrap().customer.new.ip();
    play.scene.name_moves_to(&[&new.to_string()]);
}
