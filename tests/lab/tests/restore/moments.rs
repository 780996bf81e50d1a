//! All members of a restore point are of one instant, or nothing good comes of them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lab::FsKind;

use crate::production::{Layout, Production, Snapshot, Volumes};
use crate::script::{Said, TORN, free_port, restore};
use crate::server::{Load, Server, run};

fn restored(production: &Production, volumes: &Volumes, port: u16) -> Said {
    let mut arguments = volumes.mounts(production);
    // In whichever order they are named.
    arguments.reverse();
    arguments.push(format!("--data-dir={}", production.data().display()));
    arguments.push(format!("--port={port}"));
    restore(&production.folder, &arguments)
}

/// Brings the copy up in place of the original, and counts.
fn nothing_is_lost(mut production: Production, snapshot: &Snapshot, acknowledged: &[u64]) {
    production.lose();
    let volumes = snapshot.attach();
    let port = free_port();
    let said = restored(&production, &volumes, port).done();
    assert!(said.contains("in production"), "{said}");

    let copy = Server::start(&production.data(), &production.sockets, port, &[]).unwrap();
    assert_eq!(copy.sql("SELECT pg_is_in_recovery()").unwrap(), "t");
    let seen = copy.rows();
    copy.sql("SELECT pg_promote()").unwrap();
    copy.wait("SELECT pg_is_in_recovery()", "f");
    assert_eq!(copy.rows(), seen);
    // In the order in which they were written, with none left out: as many as had been acknowledged at least.
    assert!(seen.len() >= acknowledged.len(), "{} of {} rows", seen.len(), acknowledged.len());
    assert!(acknowledged.iter().eq(seen.iter().take(acknowledged.len())), "{seen:?}");
    assert!(seen.iter().copied().eq(1..=seen.len() as u64), "{seen:?}");
    // It is whole: every page and every index can be read.
    copy.sql("CREATE EXTENSION amcheck; SELECT bt_index_check(oid) FROM pg_class WHERE relkind = 'i'").unwrap();
    copy.sql("INSERT INTO numbered VALUES (0)").unwrap();
}

fn of_one_instant(layout: Layout) {
    let production = Production::start(layout);
    let load = Load::start(production.server());
    // Some of it is in the data files, some in the WAL alone.
    production.server().sql("CHECKPOINT").unwrap();
    load.advance(200);
    let (snapshot, acknowledged) = production.snapshot(&load);
    load.advance(200);
    drop(load);
    nothing_is_lost(production, &snapshot, &acknowledged);
}

#[test]
fn s1_data_wal_and_tablespace_of_one_instant_lose_no_acknowledged_row_on_ext4() {
    of_one_instant(Layout { kind: FsKind::Ext4, wal: true, tablespace: true });
}

#[test]
fn s1_data_and_wal_of_one_instant_lose_no_acknowledged_row_on_xfs() {
    of_one_instant(Layout { kind: FsKind::Xfs, wal: true, tablespace: false });
}

/// The disks are copied one after another, but nothing is written meanwhile.
fn of_frozen_file_systems(kind: FsKind) {
    let production = Production::start(Layout { kind, wal: true, tablespace: false });
    let load = Load::start(production.server());
    load.advance(200);
    let acknowledged = load.acknowledged();
    let frozen = ["data", "wal"].map(|name| production.disk(name).freeze().unwrap());
    let copies = ["data", "wal"].map(|name| (name, production.copy(name, production.disk(name))));
    drop(frozen);
    load.advance(200);
    drop(load);
    nothing_is_lost(production, &Snapshot(copies.into()), &acknowledged);
}

#[test]
fn s1_frozen_file_systems_are_of_one_instant_however_long_the_copy_takes_on_ext4() {
    of_frozen_file_systems(FsKind::Ext4);
}

#[test]
fn s1_frozen_file_systems_are_of_one_instant_however_long_the_copy_takes_on_xfs() {
    of_frozen_file_systems(FsKind::Xfs);
}

/// A checkpoint after which the WAL before it is gone.
fn checkpoint(production: &Production, load: &Load) {
    for _ in 0..20 {
        production.server().sql("SELECT pg_switch_wal()").unwrap();
        load.advance(1);
    }
    // Archived, or it stays.
    production.archived();
    production.server().sql("CHECKPOINT").unwrap();
}

/// PostgreSQL does not start from these disks, and the script says so before it is tried.
fn nothing_starts(mut production: Production, copies: [(&'static str, PathBuf); 2]) {
    production.lose();
    let volumes = Snapshot(copies.into()).attach();
    let port = free_port();
    restored(&production, &volumes, port).refused(TORN, "data and WAL are of two moments");
    let data = production.data();
    assert!(!data.join("standby.signal").exists() && data.join("postmaster.pid").exists(), "it has been touched");

    // As if the script were not there. It has mounted them.
    fs::remove_file(data.join("postmaster.pid")).unwrap();
    fs::write(data.join("standby.signal"), "").unwrap();
    let mut chown = Command::new("chown");
    chown.arg("postgres").arg(data.join("standby.signal"));
    run(chown).unwrap();
    let log = Server::start(&data, &production.sockets, port, &["listen_addresses="]).err().expect("it started");
    assert!(log.contains("PANIC:  could not locate a valid checkpoint record"), "{log}");
}

#[test]
fn peers_bug_7_members_of_two_instants_do_not_start_where_the_data_is_the_older() {
    let production = Production::start(Layout { kind: FsKind::Ext4, wal: true, tablespace: false });
    let load = Load::start(production.server());
    production.server().sql("CHECKPOINT").unwrap();
    let data = production.snapshot_of("data");
    checkpoint(&production, &load);
    let wal = production.snapshot_of("wal");
    drop(load);
    nothing_starts(production, [data, wal]);
}

#[test]
fn peers_bug_7_members_of_two_instants_do_not_start_where_the_data_is_the_newer() {
    let production = Production::start(Layout { kind: FsKind::Ext4, wal: true, tablespace: false });
    let load = Load::start(production.server());
    let wal = production.snapshot_of("wal");
    checkpoint(&production, &load);
    let data = production.snapshot_of("data");
    drop(load);
    nothing_starts(production, [data, wal]);
}

#[test]
fn peers_bug_7_members_of_two_instants_lose_rows_and_nobody_can_tell() {
    let mut production = Production::start(Layout { kind: FsKind::Ext4, wal: true, tablespace: false });
    let load = Load::start(production.server());
    production.server().sql("CHECKPOINT").unwrap();
    let before = load.acknowledged().len();
    let wal = production.snapshot_of("wal");
    load.advance(300);
    let acknowledged = load.acknowledged();
    let data = production.snapshot_of("data");
    drop(load);

    production.lose();
    let volumes = Snapshot(vec![data, wal]).attach();
    let port = free_port();
    restored(&production, &volumes, port).done();
    let copy = Server::start(&production.data(), &production.sockets, port, &[]).unwrap();
    let seen = copy.rows();
    assert!(seen.len() >= before, "{} of {before}", seen.len());
    assert!(seen.len() + 200 < acknowledged.len(), "{} of {} rows", seen.len(), acknowledged.len());
}
