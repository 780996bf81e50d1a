//! What is not whole, not ours or in use is left as it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::{Disk, FsKind};

use crate::production::{Crashed, Folder, Layout, Production, Snapshot};
use crate::script::{ANOTHER, RUNNING, TORN, UNABLE, VOLUME, command, ended, listing, path, restore};
use crate::server::{Load, Server, as_postgres};

const APART: Layout = Layout { kind: FsKind::Ext4, wal: true, tablespace: true };

/// Any of these would leave a trace in the data directory.
fn untouched(data: &Path) {
    for trace in ["standby.signal", "pilothouse-restored"] {
        assert!(!data.join(trace).exists(), "{trace}");
    }
    assert!(data.join("postmaster.pid").exists() && data.join("pg_replslot/of_production").exists());
}

#[test]
fn snapshot_case_35_a_tablespace_whose_volume_is_missing_is_refused() {
    let mut production = Production::start(APART);
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    drop(load);
    let oid = production.server().sql("SELECT oid FROM pg_tablespace WHERE spcname = 'space'").unwrap();
    production.lose();
    let (volumes, data) = (snapshot.attach(), format!("--data-dir={}", production.data().display()));
    let mount = |name| volumes.mount(name, &production.place(name));

    // Neither named nor mounted, with and without the folder that it was mounted at.
    restore(&production.folder, &[mount("data"), mount("wal"), data.clone()])
        .refused(TORN, &format!("tablespace {oid} is to be at"));
    let place = production.place("space").join("pg");
    fs::create_dir_all(&place).unwrap();
    restore(&production.folder, &[mount("data"), mount("wal"), data.clone()])
        .refused(TORN, "none of the restore point's");
    restore(&production.folder, std::slice::from_ref(&data)).refused(TORN, "mount its volume, by --mount");
    // Another volume there.
    fs::write(place.join("something"), "").unwrap();
    restore(&production.folder, &[mount("data"), mount("wal"), data.clone()])
        .refused(TORN, "nothing of this PostgreSQL is there");
    untouched(&production.data());
    fs::remove_dir_all(production.place("space")).unwrap();
    volumes.unmount();
    let wrong = volumes.mount("wal", &production.place("space"));
    restore(&production.folder, &[mount("data"), wrong, data.clone()]).refused(TORN, "pg_wal is to be at");
    untouched(&production.data());
    volumes.unmount();

    let mounts = [mount("data"), mount("wal"), mount("space"), data];
    let with = |more: &[String]| restore(&production.folder, &[&mounts, more].concat());
    with(&[format!("--tablespace={oid}:/tmp")]).refused(TORN, &format!("tablespace {oid} is at {}", place.display()));
    with(&["--tablespace=1:/tmp".to_owned()]).refused(TORN, "there is no tablespace 1");
    with(&["--wal-dir=/tmp".to_owned()]).refused(TORN, "pg_wal is at");
    untouched(&production.data());
    let right =
        [format!("--tablespace={oid}:{}", place.display()), format!("--wal-dir={}", production.wal().display())];
    with(&right).done();
}

#[test]
fn snapshot_case_36_wal_whose_volume_is_missing_is_refused() {
    let mut production = Production::start(Layout { tablespace: false, ..APART });
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    drop(load);
    production.lose();
    let (volumes, data) = (snapshot.attach(), format!("--data-dir={}", production.data().display()));
    let mount = volumes.mount("data", &production.place("data"));
    let wanted = format!("pg_wal is to be at {}", production.wal().display());
    restore(&production.folder, &[mount.clone(), data.clone()]).refused(TORN, &wanted);
    // An empty folder would do for PostgreSQL to begin, and to give up.
    fs::create_dir_all(production.wal()).unwrap();
    restore(&production.folder, &[mount, data.clone()]).refused(TORN, "none of the restore point's");
    restore(&production.folder, &[data]).refused(TORN, "the volume of the WAL is missing");
    untouched(&production.data());
}

#[test]
fn a_volume_goes_only_where_it_hides_nothing_and_is_nobody_elses() {
    let mut production = Production::start(Layout { wal: false, tablespace: false, kind: FsKind::Ext4 });
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    let volumes = snapshot.attach();
    let live = production.disk("data").device().display().to_string();
    let elsewhere = production.folder.path().join("elsewhere");
    let data = format!("--data-dir={}", elsewhere.join("pg").display());
    let restored = |folder: &Folder, mount: String| restore(folder, &[mount, data.clone()]);

    // The live server's disk, by mistake; or its mount point.
    restored(&production.folder, format!("--mount={live}:{}", elsewhere.display())).refused(VOLUME, "is mounted at");
    restored(&production.folder, volumes.mount("data", &production.place("data")))
        .refused(VOLUME, "something else is mounted");
    let full = production.folder.make("full");
    fs::write(full.join("file"), "").unwrap();
    restored(&production.folder, volumes.mount("data", &full)).refused(VOLUME, "is not empty");
    restored(&production.folder, format!("--mount=/dev/null:{}", elsewhere.display()))
        .refused(VOLUME, "is no block device");
    restored(&production.folder, format!("--mount=vol-0abc:{}", elsewhere.display()))
        .refused(VOLUME, "no device of this node is vol-0abc");
    // The live server's folder itself.
    let live = format!("--data-dir={}", production.data().display());
    restore(&production.folder, &[live]).refused(RUNNING, "is a PostgreSQL that runs on");
    assert!(!production.data().join("standby.signal").exists());
    load.advance(20);
    drop(load);
    production.lose();

    // A disk that has nothing.
    let blank = production.folder.path().join("blank");
    fs::write(&blank, vec![0; 1 << 20]).unwrap();
    let blank = Snapshot(vec![("blank", blank)]).attach();
    restored(&production.folder, blank.mount("blank", &elsewhere)).refused(VOLUME, "has no file system");
    // And one that has something else.
    let other = Disk::new(production.folder.path(), "other", 20, FsKind::Ext4).unwrap();
    restore(&production.folder, &[format!("--data-dir={}", other.mount().join("pg").display())])
        .refused(TORN, "no PG_VERSION");
}

#[test]
fn another_system_a_later_timeline_and_a_broken_control_file_are_refused() {
    let crashed = Crashed::new();
    let before = listing(&crashed.data);
    let said = |more: &[&str]| restore(&crashed.folder, &crashed.arguments(more));
    let found = said(&["--dry-run"]).done();
    let system = found.split("found system ").nth(1).unwrap().split(',').next().unwrap();
    said(&["--system=7312345678901234567"])
        .refused(ANOTHER, &format!("the data is of system {system}, not of 7312345678901234567"));
    said(&["--timeline=0"]).refused(ANOTHER, "the data is on timeline 1, later than 0");
    let control = crashed.data.join("global/pg_control");
    let good = fs::read(&control).unwrap();
    let mut bad = good.clone();
    bad[40] ^= 1;
    fs::write(&control, &bad).unwrap();
    said(&[]).refused(TORN, "global/pg_control is damaged");
    fs::write(&control, good).unwrap();
    // It knows no standby.signal.
    let version = crashed.data.join("PG_VERSION");
    let right = fs::read(&version).unwrap();
    fs::write(&version, "11\n").unwrap();
    said(&[]).refused(UNABLE, "would start as a primary: 12 is the oldest");
    fs::write(&version, "99\n").unwrap();
    said(&[]).refused(UNABLE, "PostgreSQL 99 is not installed");
    fs::write(&version, right).unwrap();
    assert_eq!(listing(&crashed.data), before);
    said(&[&format!("--system={system}"), "--timeline=1"]).done();
}

#[test]
fn peers_bug_7_a_wal_file_that_has_the_right_name_alone_is_refused() {
    let crashed = Crashed::new();
    let files = fs::read_dir(crashed.data.join("pg_wal")).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| file.is_file()) {
        // PostgreSQL renames files that it needs no more to the next names, with what is in them.
        let mut bytes = fs::read(&file).unwrap();
        bytes.rotate_left(8192);
        fs::write(&file, bytes).unwrap();
    }
    restore(&crashed.folder, &crashed.arguments(&[])).refused(TORN, "data and WAL are of two moments");
    assert!(!crashed.data.join("standby.signal").exists());
}

#[test]
fn wal_that_allows_no_standby_is_refused() {
    let crashed = Crashed::new();
    drop(
        Server::start(
            &crashed.data,
            &crashed.sockets,
            5432,
            &["listen_addresses=", "wal_level=minimal", "max_wal_senders=0"],
        )
        .unwrap(),
    );
    restore(&crashed.folder, &crashed.arguments(&[])).refused(TORN, "wal_level = minimal");
}

#[test]
fn a_server_that_runs_is_refused_and_a_pid_file_that_came_along_is_not() {
    let crashed = Crashed::new();
    let server = Server::start(&crashed.data, &crashed.sockets, 5432, &["listen_addresses="]).unwrap();
    let said = restore(&crashed.folder, &crashed.arguments(&[]));
    said.refused(RUNNING, "is a PostgreSQL that runs on");
    assert!(!crashed.data.join("standby.signal").exists());
    let pid = fs::read_to_string(crashed.data.join("postmaster.pid")).unwrap();
    drop(server);
    // A number that somebody has here, too: PostgreSQL itself would refuse to start.
    let rest = pid.split_once('\n').unwrap().1;
    let mut sleeper = as_postgres("/usr/bin/sleep").arg("60").spawn().unwrap();
    fs::write(crashed.data.join("postmaster.pid"), format!("{}\n{rest}", sleeper.id())).unwrap();
    restore(&crashed.folder, &crashed.arguments(&["--port=5433"])).done();
    let copy = Server::start(&crashed.data, &crashed.sockets, 5433, &["listen_addresses="]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(copy.unwrap().sql("SELECT pg_is_in_recovery()").unwrap(), "t");
}

#[test]
fn only_root_restores_and_what_is_no_option_is_named() {
    let crashed = Crashed::new();
    let mut as_nobody = command(&crashed.folder);
    // A checkout may be nobody else's to read, so it comes by standard input.
    as_nobody = {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh", "-s", "--"]);
        setpriv.args(crashed.arguments(&[])).current_dir("/").stdin(fs::File::open(path()).unwrap());
        setpriv.envs(as_nobody.get_envs().filter_map(|(name, value)| Some((name, value?))));
        setpriv
    };
    ended(as_nobody).refused(UNABLE, "must be run as root");

    let said = |arguments: &[&str]| restore(&crashed.folder, arguments);
    for (arguments, words) in [
        (&["--data-dri=/x"][..], "there is no option --data-dri"),
        (&["--data-dir"], "--data-dir needs a value"),
        (&["--data-dir=x"], "'x' does not begin with /"),
        (&["--data-dir=/x y"], "a unit's file cannot name such a path"),
        (&[], "--data-dir is missing"),
        (&["/x"], "'/x' is no option"),
        (&["--data-dir=/x", "--mount=/dev/loop0"], "is not DEVICE:DIR"),
        (&["--data-dir=/x", "--port=a"], "'a' is no number"),
        (&["--data-dir=/x", "--set=a'b"], "is no id of a restore point"),
        (&["--data-dir=/x", "--restore-command=a\narchive_mode = on"], "a value is one line"),
        (&["--data-dir=/x", "--target=yesterday"], "is none of time:"),
        (&["--data-dir=/x", "--target=immediate"], "there is no WAL to go on with"),
    ] {
        said(arguments).refused(2, words);
    }
    let help = said(&["--help"]).done();
    let script = fs::read_to_string(path()).unwrap();
    let options =
        script.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(')')).map(|(option, _)| option);
    for option in options.filter(|option| option.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')) {
        assert!(help.contains(&format!("--{option}")), "--help does not tell of --{option}");
    }
}

#[test]
fn what_stands_in_the_data_directory_leads_nowhere_else() {
    let crashed = Crashed::new();
    let outside = crashed.folder.make("outside");
    fs::write(outside.join("kept"), "").unwrap();
    let stats: PathBuf = crashed.data.join("pg_stat_tmp");
    let _ = fs::remove_dir_all(&stats);
    symlink(&outside, &stats).unwrap();
    restore(&crashed.folder, &crashed.arguments(&[])).done();
    assert!(outside.join("kept").exists());
}
