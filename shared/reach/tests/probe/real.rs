//! Real PostgreSQL servers, with each misconfiguration that a customer can make.

use std::net::Ipv4Addr;
use std::time::Duration;

use lab::{Authority, Postgres, Setup};
use reach::gateway::{ErrorCode, Probed, ServerFacts};
use reach::postgres::probe;

use crate::asking::{LIMIT, NAME, PASSWORD, ROLE, ask, bare, expect, item, showing, whole, with_tls};

const BY_SCRAM: &str = "hostssl all all 127.0.0.1/32 scram-sha-256";

/// A server with TLS, the role, and these lines in `pg_hba.conf`.
fn server(authority: &Authority, hba: &[&str], settings: &[(&'static str, &str)]) -> Postgres {
    let setup = Setup {
        tls: Some(authority.server(&[NAME, "127.0.0.1"]).unwrap()),
        hba: hba.iter().map(|line| (*line).to_owned()).collect(),
        settings: settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        ..Setup::default()
    };
    let server = Postgres::start(&setup).unwrap();
    server.sql(&format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    server
}

async fn facts(server: &Postgres, authority: &Authority) -> ServerFacts {
    let probed = ask(&whole(server.address(), authority)).await.unwrap();
    assert!(probed.tls);
    probed.server.unwrap()
}

#[tokio::test]
async fn a_primary_and_its_standby_say_what_they_are() {
    let authority = Authority::new("customer").unwrap();
    let primary = server(&authority, &[BY_SCRAM], &[("wal_level", "logical"), ("max_slot_wal_keep_size", "2GB")]);
    let standby = primary
        .standby(&Setup {
            tls: Some(authority.server(&[NAME]).unwrap()),
            hba: vec![BY_SCRAM.to_owned()],
            settings: vec![("max_replication_slots", "3".to_owned())],
            ..Setup::default()
        })
        .unwrap();
    let of_primary = ServerFacts {
        version: primary.sql("SHOW server_version_num").unwrap().parse().unwrap(),
        in_recovery: false,
        wal_level: "logical".to_owned(),
        max_replication_slots: 10,
        max_slot_wal_keep_size_mb: 2048,
        databases: 1,
    };
    assert_eq!(facts(&primary, &authority).await, of_primary);
    let of_standby = ServerFacts {
        in_recovery: true,
        wal_level: "replica".to_owned(),
        max_replication_slots: 3,
        max_slot_wal_keep_size_mb: -1,
        ..of_primary.clone()
    };
    assert_eq!(facts(&standby, &authority).await, of_standby);

    primary.sql("CREATE DATABASE one").unwrap();
    primary.sql("CREATE DATABASE two").unwrap();
    primary.sql("ALTER DATABASE two ALLOW_CONNECTIONS false").unwrap();
    primary.sql("CREATE DATABASE three IS_TEMPLATE true").unwrap();
    assert_eq!(facts(&primary, &authority).await, ServerFacts { databases: 2, ..of_primary });

    standby.sql("SELECT pg_promote()").unwrap();
    assert!(!facts(&standby, &authority).await.in_recovery, "a promoted standby is the writer");
}

#[tokio::test]
async fn a_probe_without_credentials_needs_no_role_and_one_with_tls_leaves_no_complaint_in_the_log() {
    let authority = Authority::new("customer").unwrap();
    let secured = server(&authority, &[], &[]);
    let plain = Postgres::start(&Setup::default()).unwrap();
    assert_eq!(ask(&bare(secured.address())).await, Ok(Probed { tls: false, server: None }));
    assert_eq!(ask(&bare(plain.address())).await, Ok(Probed { tls: false, server: None }));
    assert_eq!(ask(&with_tls(secured.address(), &authority)).await, Ok(Probed { tls: true, server: None }));
    expect(ask(&with_tls(plain.address(), &authority)).await, ErrorCode::TlsNotOffered, &["ssl = on"]);
    expect(ask(&whole(plain.address(), &authority)).await, ErrorCode::TlsNotOffered, &[]);
    // docs/probe-user.md tells of the one line.
    for (server, expected) in [(&secured, 1), (&plain, 0)] {
        let words = ["startup packet", "ERROR", "FATAL", "SSL connection"];
        let complaints = || -> Vec<String> {
            let log = server.log();
            log.lines().filter(|l| words.iter().any(|w| l.contains(w))).map(str::to_owned).collect()
        };
        // The server notices the end of a connection a moment later.
        for _ in 0..100 {
            if complaints().len() >= expected {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server.sql("SELECT 1").unwrap();
        let complaints = complaints();
        assert_eq!(complaints.len(), expected, "{complaints:?}");
        assert!(complaints.iter().all(|l| l.contains("could not accept SSL connection: EOF detected")));
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_ends_the_probe_before_the_login() {
    let authority = Authority::new("customer").unwrap();
    let stranger = Authority::new("stranger").unwrap();
    let good = server(&authority, &[BY_SCRAM], &[]);
    let expired = Postgres::start(&Setup {
        tls: Some(authority.expired_server(&[NAME]).unwrap()),
        hba: vec![BY_SCRAM.to_owned()],
        ..Setup::default()
    })
    .unwrap();

    expect(ask(&whole(good.address(), &stranger)).await, ErrorCode::TlsFailed, &["UnknownIssuer"]);
    let mut other_name = whole(good.address(), &authority);
    other_name.tls.as_mut().unwrap().server_name = "other.example.internal".to_owned();
    expect(ask(&other_name).await, ErrorCode::TlsFailed, &["other.example.internal", NAME]);
    expect(ask(&whole(expired.address(), &authority)).await, ErrorCode::TlsFailed, &["expired"]);
    let mut by_the_system = whole(good.address(), &authority);
    by_the_system.tls.as_mut().unwrap().ca = None;
    expect(ask(&by_the_system).await, ErrorCode::TlsFailed, &["UnknownIssuer"]);

    // An address in the certificate is as good as a name.
    let mut by_address = whole(good.address(), &authority);
    by_address.tls.as_mut().unwrap().server_name = "127.0.0.1".to_owned();
    assert!(ask(&by_address).await.unwrap().server.is_some());
    for server in [&good, &expired] {
        let attempts = server.log().lines().filter(|l| l.contains("FATAL") && l.contains(ROLE)).count();
        assert_eq!(attempts, 0, "the login was never tried:\n{}", server.log());
    }
}

#[tokio::test]
async fn what_keeps_a_role_out_is_told_apart() {
    let authority = Authority::new("customer").unwrap();
    let server = server(
        &authority,
        &[
            "hostssl all wrong 127.0.0.1/32 reject",
            "hostssl all by_clear 127.0.0.1/32 password",
            "hostssl all by_md5 127.0.0.1/32 md5",
            &format!("hostssl all {ROLE} 127.0.0.1/32 scram-sha-256"),
            "hostssl all barred 127.0.0.1/32 scram-sha-256",
            "hostssl all let_in 127.0.0.1/32 trust",
        ],
        &[],
    );
    let create = |role: &str, more: &str| server.sql(&format!("CREATE ROLE {role} LOGIN {more}")).unwrap();
    create("by_clear", &format!("PASSWORD '{PASSWORD}'"));
    create("barred", &format!("CONNECTION LIMIT 0 PASSWORD '{PASSWORD}'"));
    create("let_in", "");
    // A role whose password is stored as MD5 cannot do SCRAM.
    server.sql(&format!("SET password_encryption = md5; CREATE ROLE by_md5 LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let as_role = |role: &str| {
        let mut item = whole(server.address(), &authority);
        item.credentials.as_mut().unwrap().username = role.to_owned();
        item
    };

    let mut wrong = as_role(ROLE);
    wrong.credentials.as_mut().unwrap().password = ports::Secret::new("not-the-password");
    expect(ask(&wrong).await, ErrorCode::AuthenticationFailed, &["password authentication failed", "28P01"]);
    expect(ask(&as_role("nobody")).await, ErrorCode::AuthenticationFailed, &["no pg_hba.conf entry", "28000"]);
    expect(ask(&as_role("wrong")).await, ErrorCode::AuthenticationFailed, &["rejects connection"]);
    expect(ask(&as_role("barred")).await, ErrorCode::TooManyConnections, &["53300"]);
    expect(ask(&as_role("by_clear")).await, ErrorCode::AuthMethodRefused, &["clear text", "scram-sha-256"]);
    expect(ask(&as_role("by_md5")).await, ErrorCode::AuthMethodRefused, &["MD5"]);
    assert!(ask(&as_role("let_in")).await.unwrap().server.is_some(), "nothing secret is asked for");
    let log = server.log();
    let tried = |role: &str| log.contains(&format!("password authentication failed for user \"{role}\""));
    assert!(tried(ROLE), "a wrong password is tried:\n{log}");
    assert!(!tried("by_clear") && !tried("by_md5"), "no password was sent:\n{log}");

    server.sql("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC").unwrap();
    expect(ask(&as_role(ROLE)).await, ErrorCode::ServerError, &["permission denied for database", "42501"]);
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = Authority::new("customer").unwrap();
    let stranger = Authority::new("stranger").unwrap();
    let setup = Setup {
        tls: Some(authority.server(&[NAME]).unwrap()),
        client_authority: Some(authority.pem()),
        hba: vec![
            format!("hostssl all {ROLE} 127.0.0.1/32 scram-sha-256 clientcert=verify-full"),
            "hostssl all by_certificate 127.0.0.1/32 cert".to_owned(),
        ],
        ..Setup::default()
    };
    let server = Postgres::start(&setup).unwrap();
    server.sql(&format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE by_certificate LOGIN")).unwrap();
    let item = whole(server.address(), &authority);

    expect(ask(&item).await, ErrorCode::AuthenticationFailed, &["valid client certificate"]);
    let ours = authority.client(ROLE).unwrap();
    assert!(ask(&showing(item.clone(), &ours)).await.unwrap().server.is_some());
    let others = authority.client("somebody").unwrap();
    expect(ask(&showing(item.clone(), &others)).await, ErrorCode::AuthenticationFailed, &[]);
    let strange = stranger.client(ROLE).unwrap();
    expect(ask(&showing(item.clone(), &strange)).await, ErrorCode::TlsFailed, &["UnknownCA"]);
    let mut without_password = showing(item, &authority.client("by_certificate").unwrap());
    without_password.credentials.as_mut().unwrap().username = "by_certificate".to_owned();
    assert!(ask(&without_password).await.unwrap().server.is_some());
}

#[tokio::test]
async fn a_server_without_a_free_connection_says_so() {
    let authority = Authority::new("customer").unwrap();
    let server = server(&authority, &[BY_SCRAM], &[("max_connections", "1"), ("superuser_reserved_connections", "0")]);
    // The server notices the end of a session, here of the one that made the role, a moment later.
    let mut sessions = (0..100).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        server.session("postgres")
    });
    let session = sessions.find_map(Result::ok).expect("the one connection is taken by nobody");
    expect(ask(&whole(server.address(), &authority)).await, ErrorCode::TooManyConnections, &["too many clients"]);
    assert!(ask(&bare(server.address())).await.is_ok(), "that it speaks PostgreSQL shows all the same");
    drop(session);
    for _ in 0..100 {
        match ask(&whole(server.address(), &authority)).await {
            Ok(probed) => return assert!(probed.server.is_some()),
            Err(error) => assert_eq!(error.code, ErrorCode::TooManyConnections, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the connection was not given back:\n{}", server.log());
}

#[tokio::test]
async fn a_server_that_takes_no_connections_yet_says_so() {
    let authority = Authority::new("customer").unwrap();
    let primary = server(&authority, &[BY_SCRAM], &[]);
    let cold = primary
        .standby(&Setup {
            tls: Some(authority.server(&[NAME]).unwrap()),
            hba: vec![BY_SCRAM.to_owned()],
            settings: vec![("hot_standby", "off".to_owned())],
            ready: "started streaming WAL",
            ..Setup::default()
        })
        .unwrap();
    expect(ask(&whole(cold.address(), &authority)).await, ErrorCode::StartingUp, &["not accepting", "57P03"]);
}

/// A role of the customer's that is not ours, or a superuser tricked into it, can put functions, tables and operators in
/// front of the system's. None of them is used.
#[tokio::test]
async fn a_hostile_search_path_changes_nothing() {
    let authority = Authority::new("customer").unwrap();
    let server = server(&authority, &[BY_SCRAM], &[]);
    let before = facts(&server, &authority).await;
    server
        .sql(&format!(
            "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
             CREATE FUNCTION evil.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION evil.lies(text, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
             CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.lies);
             CREATE AGGREGATE evil.count(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '1000');
             CREATE VIEW evil.pg_settings AS SELECT 'wal_level' AS name, 'minimal' AS setting;
             CREATE VIEW evil.pg_database AS SELECT true AS datallowconn, false AS datistemplate;
             GRANT SELECT ON ALL TABLES IN SCHEMA evil TO PUBLIC;
             ALTER ROLE {ROLE} SET search_path = evil, pg_catalog;"
        ))
        .unwrap();
    assert_eq!(facts(&server, &authority).await, before);
    assert!(!before.in_recovery);
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_what_does_not_answer() {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let silent = probe(&bare(address), Duration::from_millis(300)).await;
    expect(silent, ErrorCode::TimedOut, &["asking for TLS", "0.3 s"]);
    drop(socket);
    expect(ask(&bare(address)).await, ErrorCode::ConnectionRefused, &["opening the connection"]);
    // No host of this network can have a broadcast address, so there is no way to it.
    expect(probe(&item(Ipv4Addr::BROADCAST, 5432), LIMIT).await, ErrorCode::Unreachable, &[]);
}
