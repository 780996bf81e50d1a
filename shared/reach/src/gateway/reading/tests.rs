use super::items::LONGEST_HOST;
use super::*;
use crate::gateway::PatroniQuestion;
use serde_json::json;

const SECRET: &str = "xyzzy-plugh-42";

fn all() -> BTreeSet<Verb> {
    Verb::ALL.into()
}

fn refusal(request: &Value, allowed: &BTreeSet<Verb>) -> (String, String) {
    let error = read(request, allowed).expect_err("this is no request");
    (error.code, error.message)
}

fn probe_items(items: Value) -> Vec<Asked<ProbeItem>> {
    match read(&json!({"v": VERSION, "verb": "probe", "items": items}), &all()).unwrap() {
        Work::Probe(items) => items,
        other => panic!("not asked for: {:?}", other.verb()),
    }
}

/// What is wrong with one item; empty where nothing is.
fn problem(item: Value) -> String {
    let mut item = item;
    item["id"] = json!("1");
    let [asked] = <[_; 1]>::try_from(probe_items(json!([item]))).unwrap();
    assert_eq!(asked.id, "1");
    match asked.item {
        Ok(_) => String::new(),
        Err(error) => {
            assert_eq!(error.code, "BadItem");
            error.message
        }
    }
}

#[test]
fn requests_of_one_version_older_or_newer_are_taken_whatever_else_they_hold() {
    for v in [VERSION - 1, VERSION, VERSION + 1] {
        let request =
            json!({"v": v, "verb": "resolve", "trace": "later", "items": [{"id": "1", "host": "a", "more": 1}]});
        let item = ResolveItem { id: "1".to_owned(), host: "a".to_owned() };
        let asked = Asked { id: "1".to_owned(), item: Ok(item) };
        assert_eq!(read(&request, &all()), Ok(Work::Resolve(vec![asked])), "{v}");
    }
    for v in [VERSION + 2, 99, u32::MAX] {
        let request = json!({"v": v, "verb": "from the future", "items": 7});
        let (code, message) = refusal(&request, &all());
        assert_eq!(code, "UnsupportedVersion");
        assert_eq!(message, format!("this gateway speaks version 1, and one older or newer, not {v}"));
    }
}

#[test]
fn what_is_no_request_is_refused_as_a_whole() {
    let shape = "a request is an object of `v`, `verb` and `items`";
    let id = "must be text of 1 to 64 bytes";
    let verbs = "this gateway knows the verbs resolve, probe, patroni_get, patroni_switchover, \
                 patroni_reinitialize, etcd_members, etcd_add_learner, etcd_promote, etcd_remove, etcd_move_leader and no other";
    let long = "x".repeat(65);
    let resolve = |items: Value| json!({"v": 1, "verb": "resolve", "items": items});
    let many: Vec<Value> = (0..=MOST_ITEMS).map(|n| json!({"id": n.to_string(), "host": "a"})).collect();
    for (request, code, message) in [
        (json!(null), "BadRequest", shape.to_owned()),
        (json!([]), "BadRequest", shape.to_owned()),
        (json!("probe"), "BadRequest", shape.to_owned()),
        (json!({}), "BadRequest", "`v` must be the version, a number".to_owned()),
        (json!({"v": "1"}), "BadRequest", "`v` must be the version, a number".to_owned()),
        (json!({"v": -1}), "BadRequest", "`v` must be the version, a number".to_owned()),
        (json!({"v": 1}), "BadRequest", "`verb` must be text".to_owned()),
        (json!({"v": 1, "verb": 7}), "BadRequest", "`verb` must be text".to_owned()),
        (json!({"v": 1, "verb": SECRET, "items": []}), "UnknownVerb", verbs.to_owned()),
        (json!({"v": 1, "verb": "Probe"}), "UnknownVerb", verbs.to_owned()),
        (json!({"v": 1, "verb": "probe"}), "BadRequest", "`items` must be a list".to_owned()),
        (resolve(json!({})), "BadRequest", "`items` must be a list".to_owned()),
        (resolve(json!([7])), "BadRequest", "`items[0]` must be an object".to_owned()),
        (resolve(json!([{"id": "1"}, {"host": "a"}])), "BadRequest", format!("`items[1].id` {id}")),
        (resolve(json!([{"id": 1}])), "BadRequest", format!("`items[0].id` {id}")),
        (resolve(json!([{"id": ""}])), "BadRequest", format!("`items[0].id` {id}")),
        (resolve(json!([{"id": long}])), "BadRequest", format!("`items[0].id` {id}")),
        (
            resolve(json!([{"id": "1"}, {"id": "1"}])),
            "BadRequest",
            "`items[1].id` is that of an item before it".to_owned(),
        ),
        (resolve(json!(many)), "TooManyItems", "101 items, where 100 are the most".to_owned()),
    ] {
        assert_eq!(refusal(&request, &all()), (code.to_owned(), message), "{request}");
    }
    assert_eq!(read(&resolve(json!(many[1..])), &all()).map(|work| work.verb()), Ok(Verb::Resolve));
    assert_eq!(read(&resolve(json!([])), &all()), Ok(Work::Resolve(Vec::new())));
}

#[test]
fn a_verb_that_is_not_allowed_is_refused_before_its_items_are_read() {
    let only = BTreeSet::from([Verb::Resolve]);
    let (code, message) = refusal(&json!({"v": 1, "verb": "probe", "items": "nonsense"}), &only);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("VerbNotAllowed", "this gateway may not probe: PILOTHOUSE_VERBS does not have it")
    );
    assert_eq!(refusal(&json!({"v": 1, "verb": "resolve", "items": []}), &BTreeSet::new()).0, "VerbNotAllowed");
}

#[test]
fn a_bad_item_spoils_only_itself() {
    let items = probe_items(json!([
        {"id": "a", "address": "10.9.0.5", "port": 5432},
        {"id": "b", "address": "10.9.0.6"},
        {"id": "c", "address": "10.9.0.7", "port": 5432, "tls": null, "credentials": null},
    ]));
    let results: Vec<(&str, bool)> = items.iter().map(|asked| (asked.id.as_str(), asked.item.is_ok())).collect();
    assert_eq!(results, [("a", true), ("b", false), ("c", true)]);
}

/// serde would say `invalid type: string "xyzzy-plugh-42", expected ...`.
#[test]
fn what_is_wrong_with_an_item_is_said_without_what_it_holds() {
    let good = json!({
        "address": "10.9.0.5", "port": 5432,
        "tls": {"ca": "pem", "cert": "pem", "key": "pem", "server_name": "db"},
        "credentials": {"username": "probe", "password": SECRET},
    });
    assert_eq!(problem(good.clone()), "");
    for (path, value, expected) in [
        ("/address", json!(SECRET), "`address` must be an IPv4 address"),
        ("/address", json!("fd00::1"), "`address` must be an IPv4 address"),
        ("/address", json!("10.9.0.5:5432"), "`address` must be an IPv4 address"),
        ("/address", json!(null), "`address` is missing: it must be an IPv4 address"),
        ("/port", json!(SECRET), "`port` must be a number from 1 to 65535"),
        ("/port", json!(65536), "`port` must be a number from 1 to 65535"),
        ("/port", json!(-1), "`port` must be a number from 1 to 65535"),
        ("/port", json!(54.32), "`port` must be a number from 1 to 65535"),
        ("/tls", json!(SECRET), "`tls` must be an object"),
        ("/tls/ca", json!([SECRET]), "`tls.ca` must be text"),
        ("/tls/cert", json!({"pem": SECRET}), "`tls.cert` must be text"),
        ("/tls/key", json!([SECRET]), "`tls.key` must be text"),
        ("/tls/server_name", json!(null), "`tls.server_name` is missing: it must be text"),
        ("/credentials", json!(SECRET), "`credentials` must be an object"),
        ("/credentials", json!([SECRET]), "`credentials` must be an object"),
        ("/credentials/username", json!([SECRET]), "`credentials.username` must be text"),
        ("/credentials/password", json!([SECRET]), "`credentials.password` must be text"),
        ("/credentials/password", json!(null), "`credentials.password` is missing: it must be text"),
    ] {
        let mut item = good.clone();
        *item.pointer_mut(path).unwrap() = value;
        assert_eq!(problem(item), expected, "{path}");
    }
}

#[test]
fn a_name_has_bounds() {
    let read_host = |host: &str| {
        let request = json!({"v": 1, "verb": "resolve", "items": [{"id": "1", "host": host}]});
        match read(&request, &all()).unwrap() {
            Work::Resolve(items) => items.into_iter().next().unwrap().item.map(|item| item.host),
            other => panic!("not asked for: {:?}", other.verb()),
        }
    };
    let longest = "a".repeat(LONGEST_HOST);
    assert_eq!(read_host(&longest), Ok(longest.clone()));
    for bad in ["", &format!("{longest}a")] {
        assert_eq!(read_host(bad).unwrap_err().message, "`host` must have 1 to 254 bytes");
    }
}

/// The one item of a request with this verb, or what is wrong with it.
fn one(verb: Verb, item: &Value) -> Result<Work, String> {
    let mut item = item.clone();
    item["id"] = json!("1");
    let work = read(&json!({"v": VERSION, "verb": verb.word(), "items": [item]}), &all()).unwrap();
    assert_eq!(work.verb(), verb);
    fn problem<T>(items: &[Asked<T>]) -> Option<String> {
        items.iter().find_map(|asked| asked.item.as_ref().err().map(|error| error.message.clone()))
    }
    let problem = match &work {
        Work::Resolve(items) => problem(items),
        Work::Probe(items) => problem(items),
        Work::PatroniGet(items) => problem(items),
        Work::PatroniSwitchover(items) => problem(items),
        Work::PatroniReinitialize(items) => problem(items),
        Work::EtcdMembers(items) => problem(items),
        Work::EtcdAddLearner(items) => problem(items),
        Work::EtcdPromote(items) | Work::EtcdRemove(items) | Work::EtcdMoveLeader(items) => problem(items),
    };
    problem.map_or(Ok(work), Err)
}

/// The items are flat on the wire, and what the asker's types write is what is read.
#[test]
fn items_of_nodes_are_read_as_their_types_write_them() {
    let host = json!({"address": "10.0.1.10", "port": 8008, "tls": {"server_name": "10.0.1.10"},
        "credentials": {"username": "u", "password": SECRET}});
    let with = |more: Value| {
        let mut item = host.clone();
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    fn same<T: serde::Serialize>(items: &[Asked<T>], sent: &Value) {
        let mut sent = sent.clone();
        sent["id"] = json!("1");
        assert_eq!(serde_json::to_value(items[0].item.as_ref().unwrap()).unwrap(), sent);
    }
    for (word, what) in
        [("cluster", PatroniQuestion::Cluster), ("node", PatroniQuestion::Node), ("config", PatroniQuestion::Config)]
    {
        let item = with(json!({"what": word}));
        let Ok(Work::PatroniGet(read)) = one(Verb::PatroniGet, &item) else { panic!("{item}") };
        assert_eq!(read[0].item.as_ref().unwrap().what, what);
        same(&read, &item);
    }
    let item = with(json!({"leader": "pg-1", "candidate": "pg 2"}));
    let Ok(Work::PatroniSwitchover(read)) = one(Verb::PatroniSwitchover, &item) else { panic!("{item}") };
    same(&read, &item);
    let Ok(Work::PatroniReinitialize(read)) = one(Verb::PatroniReinitialize, &host) else { panic!("{host}") };
    same(&read, &host);
    let Ok(Work::EtcdMembers(read)) = one(Verb::EtcdMembers, &host) else { panic!("{host}") };
    same(&read, &host);
    let item = with(json!({"peer_url": "https://10.0.1.13:2380"}));
    let Ok(Work::EtcdAddLearner(read)) = one(Verb::EtcdAddLearner, &item) else { panic!("{item}") };
    same(&read, &item);
    let item = with(json!({"member": u64::MAX.to_string()}));
    for verb in [Verb::EtcdPromote, Verb::EtcdRemove, Verb::EtcdMoveLeader] {
        let Ok(Work::EtcdPromote(read) | Work::EtcdRemove(read) | Work::EtcdMoveLeader(read)) = one(verb, &item) else {
            panic!("{item}")
        };
        same(&read, &item);
    }
}

#[test]
fn what_is_wrong_with_an_item_of_a_node_is_said_without_what_it_holds() {
    let host = json!({"address": "10.0.1.10", "port": 8008});
    let names = "must have 1 to 255 bytes, and no control characters";
    let url = "`peer_url` must be like https://10.0.1.10:2380";
    let id = "`member` must be a decimal id, as text";
    for (verb, more, expected) in [
        (Verb::PatroniGet, json!({}), "`what` is missing: it must be `cluster`, `node` or `config`".to_owned()),
        (Verb::PatroniGet, json!({"what": SECRET}), "`what` must be `cluster`, `node` or `config`".to_owned()),
        (
            Verb::PatroniGet,
            json!({"what": "cluster", "port": SECRET}),
            "`port` must be a number from 1 to 65535".to_owned(),
        ),
        (Verb::PatroniSwitchover, json!({"leader": "a"}), "`candidate` is missing: it must be text".to_owned()),
        (Verb::PatroniSwitchover, json!({"leader": "", "candidate": "b"}), format!("`leader` {names}")),
        (Verb::PatroniSwitchover, json!({"leader": "a", "candidate": "b\n"}), format!("`candidate` {names}")),
        (Verb::PatroniSwitchover, json!({"leader": "a", "candidate": "b".repeat(256)}), format!("`candidate` {names}")),
        (
            Verb::PatroniSwitchover,
            json!({"leader": "a", "candidate": "a"}),
            "`candidate` must be another than `leader`".to_owned(),
        ),
        (Verb::EtcdMembers, json!({"credentials": SECRET}), "`credentials` must be an object".to_owned()),
        (Verb::EtcdAddLearner, json!({}), "`peer_url` is missing: it must be text".to_owned()),
        (Verb::EtcdRemove, json!({}), "`member` is missing: it must be a decimal id, as text".to_owned()),
        (Verb::EtcdRemove, json!({"member": 17}), id.to_owned()),
    ] {
        let mut item = host.clone();
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(one(verb, &item), Err(expected), "{item}");
    }
    for bad in [
        "",
        "10.0.1.10:2380",
        "https://10.0.1.10",
        "https://:2380",
        "ftp://10.0.1.10:2380",
        "https://10.0.1.10:0",
        "https://10.0.1.10:2380/",
        "https://a@10.0.1.10:2380",
        "https://10.0.1.10:2380,http://x:1",
        "http://a b:1",
    ] {
        let item = json!({"address": "10.0.1.10", "port": 2379, "peer_url": bad});
        assert_eq!(one(Verb::EtcdAddLearner, &item), Err(url.to_owned()), "{bad}");
    }
    for bad in ["", "0", "08", "+8", "-1", "0x8", "8211f1d0f64f3269", "18446744073709551616", SECRET] {
        let item = json!({"address": "10.0.1.10", "port": 2379, "member": bad});
        assert_eq!(one(Verb::EtcdPromote, &item), Err(id.to_owned()), "{bad}");
    }
}
