//! What thaws, whatever dies.

use std::fs;
use std::path::Path;
use std::process::Command;

use lab::FsKind::{Ext4, Xfs};

use crate::node::{Node, is_thawed, kill, wait};
use crate::server::{Server, folder};

const LIMIT: u32 = 2;

/// Waits until all of it is over, and sees that each file system was thawed in time, as the node's own clock has it. How late a
/// sleeper wakes is the machine's, which may have other work: a multiple of the limit, and never for ever.
#[track_caller]
fn thawed_in_time(node: &Node, token: &str, file_systems: usize) {
    for fs in 0..file_systems {
        if !node.known(token, fs, "go").exists() && !node.known(token, fs, "armed").exists() {
            // It was killed before it came to this one, which cannot have been frozen.
            continue;
        }
        node.wait_for(token, fs, "over");
        let frozen = node.known(token, fs, "frozen");
        if !frozen.exists() {
            continue;
        }
        let at = |name: &str| node.wait_for(token, fs, name).parse::<f64>().unwrap();
        let took = at("thawed") - at("frozen");
        assert!(took < f64::from(LIMIT) * 4.0, "{fs} was frozen for {took} s");
    }
}

#[test]
fn snapshot_case_3_whoever_froze_is_killed_and_every_mount_thaws_by_itself() {
    let node = Node::new();
    let (data, wal) = (node.disk("data", Ext4), node.disk("wal", Xfs));
    for disk in [&data, &wal] {
        folder(disk.mount().to_owned());
    }
    let server = Server::start(data.mount(), wal.mount(), &node.folder.join("sockets"));
    let load = server.load();
    let mounts = [data.mount(), wal.mount()];

    // When the first thing can thaw, when all can, and when the first is frozen.
    for (moment, group) in [("armed", true), ("go", true), ("frozen", true), ("frozen", false)] {
        let token = format!("{moment}-{group}");
        let mut agent = node.agent(&token, LIMIT, &mounts);
        node.wait_for(&token, 0, moment);
        if group {
            // The agent and all that it started.
            kill(-i64::from(agent.id())).unwrap();
        } else {
            // The script, which is the agent's child; the agent ends afterwards.
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.id())).unwrap();
            for child in children.split_whitespace() {
                kill(child.parse().unwrap()).unwrap();
            }
            kill(-i64::from(agent.id())).unwrap();
        }
        agent.wait().unwrap();
        thawed_in_time(&node, &token, 2);
        load.goes_on();
        is_thawed(&data);
        is_thawed(&wal);
        let said = node.ask("thaw", &token);
        assert_eq!((said.code, said.verdicts()), (0, vec!["early", "early"]), "{moment}: {said:?}");
        if moment == "frozen" {
            assert_ne!(said.all("mount", 4)[0], "-", "{said:?}");
        }
    }
}

#[test]
fn snapshot_case_3_nobody_ever_thaws_and_every_mount_does_by_itself() {
    let node = Node::new();
    let (data, wal) = (node.disk("data", Ext4), node.disk("wal", Xfs));
    folder(data.mount().to_owned());
    folder(wal.mount().to_owned());
    let server = Server::start(data.mount(), wal.mount(), &node.folder.join("sockets"));
    let load = server.load();
    assert_eq!(node.freeze("one", LIMIT, &[data.mount(), wal.mount()]).code, 0);
    thawed_in_time(&node, "one", 2);
    load.goes_on();
    let said = node.ask("thaw", "one");
    assert_eq!((said.code, said.verdicts()), (0, vec!["early", "early"]));
    assert!(said.all("mount", 4).iter().all(|thawed| *thawed != "-"), "{said:?}");
}

/// The process that thaws has one that watches it.
#[test]
fn s2_what_thaws_is_killed_and_the_mount_thaws_all_the_same() {
    let node = Node::new();
    let (first, second) = (node.disk("first", Ext4), node.disk("second", Ext4));
    assert_eq!(node.freeze("one", LIMIT, &[first.mount(), second.mount()]).code, 0);
    kill(node.wait_for("one", 0, "armed").parse().unwrap()).unwrap();
    // Somebody else has its number.
    fs::write(node.known("one", 0, "armed"), std::process::id().to_string()).unwrap();
    kill(node.wait_for("one", 1, "guard").parse().unwrap()).unwrap();
    thawed_in_time(&node, "one", 2);
    is_thawed(&first);
    is_thawed(&second);
    assert_eq!(node.ask("thaw", "one").verdicts(), ["early", "early"]);

    // Or the command thaws it, in time.
    assert_eq!(node.freeze("two", 5, &[first.mount()]).code, 0);
    kill(node.wait_for("two", 0, "armed").parse().unwrap()).unwrap();
    assert_eq!(node.ask("thaw", "two").verdicts(), ["still"]);
    is_thawed(&first);
    // And its lock is no obstacle.
    assert_eq!(node.freeze("three", 5, &[first.mount()]).code, 0);
    assert_eq!(node.ask("thaw", "three").verdicts(), ["still"]);
}

/// The command dies when it has said that it will thaw, and before it does.
#[test]
fn s2_a_thaw_that_is_killed_is_done_without_it() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    assert_eq!(node.freeze("one", LIMIT, &[disk.mount()]).code, 0);
    fs::create_dir(node.known("one", 0, "claim")).unwrap();
    node.wait_for("one", 0, "thawed");
    let said = node.ask("thaw", "one");
    assert_eq!((said.code, said.verdicts()), (0, vec!["early"]), "{said:?}");
    is_thawed(&disk);
}

/// Looks at what is ready whenever something freezes, and then does it for real.
fn watched(node: &Node, before: &str) -> String {
    let log = node.folder.join("frozen-when");
    let program = format!(
        r#"#!/bin/sh
if [ "$1" = --freeze ]; then
    for fs in {state}/freeze-*/fs.*; do
        kill -0 "$(cat "$fs/armed")" && kill -0 "$(cat "$fs/guard")" && echo ready || echo "not ready: $fs"
    done >>{log} 2>&1
    {before}
fi
exec /usr/sbin/fsfreeze "$@"
"#,
        state = node.state.display(),
        log = log.display()
    );
    node.program("fsfreeze", &program);
    log.display().to_string()
}

#[test]
fn s2_all_that_thaws_is_ready_before_anything_freezes() {
    let node = Node::new();
    let log = watched(&node, "");
    let (first, second) = (node.disk("first", Ext4), node.disk("second", Ext4));
    assert_eq!(node.freeze("one", 5, &[first.mount(), second.mount()]).code, 0);
    assert_eq!(node.ask("thaw", "one").verdicts(), ["still", "still"]);
    assert_eq!(fs::read_to_string(log).unwrap(), "ready\n".repeat(4));

    // What is not ready in time freezes nothing.
    node.wait_for("one", 1, "over");
    node.program("setsid", "#!/bin/sh\nexit 1\n");
    node.freeze("two", 5, &[first.mount()]).refused(3, "not armed");
    is_thawed(&first);
}

#[test]
fn s2_a_freeze_that_takes_too_long_is_given_up_and_thawed_when_it_has_come() {
    let node = Node::new();
    let landed = node.folder.join("landed");
    // Nobody can end it, as a freeze that waits for a slow disk.
    let slow = format!("trap '' TERM HUP INT; sleep 4; /usr/sbin/fsfreeze \"$@\"; : >{}; exit 0", landed.display());
    watched(&node, &slow);
    let (first, second) = (node.disk("first", Ext4), node.disk("second", Ext4));
    node.freeze("one", 1, &[first.mount(), second.mount()]).refused(4, "it took too long");
    assert!(Path::new(&landed).exists(), "it was told to be over before it was");
    is_thawed(&first);
    is_thawed(&second);
}

#[test]
fn s2_what_thaws_belongs_to_nobody_who_dies() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    let mut agent = node.agent("one", LIMIT, &[disk.mount()]);
    let thawer = node.wait_for("one", 0, "armed");
    let session = |pid: &str| {
        let said = Command::new("ps").args(["-o", "sid=", "-p", pid]).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(session(&thawer), thawer);
    assert_ne!(session(&thawer), session(&agent.id().to_string()));
    node.wait_for("one", 0, "frozen");
    kill(-i64::from(agent.id())).unwrap();
    agent.wait().unwrap();
    wait("the thaw", || node.known("one", 0, "thawed").exists());
    is_thawed(&disk);
}

/// The agent's service may be stopped with all that it started. What thaws is a service of its own: it has nothing of the one who
/// starts it, not even the environment.
#[test]
fn s2_with_systemd_what_thaws_is_a_service_of_its_own() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    let log = node.folder.join("services");
    let program = format!(
        r#"#!/bin/sh
[ "$1" = --quiet ] || exit 1
echo "${{2#--unit=}}" >>{log}
shift 2
exec env -i setsid --fork "$@" </dev/null >/dev/null 2>&1
"#,
        log = log.display()
    );
    node.program("systemd-run", &program);
    node.program("setsid", "#!/bin/sh\n[ \"$1\" = --fork ] && exec /usr/bin/setsid \"$@\"\nexit 1\n");
    assert_eq!(node.freeze("acme.1", 5, &[disk.mount()]).code, 0);
    assert_eq!(node.ask("thaw", "acme.1").verdicts(), ["still"]);
    node.wait_for("acme.1", 0, "over");
    assert_eq!(node.freeze("acme.2", LIMIT, &[disk.mount()]).code, 0);
    thawed_in_time(&node, "acme.2", 1);
    is_thawed(&disk);
    let services = ["thaw-acme.1", "guard-acme.1", "thaw-acme.2", "guard-acme.2"];
    assert_eq!(fs::read_to_string(log).unwrap(), services.map(|name| format!("pilothouse-{name}-0\n")).concat());
}
