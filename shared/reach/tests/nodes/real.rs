//! Real etcds and Patronis, on free ports of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab::{Authority, Identity};
use reach::gateway::{EtcdChanged, EtcdView, Said, Verb};
use reach::patroni::{ClusterView, Found, NodeView, Reinitialize, Switchover};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::asking::{NAME, PASSWORD, USER, ask, at, credentials, error, showing, tls, with};

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A program that ends with the test, and its folder.
struct Program {
    child: Child,
    folder: PathBuf,
}

impl Program {
    fn start(command: &mut Command, folder: PathBuf) -> Self {
        let log = fs::File::create(folder.join("log")).unwrap();
        let errors = log.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().unwrap();
        Self { child, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn folder() -> PathBuf {
    let name = format!("reach-nodes-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[expect(clippy::disallowed_methods, reason = "a test waits for a program of this machine")]
async fn moment() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Asks again until the outcome is right, as programs and their elections take a moment.
async fn until(verb: Verb, item: &Value, right: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..200 {
        last = ask(verb, item).await;
        if right(&last) {
            return last;
        }
        moment().await;
    }
    panic!("{verb:?} {item}: {last}")
}

fn code_is(code: &'static str) -> impl Fn(&Value) -> bool {
    move |outcome| outcome["error"]["code"] == code
}

fn is_ok(outcome: &Value) -> bool {
    outcome["ok"].is_object()
}

struct Etcd {
    program: Program,
    name: String,
    client: SocketAddr,
    peer_url: String,
}

impl Etcd {
    /// A member, with TLS for clients where there is an identity. `others`: the peer URLs of those that are there already.
    fn start(name: &str, peer: SocketAddr, tls: Option<&Identity>, others: &BTreeMap<String, String>) -> Self {
        let folder = folder();
        let client = free();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (client_url, peer_url) = (format!("{scheme}://{client}"), format!("http://{peer}"));
        let mut all = others.clone();
        all.insert(name.to_owned(), peer_url.clone());
        let all: Vec<String> = all.iter().map(|(name, url)| format!("{name}={url}")).collect();
        let state = if others.is_empty() { "new" } else { "existing" };
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(folder.join("data"));
        for (option, value) in [
            ("--name", name),
            ("--listen-client-urls", &client_url),
            ("--advertise-client-urls", &client_url),
            ("--listen-peer-urls", &peer_url),
            ("--initial-advertise-peer-urls", &peer_url),
            ("--initial-cluster", &all.join(",")),
            ("--initial-cluster-state", state),
            ("--initial-cluster-token", &peer_url),
        ] {
            command.args([option, value]);
        }
        if let Some(identity) = tls {
            command.arg("--cert-file").arg(write(&folder, "cert.pem", &identity.certificate));
            command.arg("--key-file").arg(write(&folder, "key.pem", &identity.key));
        }
        let program = Program::start(&mut command, folder);
        Self { program, name: name.to_owned(), client, peer_url }
    }

    /// etcd's own client.
    fn etcdctl(&self, authority: &Authority, arguments: &[&str]) {
        let ca = write(&self.program.folder, "ca.pem", &authority.pem());
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &format!("https://{}", self.client)]);
        command.arg("--cacert").arg(ca).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}\n{}", self.program.log());
    }
}

fn view(outcome: &Value) -> EtcdView {
    EtcdView::deserialize(&outcome["ok"]).unwrap_or_else(|_| panic!("{outcome}"))
}

fn changed(outcome: &Value) -> EtcdChanged {
    EtcdChanged::deserialize(&outcome["ok"]).unwrap_or_else(|_| panic!("{outcome}"))
}

/// A member comes as a learner, gets its vote, leads, and is lost: over TLS, with a login.
#[tokio::test]
async fn a_real_etcd_takes_a_member_in_and_says_when_it_has_no_quorum() {
    let authority = Authority::new("the operator's").unwrap();
    let identity = authority.server(&[NAME, "127.0.0.1"]).unwrap();
    let a = Etcd::start("a", free(), Some(&identity), &BTreeMap::new());
    let bare = with(at(a.client), tls(&authority));
    let first = view(&until(Verb::EtcdMembers, &bare, is_ok).await);
    assert_eq!(first.members.len(), 1);
    let it = &first.members[0];
    assert_eq!((it.name.as_str(), it.peer_urls.clone(), it.learner), ("a", vec![a.peer_url.clone()], false));
    assert!(it.started() && it.is_at("127.0.0.1".parse().unwrap()));
    assert_eq!((&first.status.member_id, first.status.leader_id.as_ref()), (&it.id, Some(&it.id)));
    assert!(first.status.version.starts_with("3.") && first.status.raft_index > 0 && first.status.raft_term > 0);
    assert!(is_ok(&ask(Verb::EtcdMembers, &with(bare.clone(), credentials())).await), "no authentication yet");

    let password = format!("--new-user-password={PASSWORD}");
    for arguments in [
        ["user", "add", "root", &password].as_slice(),
        &["user", "add", USER, &password],
        &["user", "add", "nobody", &password],
        &["user", "grant-role", "root", "root"],
        &["user", "grant-role", USER, "root"],
        &["auth", "enable"],
    ] {
        a.etcdctl(&authority, arguments);
    }
    let remove = |item: &Value, member: &str| with(item.clone(), json!({"member": member}));
    assert_eq!(error(&ask(Verb::EtcdMembers, &bare).await).0, "EtcdLoginFailed");
    assert_eq!(error(&ask(Verb::EtcdRemove, &remove(&bare, "17")).await).0, "EtcdLoginFailed");
    let wrong = with(bare.clone(), json!({"credentials": {"username": USER, "password": "wrong"}}));
    assert_eq!(error(&ask(Verb::EtcdMembers, &wrong).await).0, "EtcdLoginFailed");
    let nobody = with(bare.clone(), json!({"credentials": {"username": "nobody", "password": PASSWORD}}));
    assert_eq!(error(&ask(Verb::EtcdRemove, &remove(&nobody, "17")).await).0, "EtcdPermissionDenied");
    let asked = with(bare.clone(), credentials());
    assert!(is_ok(&ask(Verb::EtcdMembers, &asked).await));
    assert_eq!(error(&ask(Verb::EtcdRemove, &remove(&asked, "17")).await).0, "EtcdMemberNotFound");

    // It is added, and cannot have its vote before it runs.
    let peer = free();
    let learner = with(asked.clone(), json!({"peer_url": format!("http://{peer}")}));
    let added = changed(&ask(Verb::EtcdAddLearner, &learner).await);
    let new = added.members.iter().find(|member| member.learner).unwrap().clone();
    assert_eq!((added.members.len(), new.started()), (2, false));
    assert_eq!(error(&ask(Verb::EtcdAddLearner, &learner).await).0, "EtcdMemberExists");
    let another = with(asked.clone(), json!({"peer_url": format!("http://{}", free())}));
    assert_eq!(error(&ask(Verb::EtcdAddLearner, &another).await).0, "EtcdNotReady", "too many learners");
    let promote = with(asked.clone(), json!({"member": new.id}));
    assert_eq!(error(&ask(Verb::EtcdPromote, &promote).await).0, "EtcdNotReady", "not in sync");

    let others = BTreeMap::from([(a.name.clone(), a.peer_url.clone())]);
    let mut b = Etcd::start("b", peer, Some(&identity), &others);
    let asked_b = with(with(at(b.client), tls(&authority)), credentials());
    until(Verb::EtcdMembers, &asked_b, code_is("EtcdAskedLearner")).await;
    let promoted = changed(&until(Verb::EtcdPromote, &promote, is_ok).await);
    assert!(promoted.members.iter().all(|member| !member.learner), "{promoted:?}");
    assert_eq!(error(&ask(Verb::EtcdPromote, &promote).await).0, "EtcdNotLearner");
    let both = view(&until(Verb::EtcdMembers, &asked_b, is_ok).await);
    assert_eq!((both.members.len(), both.status.member_id), (2, new.id.clone()));

    // The leadership moves, asked of the one that has it.
    assert_eq!(
        error(&ask(Verb::EtcdMoveLeader, &with(asked_b.clone(), json!({"member": new.id}))).await).0,
        "EtcdNotLeader"
    );
    let moved = ask(Verb::EtcdMoveLeader, &with(asked.clone(), json!({"member": new.id}))).await;
    assert_eq!(changed(&moved).members, []);
    let leads = |id: &str| {
        let id = id.to_owned();
        move |outcome: &Value| outcome["ok"]["status"]["leader_id"] == json!(id)
    };
    until(Verb::EtcdMembers, &asked, leads(&new.id)).await;

    // Half of two is no quorum: nothing is listed, and nothing changed.
    b.program.kill();
    // Until the election is lost too, the question waits for its deadline; then it is answered at once.
    let mut told = Vec::new();
    for _ in 0..6 {
        let (code, message) = error(&ask(Verb::EtcdMembers, &asked).await);
        assert_eq!(code, "EtcdUnavailable", "{message}");
        told.push(message);
        moment().await;
    }
    assert!(told.iter().any(|message| message.contains("no leader")), "{told:?}");
    let removed = ask(Verb::EtcdRemove, &remove(&asked, &new.id)).await;
    // Logging in needs a quorum too.
    assert_eq!(error(&removed).0, "EtcdUnavailable", "{removed}");
}

#[tokio::test]
async fn a_real_etcd_lets_a_member_go_once() {
    let a = Etcd::start("a", free(), None, &BTreeMap::new());
    let asked = at(a.client);
    until(Verb::EtcdMembers, &asked, is_ok).await;
    let peer = free();
    let added = ask(Verb::EtcdAddLearner, &with(asked.clone(), json!({"peer_url": format!("http://{peer}")}))).await;
    let id = changed(&added).members.into_iter().find(|member| member.learner).unwrap().id;
    let _b = Etcd::start("b", peer, None, &BTreeMap::from([(a.name.clone(), a.peer_url.clone())]));
    let member = with(asked.clone(), json!({"member": id}));
    until(Verb::EtcdPromote, &member, is_ok).await;
    // etcd wants its members connected for five seconds first, and says `unhealthy cluster` until then.
    let removed = until(Verb::EtcdRemove, &member, |outcome| !code_is("EtcdUnavailable")(outcome)).await;
    assert_eq!(changed(&removed).members.len(), 1);
    assert_eq!(error(&ask(Verb::EtcdRemove, &member).await).0, "EtcdMemberNotFound");
    let own = view(&ask(Verb::EtcdMembers, &asked).await).members[0].id.clone();
    let last = ask(Verb::EtcdRemove, &with(asked, json!({"member": own}))).await;
    assert!(["EtcdNotReady", "EtcdUnavailable"].contains(&error(&last).0.as_str()), "{last}");
}

/// Patroni's REST API without a PostgreSQL: a member that has not begun.
fn patroni(program: &Path, etcd: SocketAddr, authority: &Authority, verify: &str) -> (Program, SocketAddr) {
    let folder = folder();
    let api = free();
    let identity = authority.server(&[NAME, "127.0.0.1"]).unwrap();
    let postgres = fs::read_dir("/usr/lib/postgresql").unwrap().find_map(Result::ok).unwrap().path().join("bin");
    let config = json!({
        "scope": "demo", "name": "pg-1",
        "restapi": {
            "listen": api.to_string(), "connect_address": api.to_string(),
            "certfile": write(&folder, "cert.pem", &identity.certificate),
            "keyfile": write(&folder, "key.pem", &identity.key),
            "cafile": write(&folder, "ca.pem", &authority.pem()),
            "verify_client": verify,
            "authentication": {"username": USER, "password": PASSWORD},
        },
        "etcd3": {"hosts": [etcd.to_string()]},
        "postgresql": {
            "listen": free().to_string(), "connect_address": "10.0.1.10:5432",
            "data_dir": folder.join("postgres"), "bin_dir": postgres,
            "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}},
        },
        "tags": {"nofailover": true},
    });
    let config = write(&folder, "patroni.yml", &config.to_string());
    let program = Program::start(Command::new(program).arg(config).env("PYTHONDONTWRITEBYTECODE", "1"), folder);
    (program, api)
}

/// Debian's, and the one of the Python environment.
fn patronis() -> [PathBuf; 2] {
    let venv = std::env::var_os("PILOTHOUSE_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv"), PathBuf::from);
    ["/usr/bin/patroni".into(), venv.join("bin/patroni")]
}

/// Python's server speaks HTTP/1.0, gives no length, and ends TLS in its own way.
#[tokio::test]
async fn real_patronis_of_both_versions_are_asked_over_tls_with_credentials() {
    let etcd = Etcd::start("a", free(), None, &BTreeMap::new());
    until(Verb::EtcdMembers, &at(etcd.client), is_ok).await;
    let authority = Authority::new("the operator's").unwrap();
    let stranger = Authority::new("stranger").unwrap();
    for program in patronis() {
        let (patroni, api) = patroni(&program, etcd.client, &authority, "none");
        let asks = |what: &str| with(with(at(api), tls(&authority)), json!({"what": what}));
        let said = |outcome: &Value| {
            Said::deserialize(&outcome["ok"]).unwrap_or_else(|_| panic!("{outcome}\n{}", patroni.log()))
        };
        let there = |outcome: &Value| outcome["ok"]["body"]["members"].as_array().is_some_and(|list| !list.is_empty());
        let cluster = ClusterView::read(&said(&until(Verb::PatroniGet, &asks("cluster"), there).await)).unwrap();
        let Found::Member(member) = cluster.at("10.0.1.10".parse().unwrap()) else { panic!("{cluster:#?}") };
        assert_eq!((member.name.as_str(), member.tags.bar_to_lead()), ("pg-1", Some("nofailover")));
        assert_eq!(cluster.leader(), Found::Nobody);
        assert_eq!((member.lag, member.state.is_up()), (None, false), "{member:#?}");
        let node = NodeView::read(&said(&ask(Verb::PatroniGet, &asks("node")).await)).unwrap();
        assert!(node.cluster_unlocked && !node.state.is_up(), "{node:#?}");
        assert_eq!((node.scope.as_deref(), node.replication), (Some("demo"), None));
        assert!(node.version.as_deref().is_some_and(|version| version.starts_with(['3', '4'])));
        assert_ne!(said(&ask(Verb::PatroniGet, &asks("config")).await).status, 200, "there is no configuration yet");

        let order = with(with(at(api), tls(&authority)), json!({"leader": "pg-1", "candidate": "pg-2"}));
        let of = |outcome: &Value| Switchover::of(&said(outcome));
        let outcome = ask(Verb::PatroniSwitchover, &with(order.clone(), credentials())).await;
        assert_eq!(of(&outcome), Switchover::ViewChanged, "{outcome}");
        let wrong = json!({"credentials": {"username": USER, "password": "wrong"}});
        // Nobody leads: there is nothing to copy.
        let copy = with(at(api), tls(&authority));
        let outcome = ask(Verb::PatroniReinitialize, &with(copy.clone(), credentials())).await;
        let nobody = "503: Cluster has no leader, can not reinitialize".to_owned();
        assert_eq!(Reinitialize::of(&said(&outcome)), Reinitialize::Refused { said: nobody }, "{outcome}");
        for copy in [copy.clone(), with(copy, wrong.clone())] {
            let outcome = ask(Verb::PatroniReinitialize, &copy).await;
            assert!(matches!(Reinitialize::of(&said(&outcome)), Reinitialize::Denied { .. }), "{outcome}");
        }
        for order in [order.clone(), with(order.clone(), wrong)] {
            let outcome = ask(Verb::PatroniSwitchover, &order).await;
            assert!(matches!(of(&outcome), Switchover::Denied { .. }), "{outcome}");
        }
        let mut strange = order.clone();
        strange["tls"] = tls(&stranger)["tls"].clone();
        assert_eq!(error(&ask(Verb::PatroniSwitchover, &strange).await).0, "TlsFailed");
        drop(patroni);

        let (_patroni, api) = self::patroni(&program, etcd.client, &authority, "required");
        let ours = authority.client("pilothouse").unwrap();
        let shown = with(with(at(api), showing(&authority, &ours)), json!({"what": "cluster"}));
        until(Verb::PatroniGet, &shown, is_ok).await;
        let bare = with(with(at(api), tls(&authority)), json!({"what": "cluster"}));
        let (code, message) = error(&ask(Verb::PatroniGet, &bare).await);
        assert_eq!(code, "TlsFailed", "{message}");
    }
}
