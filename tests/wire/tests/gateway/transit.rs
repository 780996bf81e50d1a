//! The scene: a customer's VPC with two PostgreSQL servers at private addresses of this machine, and a gateway into it.

use lab::{Authority, Postgres, Setup};
use serde_json::{Value, json};
use stack::{Function, LocalAddress, World, WorldCluster, WorldEndpoint, Zone};
use wire::{ACME, HOST, Scene};

/// The gateway's name.
pub(crate) const TRANSIT: &str = "acme-transit";
/// The probe's password, which must be found nowhere.
pub(crate) const PASSWORD: &str = "correct-horse-battery";
/// The second octet of the customer's block.
const NET: u8 = 77;

pub(crate) struct Transit {
    pub(crate) scene: Scene,
    pub(crate) gateway: Function,
    /// `None` once it was stopped.
    pub(crate) primary: Option<Postgres>,
    pub(crate) standby: Postgres,
    pub(crate) authority: Authority,
    addresses: [LocalAddress; 2],
    port: u16,
}

impl Transit {
    /// A primary and a standby that follows it, both with certificates and a role for the probe; a peering, its cluster not
    /// put; secrets; a gateway that waits to be asked. The name answers the primary, for an hour at a time: a second answer
    /// would be far.
    pub(crate) fn new() -> Self {
        let addresses = [(); 2].map(|()| LocalAddress::in_net(NET).unwrap());
        let authority = Authority::new("the customer's").unwrap();
        let certificate = || Some(authority.server(&[HOST]).unwrap());
        let hba = vec!["hostssl postgres pilothouse_probe 0.0.0.0/0 scram-sha-256".to_owned()];
        let settings = vec![("wal_level", "logical".to_owned()), ("max_slot_wal_keep_size", "1GB".to_owned())];
        let [first, second] = &addresses;
        let setup = Setup { address: first.ip(), tls: certificate(), hba, settings, ..Setup::default() };
        let primary = Postgres::start(&setup).unwrap();
        primary.sql(&format!("CREATE ROLE pilothouse_probe LOGIN PASSWORD '{PASSWORD}'")).unwrap();
        let port = primary.address().port();
        let standby = primary.standby(&Setup { address: second.ip(), port, tls: certificate(), ..setup }).unwrap();

        let acme = WorldCluster {
            state: Some("active".to_owned()),
            endpoints: vec![WorldEndpoint::named("postgres", port)],
            ..WorldCluster::named(ACME, &format!("10.{NET}.0.0/16"))
        };
        let scene = Scene::of(World { initial_seconds: Some(0.0), clusters: vec![acme], ..World::default() });
        let servers = [first.ip(), second.ip()].map(|ip| (format!("{ip}:{port}"), format!("{ip}:{port}")));
        scene.stack.addresses(servers).unwrap();
        let credentials = json!({"username": "pilothouse_probe", "password": PASSWORD});
        scene.stack.secret("acme/probe", &credentials.to_string()).unwrap();
        scene.stack.secret("acme/ca", &authority.pem()).unwrap();
        let gateway = Self::start(&scene);
        let transit = Self { scene, gateway, primary: Some(primary), standby, authority, addresses, port };
        transit.name_answers(&[0], 3600);
        transit
    }

    /// As [`Transit::new`], with the cluster put, served and settled.
    pub(crate) fn serving() -> Self {
        let transit = Self::new();
        transit.scene.put(&transit.spec());
        transit.scene.settle(ACME);
        transit
    }

    fn start(scene: &Scene) -> Function {
        let variables = [
            ("PILOTHOUSE_RESOLVERS", scene.stack.dns.address().to_string()),
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE".to_owned()),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value)).into();
        scene.stack.function_named(TRANSIT, "vpc-gateway", &environment).unwrap()
    }

    pub(crate) fn restart_gateway(&mut self) {
        self.gateway = Self::start(&self.scene);
    }

    /// The cluster's spec, through the gateway and with credentials.
    pub(crate) fn spec(&self) -> Value {
        self.scene.spec_with(
            ACME,
            &[
                ("/primary/gateway_function", json!(TRANSIT)),
                ("/primary/credentials_secret", json!("acme/probe")),
                ("/primary/tls", json!({"ca_secret": "acme/ca"})),
                ("/primary/endpoints/0/port", json!(self.port)),
            ],
        )
    }

    /// A server's target: 0 is the first primary, 1 the first standby.
    pub(crate) fn target(&self, server: usize) -> String {
        format!("{}:{}", self.addresses[server].ip(), self.port)
    }

    pub(crate) fn name_answers(&self, servers: &[usize], ttl: u32) {
        let ips: Vec<String> = servers.iter().map(|s| self.addresses[*s].ip().to_string()).collect();
        let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
        self.scene.stack.dns.set(HOST, Zone::addresses(&ips, ttl));
    }

    pub(crate) fn targets(&self) -> Vec<String> {
        self.scene.targets(ACME)
    }

    /// A pass of a cold watcher, which looks at everything.
    pub(crate) fn fresh_look(&mut self) -> Value {
        self.scene.cold_start();
        self.scene.look(ACME)
    }
}
