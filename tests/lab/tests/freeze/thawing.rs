//! A freeze that goes as it should, and what is told of it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use lab::FsKind::{Ext4, Xfs};

use crate::node::{Node, is_thawed, unfreeze};
use crate::server::{Server, folder};

#[test]
fn s2_writers_wait_while_all_mounts_are_frozen_and_go_on_after_the_thaw() {
    let node = Node::new();
    let (data, wal) = (node.disk("data", Ext4), node.disk("wal", Xfs));
    for disk in [&data, &wal] {
        folder(disk.mount().to_owned());
    }
    let server = Server::start(data.mount(), wal.mount(), &node.folder.join("sockets"));
    let load = server.load();
    load.goes_on();

    let frozen = node.freeze("acme.20260925T030000Z.1", 5, &[data.mount(), wal.mount()]);
    assert_eq!(frozen.code, 0, "{frozen:?}");
    let mounts = [data.mount(), wal.mount()].map(|mount| mount.to_str().unwrap());
    assert_eq!(frozen.all("frozen", 1), mounts);
    // The acknowledgement of a row that was in time may be on its way.
    thread::sleep(Duration::from_millis(200));
    let rows = load.rows();
    assert_eq!(node.ask("tell", "acme.20260925T030000Z.1").verdicts(), ["still", "still"]);
    assert_eq!(load.rows(), rows, "a row was acknowledged while WAL could not be written");

    let thawed = node.ask("thaw", "acme.20260925T030000Z.1");
    assert_eq!((thawed.code, thawed.verdicts()), (0, vec!["still", "still"]), "{thawed:?}");
    assert_eq!(thawed.all("mount", 1), mounts);
    assert_eq!(thawed.all("mount", 3), frozen.all("frozen", 2));
    for (from, to) in thawed.all("mount", 3).into_iter().zip(thawed.all("mount", 4)) {
        assert!(from.parse::<f64>().unwrap() < to.parse::<f64>().unwrap(), "{thawed:?}");
    }
    load.goes_on();
    // Asked again, or told only: the same, word for word.
    assert_eq!(node.ask("thaw", "acme.20260925T030000Z.1"), thawed);
    assert_eq!(node.ask("tell", "acme.20260925T030000Z.1"), thawed);
    // Nothing of it keeps the next one.
    node.wait_for("acme.20260925T030000Z.1", 1, "over");
    assert_eq!(node.freeze("acme.20260925T030000Z.2", 5, &[data.mount()]).code, 0);
    assert_eq!(node.ask("thaw", "acme.20260925T030000Z.2").verdicts(), ["still"]);
    load.goes_on();
}

#[test]
fn snapshot_case_7_a_thaw_after_the_limit_is_early_and_thaws_nobody_elses_freeze() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    assert_eq!(node.freeze("one", 1, &[disk.mount()]).code, 0);
    let thawed = node.wait_for("one", 0, "thawed");
    node.wait_for("one", 0, "over");
    is_thawed(&disk);

    let other = disk.freeze().unwrap();
    let said = node.ask("thaw", "one");
    assert_eq!((said.code, said.verdicts(), said.all("mount", 4)), (0, vec!["early"], vec![thawed.as_str()]));
    assert!(unfreeze(&disk), "the freeze of somebody else was thawed");
    drop(other);
    assert_eq!(node.ask("tell", "one"), said);
}

#[test]
fn snapshot_case_6_a_mount_that_was_thawed_already_does_not_keep_the_others_frozen() {
    let node = Node::new();
    let (first, second) = (node.disk("first", Ext4), node.disk("second", Ext4));
    assert_eq!(node.freeze("one", 5, &[first.mount(), second.mount()]).code, 0);
    assert!(unfreeze(&first));
    let said = node.ask("thaw", "one");
    assert_eq!((said.code, said.verdicts()), (0, vec!["early", "still"]), "{said:?}");
    is_thawed(&second);
}

#[test]
fn snapshot_case_5_a_mount_that_does_not_freeze_lets_the_others_go_at_once() {
    let node = Node::new();
    let (first, second) = (node.disk("first", Ext4), node.disk("second", Ext4));
    // Whether it is time that thaws, or the failure.
    let log = node.folder.join("thawed-when");
    let state = node.state.display();
    node.program(
        "fsfreeze",
        &format!(
            r#"#!/bin/sh
[ "$1" != --unfreeze ] || ls {state}/freeze-one/fs.0/stop >>{log} 2>&1
exec /usr/sbin/fsfreeze "$@"
"#,
            log = log.display()
        ),
    );
    // proc knows no freezing.
    node.freeze("one", 5, &[first.mount(), Path::new("/proc")]).refused(4, "/proc could not be frozen");
    is_thawed(&first);
    assert!(!node.state.join("freeze-one").exists());
    assert_eq!(fs::read_to_string(log).unwrap(), format!("{state}/freeze-one/fs.0/stop\n"));

    // Nor may somebody else's freeze be thawed for ours.
    let others = second.freeze().unwrap();
    node.freeze("one", 5, &[first.mount(), second.mount()]).refused(4, "could not be frozen");
    is_thawed(&first);
    assert!(unfreeze(&second), "the freeze of somebody else was thawed");
    drop(others);
    assert_eq!(fs::read_dir(&node.state).unwrap().count(), 0, "nothing is left");
}

#[test]
fn s2_a_file_system_that_is_mounted_twice_is_frozen_once_and_told_for_both() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    // A tab is a field's end in what the script prints.
    let bound = node.folder.join("a 100%\tplace");
    fs::create_dir(&bound).unwrap();
    let mount = |arguments: &[&Path]| {
        assert!(std::process::Command::new("mount").args(arguments).status().unwrap().success());
    };
    mount(&[Path::new("--bind"), disk.mount(), &bound]);
    let frozen = node.freeze("one", 5, &[disk.mount(), &bound]);
    let said = node.ask("thaw", "one");
    assert!(std::process::Command::new("umount").arg(&bound).status().unwrap().success());
    assert_eq!((frozen.code, said.verdicts()), (0, vec!["still", "still"]), "{frozen:?} {said:?}");
    assert!(said.all("mount", 1)[1].ends_with("/a 100%25%09place"), "{said:?}");
    assert!(!node.known("one", 1, "path").exists());
    is_thawed(&disk);
}
