use serde_json::json;

use super::*;

fn read(body: Value) -> Result<ClusterView, Unreadable> {
    ClusterView::read(&Said { status: 200, body })
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// The example in Patroni's `docs/rest_api.rst`, 4.1.
fn of_4_1() -> Value {
    json!({"members": [
        {"name": "patroni1", "role": "leader", "state": "running", "api_url": "http://10.89.0.4:8008/patroni",
         "host": "10.89.0.4", "port": 5432, "timeline": 5, "tags": {"clonefrom": true}},
        {"name": "patroni2", "role": "replica", "state": "streaming", "api_url": "http://10.89.0.6:8008/patroni",
         "host": "10.89.0.6", "port": 5433, "timeline": 5, "receive_lag": 0, "receive_lsn": "0/4000060",
         "replay_lag": 16, "replay_lsn": "0/4000050", "lag": 0, "lsn": "0/4000060"}],
        "scope": "demo", "pause": true,
        "scheduled_switchover": {"at": "2023-09-24T10:36:00+02:00", "from": "patroni1", "to": "patroni3"}})
}

#[test]
fn what_patroni_4_1_says_is_read() {
    let view = read(of_4_1()).unwrap();
    assert_eq!(view.scope.as_deref(), Some("demo"));
    assert!(view.paused);
    let scheduled = view.scheduled_switchover.clone().unwrap();
    assert_eq!((scheduled.from.as_deref(), scheduled.to.as_deref()), (Some("patroni1"), Some("patroni3")));
    assert_eq!(scheduled.at.as_deref(), Some("2023-09-24T10:36:00+02:00"));
    let [leader, replica] = view.members.as_slice() else { panic!("{view:#?}") };
    assert_eq!(view.leader(), Found::Member(leader));
    assert_eq!((leader.state.clone(), leader.lag, leader.timeline), (State::Running, None, Some(5)));
    assert_eq!((&replica.role, &replica.state), (&Role::Replica, &State::Streaming));
    assert_eq!((replica.lag, replica.replay_lag, replica.port), (Some(0), Some(16), Some(5433)));
    assert_eq!(replica.api_address(), Some(ip("10.89.0.6")));
    assert_eq!(replica.tags, Tags::default());
}

/// Patroni 4.0 has no fields for receiving and replaying, and a role for standbys of a quorum.
#[test]
fn what_patroni_4_0_says_is_read() {
    let view = read(json!({"members": [
        {"name": "a", "role": "leader", "state": "running", "api_url": "https://10.0.0.1:8008/patroni", "host": "10.0.0.1",
         "port": 5432, "timeline": 3},
        {"name": "b", "role": "quorum_standby", "state": "streaming", "api_url": "https://10.0.0.2:8008/patroni",
         "host": "10.0.0.2", "port": 5432, "timeline": 3, "lag": 48},
        {"name": "c", "role": "replica", "state": "in archive recovery", "api_url": "https://10.0.0.3:8008/patroni",
         "host": "10.0.0.3", "port": 5432, "timeline": 3, "lag": "unknown", "tags": {"nofailover": false, "failover_priority": 0}}
    ], "scope": "acme"}))
    .unwrap();
    assert!(!view.paused);
    assert_eq!(view.scheduled_switchover, None);
    assert_eq!(view.members[1].role, Role::QuorumStandby);
    assert_eq!((view.members[1].lag, view.members[1].replay_lag), (Some(48), None));
    assert_eq!(view.members[2].state, State::InArchiveRecovery);
    assert_eq!(view.members[2].lag, None);
    assert_eq!(view.members[2].tags.bar_to_lead(), None, "nofailover counts more where both are given");
}

/// Patroni 3.0 has no `scope`, and says `running` of a standby that streams.
#[test]
fn what_patroni_3_0_says_is_read() {
    let view = read(json!({"members": [
        {"name": "a", "role": "standby_leader", "state": "running", "api_url": "http://10.0.0.1:8008/patroni",
         "host": "10.0.0.1", "port": 5432, "timeline": 1},
        {"name": "b", "role": "sync_standby", "state": "running", "api_url": "http://10.0.0.2:8008/patroni",
         "host": "10.0.0.2", "port": 5432, "timeline": 1, "lag": 0, "pending_restart": true}
    ]}))
    .unwrap();
    assert_eq!(view.scope, None);
    assert_eq!(view.leader().member().map(|m| m.name.as_str()), Some("a"), "a standby leader holds the lock too");
    assert!(view.members[1].pending_restart && view.members[1].role.follows());
}

#[test]
fn a_member_is_found_by_its_address_and_never_by_its_name() {
    let view = read(json!({"members": [
        {"name": "10.0.0.9", "role": "leader", "state": "running", "host": "10.0.0.1",
         "api_url": "http://10.0.0.1:8008/patroni"},
        {"name": "by-api", "role": "replica", "state": "streaming", "host": "db2.internal",
         "api_url": "http://10.0.0.2:8008/patroni"},
        {"name": "by-host", "role": "replica", "state": "streaming", "host": "10.0.0.3"},
    ]}))
    .unwrap();
    let at = |address: &str| view.at(ip(address)).member().map(|member| member.name.as_str());
    assert_eq!(at("10.0.0.1"), Some("10.0.0.9"));
    assert_eq!(at("10.0.0.2"), Some("by-api"));
    assert_eq!(at("10.0.0.3"), Some("by-host"));
    assert_eq!(view.at(ip("10.0.0.9")), Found::Nobody, "a name that looks like an address");
    assert_eq!(view.named("by-api"), Some(&view.members[1]));
}

/// Absent is a fact only where every member says where it is.
#[test]
fn where_members_cannot_be_told_apart_it_is_not_known_who_is_there() {
    let named = |host: &str, api: &str| json!({"name": host, "role": "replica", "host": host, "api_url": api});
    let view =
        read(json!({"members": [named("10.0.0.1", ""), named("db2.internal", "http://db2.internal:8008/")]})).unwrap();
    assert_eq!(view.at(ip("10.0.0.1")).member().map(|m| m.name.as_str()), Some("10.0.0.1"));
    assert_eq!(view.at(ip("10.0.0.2")), Found::NotKnown);
    let twice = json!({"members": [named("10.0.0.1", "x"), named("db2", "http://10.0.0.1:8008/patroni")]});
    assert_eq!(read(twice).unwrap().at(ip("10.0.0.1")), Found::NotKnown);
    assert_eq!(read(json!({"members": []})).unwrap().at(ip("10.0.0.1")), Found::Nobody);
}

#[test]
fn a_cluster_is_unlocked_only_if_nobody_can_be_the_leader() {
    let of = |roles: &[Value]| {
        let members: Vec<Value> = roles
            .iter()
            .enumerate()
            .map(|(n, role)| json!({"name": n.to_string(), "role": role, "state": "running"}))
            .collect();
        read(json!({"members": members})).unwrap()
    };
    assert_eq!(of(&[json!("replica"), json!("sync_standby")]).leader(), Found::Nobody);
    for odd in [json!("master of all"), json!(null), json!(7), json!("")] {
        let view = of(&[json!("replica"), odd.clone()]);
        assert_eq!(view.leader(), Found::NotKnown, "{odd}");
        assert!(!view.members[1].role.follows(), "{odd}");
        let view = of(&[json!("leader"), odd]);
        assert_eq!(view.leader(), Found::Member(&view.members[0]));
    }
    assert_eq!(of(&[json!("leader"), json!("standby_leader")]).leader(), Found::NotKnown, "two");
}

#[test]
fn lifecycle_case_20_an_unknown_lag_or_a_member_without_an_api_is_never_taken_for_a_healthy_one() {
    for lag in [json!("unknown"), json!(null), json!(-1), json!("a lot"), json!([0]), json!(0.5), json!(true)] {
        let member = json!({"name": "b", "role": "replica", "state": "streaming", "host": "10.0.0.2", "timeline": 1,
            "lag": lag, "replay_lag": lag});
        let view = read(json!({"members": [member]})).unwrap();
        assert_eq!((view.members[0].lag, view.members[0].replay_lag), (None, None), "{lag}");
        assert_eq!((&view.members[0].api_url, view.members[0].api_address()), (&None, None));
    }
    let view = read(json!({"members": [{"name": "b"}]})).unwrap();
    let member = &view.members[0];
    assert_eq!((member.lag, member.timeline, member.state.is_up()), (None, None, false));
    assert!(!member.role.follows() && !member.role.leads());
    for bad in
        [json!("ftp//x"), json!("http://"), json!("http://db.internal:8008/patroni"), json!("http://[::1]:8008/")]
    {
        let view = read(json!({"members": [{"name": "b", "api_url": bad}]})).unwrap();
        assert_eq!(view.members[0].api_address(), None, "{bad}");
    }
}

#[test]
fn lifecycle_case_21_the_tag_that_bars_a_node_from_leading_is_named() {
    let bar = |tags: Value| {
        let view = read(json!({"members": [{"name": "b", "tags": tags}]})).unwrap();
        view.members[0].tags.bar_to_lead()
    };
    for (tags, expected) in [
        (json!({}), None),
        (json!(null), None),
        (json!({"clonefrom": true, "nosync": true, "az": "a"}), None),
        (json!({"nofailover": true}), Some("nofailover")),
        (json!({"nofailover": "yes"}), Some("nofailover")),
        (json!({"nofailover": false}), None),
        (json!({"failover_priority": 0}), Some("failover_priority")),
        (json!({"failover_priority": -3}), Some("failover_priority")),
        (json!({"failover_priority": "0"}), Some("failover_priority")),
        (json!({"failover_priority": 2}), None),
        (json!({"nofailover": false, "failover_priority": 0}), None),
        (json!({"nofailover": true, "failover_priority": 9}), Some("nofailover")),
        // Not to be read: Patroni itself takes any text for a yes.
        (json!({"nofailover": "perhaps"}), Some("nofailover")),
        (json!({"nofailover": [], "failover_priority": 5}), Some("nofailover")),
        (json!({"failover_priority": "high"}), Some("failover_priority")),
        (json!(["nofailover"]), Some("tags")),
    ] {
        assert_eq!(bar(tags.clone()), expected, "{tags}");
    }
    let view = read(json!({"members": [{"name": "b", "tags": {
        "sync_priority": 0, "noloadbalance": true, "nostream": 1, "replicatefrom": "c", "failover_priority": 3}}]}))
    .unwrap();
    let tags = Tags {
        nosync: true,
        noloadbalance: true,
        nostream: true,
        replicatefrom: Some("c".to_owned()),
        failover_priority: Some(3),
        ..Tags::default()
    };
    assert_eq!(view.members[0].tags, tags);
}

#[test]
fn what_is_no_such_answer_is_none() {
    for body in [
        json!(null),
        json!("members"),
        json!([]),
        json!({}),
        json!({"members": {}}),
        json!({"members": [7]}),
        json!({"members": [{}]}),
        json!({"members": [{"name": ""}]}),
        json!({"members": [{"name": ["a"]}]}),
        json!({"members": [], "pause": "perhaps"}),
    ] {
        assert!(read(body.clone()).is_err(), "{body}");
    }
    let told = ClusterView::read(&Said { status: 503, body: of_4_1() }).unwrap_err();
    assert!(told.to_string().contains("503"), "{told}");
    let told = ClusterView::read(&Said { status: 401, body: json!("no auth header received") }).unwrap_err();
    assert!(told.to_string().contains("no auth header received"), "{told}");
    let odd = read(json!({"members": [], "scheduled_switchover": "tonight", "more": 1})).unwrap();
    assert!(odd.scheduled_switchover.is_some(), "whatever it is: somebody has ordered one");
}

#[test]
fn states_are_told_apart_and_unknown_ones_kept() {
    for (words, expected, up) in [
        ("streaming", State::Streaming, true),
        ("in archive recovery", State::InArchiveRecovery, true),
        ("running", State::Running, true),
        ("starting", State::Starting, false),
        ("restarting", State::Restarting, false),
        ("stopping", State::Stopping, false),
        ("stopped", State::Stopped, false),
        ("crashed", State::Crashed, false),
        ("creating replica", State::CreatingReplica, false),
        ("initializing new cluster", State::Bootstrapping, false),
        ("running custom bootstrap script", State::Bootstrapping, false),
        ("starting after custom bootstrap", State::Bootstrapping, false),
        ("start failed", State::Failed("start failed".to_owned()), false),
        ("initdb failed", State::Failed("initdb failed".to_owned()), false),
        ("unknown", State::Other("unknown".to_owned()), false),
        ("Running", State::Other("Running".to_owned()), false),
    ] {
        let state = State::of(words);
        assert_eq!((&state, state.is_up()), (&expected, up), "{words}");
        assert!(matches!(state, State::Bootstrapping) || state.words() == words);
    }
    assert_eq!(State::of("").words(), "not known");
}
