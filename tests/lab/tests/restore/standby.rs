//! A restored copy is a standby, and keeps its hands off production.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use lab::FsKind;

use crate::production::{Layout, Production, Snapshot, Volumes};
use crate::script::{Said, free_port, listing, restore};
use crate::server::{Load, Server, run};

const ALONE: Layout = Layout { kind: FsKind::Xfs, wal: false, tablespace: false };

/// A copy beside the original, which goes on. XFS would not mount it, as it has the same UUID.
struct Beside {
    volumes: Volumes,
    place: PathBuf,
    port: u16,
}

impl Beside {
    fn attach(production: &Production, snapshot: &Snapshot) -> Self {
        let (volumes, place) = (snapshot.attach(), production.folder.path().join("beside"));
        Self { volumes, place, port: free_port() }
    }

    fn data(&self) -> PathBuf {
        self.place.join("pg")
    }

    fn restore(&self, production: &Production, more: &[&str]) -> Said {
        let mut arguments = vec![self.volumes.mount("data", &self.place), format!("--port={}", self.port)];
        arguments.push(format!("--data-dir={}", self.data().display()));
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        restore(&production.folder, &arguments)
    }

    fn start(&self, production: &Production) -> Server {
        Server::start(&self.data(), &production.sockets, self.port, &[]).unwrap()
    }
}

/// Another copy, mounted as an original is.
struct Twin(Volumes);

impl Twin {
    fn mount(production: &Production, snapshot: &Snapshot) -> Self {
        let (file, place) = (production.folder.path().join("twin"), production.folder.make("twin-mount"));
        let mut cp = Command::new("cp");
        cp.args(["--sparse=always"]).arg(&snapshot.0[0].1).arg(&file);
        run(cp).unwrap();
        let twin = Self(Snapshot(vec![("data", file)]).attach());
        let mut mount = Command::new("mount");
        mount.arg(twin.0.device("data")).arg(place);
        run(mount).unwrap();
        twin
    }
}

fn archived_on_another_timeline(archive: &Path) -> Vec<String> {
    let files = fs::read_dir(archive).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    files.filter(|name| !name.starts_with("00000001")).collect()
}

#[test]
fn s7_a_restored_copy_starts_as_a_standby_and_stays_one() {
    let production = Production::start(ALONE);
    let load = Load::start(production.server());
    let (snapshot, acknowledged) = production.snapshot(&load);
    let beside = Beside::attach(&production, &snapshot);
    // XFS mounts no second file system of the same UUID beside it.
    let twin = Twin::mount(&production, &snapshot);
    let said = beside.restore(&production, &["--set=acme-prod.20261120T060000Z.1"]).done();
    drop(twin);
    // What came along with the bytes.
    for stale in [
        "remove postmaster.pid",
        "remove postmaster.opts",
        "remove from pg_replslot: of_production",
        "patroni.dynamic.json aside",
    ] {
        assert!(said.contains(stale), "{stale}: {said}");
    }
    let data = beside.data();
    assert!(!data.join("postmaster.pid").exists() && !data.join("patroni.dynamic.json").exists());
    assert_eq!(fs::read_dir(data.join("pg_replslot")).unwrap().count(), 0);
    let marker: serde_json::Value =
        serde_json::from_slice(&fs::read(data.join("pilothouse-restored")).unwrap()).unwrap();
    assert_eq!(marker["set"], "acme-prod.20261120T060000Z.1");
    assert_eq!(marker["system"].as_str().unwrap(), production.system());
    assert_eq!((&marker["timeline"], &marker["complete"]), (&1.into(), &true.into()), "{marker}");

    // The original's settings would promote it as soon as it is consistent.
    let copy = beside.start(&production);
    assert_eq!(production.server().sql("SHOW recovery_target_action").unwrap(), "promote");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(copy.sql("SELECT pg_is_in_recovery()").unwrap(), "t", "{}", copy.log());
    assert!(!copy.log().contains("selected new timeline ID"), "{}", copy.log());
    assert!(acknowledged.iter().all(|row| copy.rows().contains(row)));
    // Nor does it follow, or do anything else to the original.
    assert_eq!(copy.sql("SELECT count(*) FROM pg_stat_wal_receiver").unwrap(), "0");
    assert_eq!(copy.sql("SELECT count(*) FROM pg_replication_slots").unwrap(), "0");
    assert_eq!(copy.sql("SHOW recovery_target").unwrap(), "");

    // By whatever it ends, it starts as a standby again.
    drop(copy);
    let copy = beside.start(&production);
    assert_eq!(copy.sql("SELECT pg_is_in_recovery()").unwrap(), "t");
    // The original never noticed.
    load.advance(50);
}

#[test]
fn snapshot_case_51_a_promoted_copy_archives_nothing_beside_production() {
    let production = Production::start(ALONE);
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    let beside = Beside::attach(&production, &snapshot);
    beside.restore(&production, &[]).done();
    let copy = beside.start(&production);
    copy.sql("SELECT pg_promote()").unwrap();
    copy.wait("SELECT pg_is_in_recovery()", "f");
    let settings = ["archive_mode", "primary_conninfo", "synchronous_standby_names", "max_logical_replication_workers"];
    let shown = settings.map(|setting| copy.sql(&format!("SHOW {setting}")).unwrap());
    assert_eq!(shown, ["off", "", "", "0"]);
    // A commit that would wait for production's standby.
    copy.sql("SET statement_timeout = '20s'; SET synchronous_commit = on; INSERT INTO numbered VALUES (0)").unwrap();
    for _ in 0..3 {
        copy.sql("SELECT pg_switch_wal(); CHECKPOINT").unwrap();
        production.server().sql("SELECT pg_switch_wal()").unwrap();
        load.advance(10);
    }
    // Production's own WAL gets there.
    production.archived();
    assert_eq!(archived_on_another_timeline(&production.archive), Vec::<String>::new());
    assert_eq!(copy.sql("SELECT archived_count FROM pg_stat_archiver").unwrap(), "0");

    // It stays so when it is let go, until that is lifted, too.
    let data = beside.data().display().to_string();
    restore(&production.folder, &["--release", &data]).done();
    drop(copy);
    let copy = beside.start(&production);
    assert_eq!(
        (copy.sql("SELECT pg_is_in_recovery()"), copy.sql("SHOW archive_mode")),
        (Ok("f".into()), Ok("off".into()))
    );
    // Which finds its lines even where ALTER SYSTEM has thrown the marks away.
    copy.sql("ALTER SYSTEM SET work_mem = '5MB'").unwrap();
    drop(copy);
    restore(&production.folder, &["--release", &data, "--settings"]).done();
    let settings = fs::read_to_string(beside.data().join("postgresql.auto.conf")).unwrap();
    assert!(!settings.contains("archive_mode") && settings.contains("work_mem = '5MB'"), "{settings}");
}

#[test]
fn s7_a_repeat_is_harmless_and_a_dry_run_changes_nothing() {
    let production = Production::start(ALONE);
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    let beside = Beside::attach(&production, &snapshot);
    // It mounts nothing either, which would replay the journal.
    let bytes = fs::read(&snapshot.0[0].1).unwrap();
    let said = beside.restore(&production, &["--dry-run"]).done();
    assert!(said.contains("would mount /dev/loop") && said.lines().all(|line| line.starts_with("would ")), "{said}");
    assert!(!beside.place.exists() && fs::read(&snapshot.0[0].1).unwrap() == bytes);

    // A restore that was cut short once it had mounted.
    beside.restore(&production, &["--system=1"]);
    let before = (listing(&beside.place), listing(&production.folder.path().join("systemd")));
    let said = beside.restore(&production, &["--dry-run"]).done();
    for step in [
        "would write standby.signal",
        "would write settings",
        "would remove postmaster.pid",
        "would guard patroni.service",
    ] {
        assert!(said.contains(step), "{step}: {said}");
    }
    assert_eq!((listing(&beside.place), listing(&production.folder.path().join("systemd"))), before);

    beside.restore(&production, &["--restore-command=cp '/a\\b/%f' %p"]).done();
    let first = listing(&beside.place);
    let said = beside.restore(&production, &["--restore-command=cp '/a\\b/%f' %p"]).done();
    assert!(said.contains("mounted at") && said.contains("standby.signal is there already"), "{said}");
    let mut again = listing(&beside.place);
    // But for the time.
    let marker = beside.data().join("pilothouse-restored");
    again.insert(marker.clone(), first[&marker].clone());
    assert_eq!(again, first);
    let copy = beside.start(&production);
    assert_eq!(copy.sql("SHOW restore_command").unwrap(), "cp '/a\\b/%f' %p");
    drop(copy);
    // Settings of another run replace those of the one before.
    beside.restore(&production, &[]).done();
    let copy = beside.start(&production);
    assert_eq!(
        (copy.sql("SHOW restore_command"), copy.sql("SELECT pg_is_in_recovery()")),
        (Ok(String::new()), Ok("t".into()))
    );
}

#[test]
fn s7_a_copy_that_is_told_whom_to_follow_follows_the_original() {
    let production = Production::start(ALONE);
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    let beside = Beside::attach(&production, &snapshot);
    let conninfo = format!("--primary-conninfo=host={} user=postgres", production.sockets.display());
    beside.restore(&production, &[&conninfo]).done();
    let copy = beside.start(&production);
    copy.wait("SELECT status FROM pg_stat_wal_receiver", "streaming");
    drop(load);
    let rows = production.server().sql("SELECT count(*) FROM numbered").unwrap();
    copy.wait("SELECT count(*) FROM numbered", rows);
    // A restartpoint, after which the original's archive_cleanup_command would remove WAL.
    production.server().sql("CHECKPOINT").unwrap();
    let flushed = production.server().sql("SELECT pg_current_wal_flush_lsn()").unwrap();
    copy.wait(&format!("SELECT pg_last_wal_replay_lsn() >= '{flushed}'"), "t");
    copy.sql("CHECKPOINT").unwrap();
    assert!(!production.sockets.join("cleaned").exists(), "it has cleaned production's archive");
    assert_eq!(copy.sql("SELECT pg_is_in_recovery()").unwrap(), "t");
}

#[test]
fn s7_recovery_to_a_point_after_the_snapshot_pauses_there() {
    let production = Production::start(ALONE);
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    drop(load);
    let server = production.server();
    server.sql("INSERT INTO numbered VALUES (1000000)").unwrap();
    let target = server.sql("SELECT pg_current_wal_insert_lsn()").unwrap();
    server.sql("INSERT INTO numbered VALUES (2000000)").unwrap();
    production.archived();

    let beside = Beside::attach(&production, &snapshot);
    let command = format!("--restore-command=cp {}/%f %p", production.archive.display());
    beside.restore(&production, &[&command, &format!("--target=lsn:{target}"), "--timeline=1"]).done();
    let copy = beside.start(&production);
    copy.wait("SELECT pg_get_wal_replay_pause_state()", "paused");
    assert_eq!(copy.sql("SELECT n FROM numbered WHERE n >= 1000000").unwrap(), "1000000");
    assert_eq!(copy.sql("SELECT pg_is_in_recovery()").unwrap(), "t");
    // Somebody has looked, and takes it.
    copy.sql("SELECT pg_wal_replay_resume(); SELECT pg_promote()").unwrap();
    copy.wait("SELECT pg_is_in_recovery()", "f");
    assert_eq!(archived_on_another_timeline(&production.archive), Vec::<String>::new());
}
