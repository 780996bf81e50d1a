//! What is never frozen.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lab::FsKind::Ext4;

use crate::node::{Node, is_thawed, seconds, wait};

/// A process of the test's, which ends with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is undone.
struct Bound(PathBuf);

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn snapshot_case_4_a_command_that_comes_late_freezes_nothing() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    let late = (seconds() - 1).to_string();
    node.freeze_with("one", "5", &[disk.mount()], &[("NOT_AFTER", &late)]).refused(2, "too late");
    assert!(!node.state.exists(), "it began with something");
    assert_eq!(node.ask("thaw", "one").code, 6);

    // It was in time, but until all was ready it no longer is: `sync` takes long on a busy disk.
    node.program("sync", &format!("#!/bin/sh\nwhile [ \"$(date +%s)\" -le {} ]; do sleep 0.1; done\n", seconds() + 2));
    let late = (seconds() + 2).to_string();
    node.freeze_with("one", "5", &[disk.mount()], &[("NOT_AFTER", &late)]).refused(2, "too late");
    is_thawed(&disk);
    assert_eq!(fs::read_dir(&node.state).unwrap().count(), 0, "nothing is left");
}

#[test]
fn s2_what_is_asked_for_wrongly_freezes_nothing() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    let inside = disk.mount().join("folder");
    fs::create_dir(&inside).unwrap();
    let mounts = [disk.mount()];
    for limit in ["6", "0", "", "1.5", "50", "-1", "x"] {
        node.freeze_with("one", limit, &mounts, &[]).refused(3, "LIMIT");
    }
    node.freeze_with("one", "5", &mounts, &[("NOT_AFTER", "")]).refused(3, "NOT_AFTER");
    node.freeze_with("one", "5", &mounts, &[("NOT_AFTER", "soon")]).refused(3, "NOT_AFTER");
    node.freeze("one", 5, &[]).refused(3, "no mount point");
    node.freeze("one", 5, &[disk.mount(), &inside]).refused(3, "is not a mount point");
    node.freeze("one", 5, &[disk.mount(), Path::new("/nowhere")]).refused(3, "does not exist");
    node.freeze("../one", 5, &mounts).refused(3, "TOKEN");
    node.freeze("", 5, &mounts).refused(3, "TOKEN");
    node.ask("melt", "one").refused(3, "VERB");
    assert_eq!(node.ask("thaw", "one").code, 6);
    is_thawed(&disk);
    assert_eq!(fs::read_dir(&node.state).unwrap().count(), 0, "nothing is left");
}

#[test]
fn s2_a_mount_that_holds_what_must_go_on_is_never_frozen() {
    let node = Node::new();
    let (disk, other) = (node.disk("data", Ext4), node.disk("other", Ext4));
    node.freeze("one", 5, &[disk.mount(), Path::new("/")]).refused(3, "(");

    // The same file system under another name.
    let bound = node.folder.join("bound");
    fs::create_dir(&bound).unwrap();
    assert!(Command::new("mount").arg("--bind").arg(&node.programs).arg(&bound).status().unwrap().success());
    let bound = Bound(bound);
    node.freeze("one", 5, &[disk.mount(), &bound.0]).refused(3, "root");
    drop(bound);

    // What it knows itself, and where it prints.
    let inside = disk.mount().join("state");
    let said = node.freeze_with("one", "5", &[disk.mount()], &[("STATE_DIR", inside.to_str().unwrap())]);
    said.refused(3, "state");

    // A real etcd, wherever its data is.
    let etcd = disk.mount().join("etcd");
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [client, peer] = free.map(|socket| format!("http://{}", socket.local_addr().unwrap()));
    let log = fs::File::create(node.folder.join("etcd.log")).unwrap();
    let mut command = Command::new("/usr/bin/etcd");
    command.arg("--data-dir").arg(&etcd).args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]).current_dir("/");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let running = Running(command.spawn().expect("Debian's package etcd-server"));
    let log = || fs::read_to_string(node.folder.join("etcd.log")).unwrap();
    wait("etcd", || log().contains("ready to serve client requests"));
    node.freeze("one", 5, &[other.mount(), disk.mount()]).refused(3, "(etcd)");
    is_thawed(&other);
    drop(running);
    fs::remove_dir_all(&etcd).unwrap();

    // A Patroni whose configuration is there.
    let patroni = disk.mount().join("patroni");
    fs::write(&patroni, "#!/bin/sh\nsleep 600\n").unwrap();
    fs::write(disk.mount().join("node.yml"), "").unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", "import time; time.sleep(600)"]).arg(&patroni).arg(disk.mount().join("node.yml"));
    let running = Running(command.stdin(Stdio::null()).spawn().unwrap());
    let comm = format!("/proc/{}/comm", running.0.id());
    wait("python", || fs::read_to_string(&comm).is_ok_and(|name| name.starts_with("python")));
    node.freeze("one", 5, &[other.mount(), disk.mount()]).refused(3, "(patroni)");
    drop(running);

    // What thaws.
    fs::copy("/usr/sbin/fsfreeze", disk.mount().join("fsfreeze")).unwrap();
    std::os::unix::fs::symlink(disk.mount().join("fsfreeze"), node.programs.join("fsfreeze")).unwrap();
    node.freeze("one", 5, &[disk.mount()]).refused(3, "(programs)");
    fs::remove_file(node.programs.join("fsfreeze")).unwrap();

    // None of them left anything, and without them it is frozen.
    assert_eq!(fs::read_dir(&node.state).unwrap().count(), 0);
    assert_eq!(node.freeze("one", 5, &[disk.mount()]).code, 0);
    assert_eq!(node.ask("thaw", "one").verdicts(), ["still"]);
}

#[test]
fn s2_a_mount_is_frozen_for_one_at_a_time() {
    let node = Node::new();
    let (disk, other) = (node.disk("data", Ext4), node.disk("other", Ext4));
    assert_eq!(node.freeze("one", 5, &[disk.mount()]).code, 0);
    node.freeze("two", 5, &[other.mount(), disk.mount()]).refused(3, "the freeze one is not over");
    node.freeze("one", 5, &[disk.mount()]).refused(3, "there has been a freeze one");
    assert_eq!(node.ask("thaw", "two").code, 6);
    assert_eq!(node.ask("thaw", "one").verdicts(), ["still"], "it was thawed by the other one's end");
    is_thawed(&other);

    // At the same moment: one of them.
    node.wait_for("one", 0, "over");
    let said = std::thread::scope(|scope| {
        let both = ["three", "four"].map(|token| scope.spawn(|| node.freeze(token, 5, &[disk.mount()])));
        both.map(|thread| thread.join().unwrap())
    });
    let mut codes = said.each_ref().map(|said| said.code);
    codes.sort_unstable();
    assert_eq!(codes, [0, 3], "{said:?}");
    let token = if said[0].code == 0 { "three" } else { "four" };
    assert_eq!(node.ask("thaw", token).verdicts(), ["still"]);
    is_thawed(&disk);
}
