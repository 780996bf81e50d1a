use serde_json::json;

use super::*;

fn read(body: Value) -> Result<NodeView, Unreadable> {
    NodeView::read(&Said { status: 200, body })
}

/// The example in Patroni's documentation, 4.x.
fn primary() -> Value {
    json!({"state": "running", "postmaster_start_time": "2024-08-28 19:39:26.352526+00:00", "role": "primary",
        "server_version": 160_004, "xlog": {"location": 67_395_656}, "timeline": 1,
        "replication": [{"usename": "replicator", "application_name": "patroni2", "client_addr": "10.89.0.6",
            "state": "streaming", "sync_state": "async", "sync_priority": 0}],
        "dcs_last_seen": 1_692_356_718, "tags": {"clonefrom": true},
        "database_system_identifier": "7268616322854375442",
        "patroni": {"version": "4.0.0", "scope": "demo", "name": "patroni1"}})
}

fn replica() -> Value {
    json!({"state": "running", "role": "replica", "server_version": 150_018, "timeline": 1,
        "xlog": {"received_location": 67_395_600, "replayed_location": 67_395_500, "replayed_timestamp": null,
            "paused": false},
        "replication_state": "streaming", "sync_standby": true, "dcs_last_seen": 1_692_356_718,
        "database_system_identifier": "7268616322854375442", "patroni": {"version": "3.1.0", "scope": "demo"}})
}

#[test]
fn a_leader_of_4_and_of_3_is_read() {
    let view = read(primary()).unwrap();
    assert_eq!((&view.role, &view.state, view.timeline), (&NodeRole::Primary, &State::Running, Some(1)));
    assert_eq!(view.wal, Wal { location: Some(67_395_656), ..Wal::default() });
    let standby = Standby {
        application_name: "patroni2".to_owned(),
        client: Some("10.89.0.6".parse().unwrap()),
        state: "streaming".to_owned(),
        sync_state: "async".to_owned(),
    };
    assert!(standby.streams());
    assert_eq!(view.replication, Some(vec![standby]));
    assert_eq!(view.server_version, Some(160_004));
    assert_eq!(view.system_identifier.as_deref(), Some("7268616322854375442"));
    assert_eq!(
        [view.version.as_deref(), view.scope.as_deref(), view.name.as_deref()],
        [Some("4.0.0"), Some("demo"), Some("patroni1")]
    );
    assert_eq!(view.dcs_last_seen, Some(1_692_356_718));
    assert!(!view.cluster_unlocked && !view.paused && !view.failsafe && !view.pending_restart);

    let mut older = primary();
    older["role"] = json!("master");
    older["patroni"] = json!({"version": "3.0.2", "scope": "demo"});
    let older = read(older).unwrap();
    assert_eq!((older.role, older.name), (NodeRole::Primary, None));
}

#[test]
fn a_replica_is_read_and_its_lag_computed_from_both_positions() {
    let view = read(replica()).unwrap();
    assert_eq!(view.role, NodeRole::Replica);
    assert!(view.sync_standby && !view.quorum_standby);
    assert_eq!(view.replication_state, Some(State::Streaming));
    assert_eq!(view.wal.replay_paused, Some(false));
    assert_eq!(view.replication, Some(Vec::new()), "PostgreSQL was asked, and nobody receives");
    let leader = read(primary()).unwrap();
    assert_eq!(view.behind(&leader), Some(Behind { to_replay: 156, to_receive: 56 }));
    // What is not known is no zero.
    let mut silent = replica();
    silent["xlog"]["replayed_location"] = json!(null);
    assert_eq!(read(silent).unwrap().behind(&leader), None);
    assert_eq!(view.behind(&view), None, "a standby has no position to compare with");
    let mut ahead = replica();
    ahead["xlog"] = json!({"received_location": "0/FFFFFFFF", "replayed_location": "1/0"});
    let ahead = read(ahead).unwrap();
    assert_eq!(ahead.wal.replayed, Some(1 << 32));
    assert_eq!(ahead.behind(&leader), Some(Behind { to_replay: 0, to_receive: 0 }));
}

/// Where PostgreSQL does not run Patroni says only this much.
#[test]
fn a_node_without_postgresql_has_no_positions_and_nobody_knows_its_receivers() {
    let body = json!({"state": "stopped", "role": "demoted", "dcs_last_seen": 5, "cluster_unlocked": true, "pause": true,
        "failsafe_mode_is_active": true, "patroni": {"version": "4.1.5", "scope": "demo", "name": "b"}});
    let view = read(body).unwrap();
    assert_eq!((&view.role, &view.state), (&NodeRole::Demoted, &State::Stopped));
    assert_eq!((&view.wal, &view.replication, view.timeline), (&Wal::default(), &None, None));
    assert!(view.cluster_unlocked && view.paused && view.failsafe);
    assert_eq!(view.system_identifier, None);
}

#[test]
fn roles_are_told_apart_and_unknown_ones_are_never_harmless() {
    for (word, expected, harmless) in [
        ("primary", NodeRole::Primary, false),
        ("master", NodeRole::Primary, false),
        ("standby_leader", NodeRole::StandbyLeader, true),
        ("replica", NodeRole::Replica, true),
        ("demoted", NodeRole::Demoted, false),
        ("promoted", NodeRole::Promoted, false),
        ("uninitialized", NodeRole::Uninitialized, true),
        ("leader", NodeRole::Other("leader".to_owned()), false),
        ("", NodeRole::Other(String::new()), false),
    ] {
        let view = read(json!({"role": word, "state": "running"})).unwrap();
        assert_eq!((&view.role, view.role.is_no_writer()), (&expected, harmless), "{word}");
    }
}

#[test]
fn what_has_another_shape_is_not_known() {
    let with = |path: &str, value: Value| {
        let mut body = primary();
        body[path] = value;
        read(body)
    };
    assert_eq!(with("timeline", json!(0)).unwrap().timeline, None, "Patroni's word for one that it does not know");
    assert_eq!(with("timeline", json!("?")).unwrap().timeline, None);
    assert_eq!(with("xlog", json!([])).unwrap().wal, Wal::default());
    assert_eq!(with("xlog", json!({"location": "0/XYZ"})).unwrap().wal.location, None);
    assert_eq!(with("replication", json!("many")).unwrap().replication, None);
    assert_eq!(with("replication", json!([7])).unwrap().replication, None);
    let vague = with("replication", json!([{"client_addr": null}])).unwrap().replication.unwrap();
    assert!(!vague[0].streams() && vague[0].client.is_none());
    assert_eq!(with("server_version", json!(-1)).unwrap().server_version, None);
    assert_eq!(
        with("database_system_identifier", json!(7_268_616_322_854_375_442_u64)).unwrap().system_identifier.as_deref(),
        Some("7268616322854375442")
    );
    assert!(with("pending_restart", json!({})).unwrap().pending_restart);
    for mark in ["pause", "cluster_unlocked", "failsafe_mode_is_active", "sync_standby"] {
        assert!(with(mark, json!("perhaps")).is_err(), "{mark}");
    }
    for body in [json!({}), json!([]), json!("running"), json!({"role": 7, "state": null})] {
        assert!(read(body.clone()).is_err(), "{body}");
    }
}

/// Whatever is put in the place of any part, something is read or nothing, and nothing panics.
#[test]
fn no_shape_of_an_answer_ends_the_reader() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!("\u{0}"),
        json!("/"),
        json!([]),
        json!({}),
        json!([{}]),
    ];
    let mut read_some = 0;
    for body in [primary(), replica()] {
        for name in body.as_object().unwrap().keys() {
            for value in &odd {
                let mut body = body.clone();
                body[name] = value.clone();
                read_some += u32::from(read(body.clone()).is_ok());
                let _ = super::super::ClusterView::read(&Said { status: 200, body: json!({"members": [body]}) });
                let _ = super::super::DynamicConfig::read(&Said { status: 200, body });
            }
        }
    }
    assert!(read_some > 100, "{read_some}");
}
