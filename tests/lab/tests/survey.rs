//! The node's script that tells what a restore point must have, on real file systems with a real PostgreSQL.
#![cfg(test)]

#[path = "freeze/node.rs"]
#[expect(dead_code, reason = "the tests of the freeze use the rest")]
mod node;
#[path = "freeze/server.rs"]
#[expect(dead_code, reason = "the tests of the freeze use the rest")]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lab::Disk;
use lab::FsKind::{Ext4, Xfs};

use node::{Node, Said};
use server::{Server, folder};

const SURVEY: &str = include_str!("../../../functions/snapshot-scheduler/src/node/survey.sh");

/// lsblk of a machine whose loop devices have serials: the lines of the real one, with them.
fn serials(node: &Node, serials: &[(&Disk, &str, &str)]) {
    let mut edits = String::new();
    for (disk, serial, model) in serials {
        let name = disk.device().file_name().unwrap().to_str().unwrap();
        let columns =
            |serial: &str, model: &str| format!(r#"KNAME="{name}" TYPE="loop" SERIAL="{serial}" MODEL="{model}""#);
        edits.push_str(&format!(" -e 's/^{}/{}/'", columns("[^\"]*", "[^\"]*"), columns(serial, model)));
    }
    node.program("lsblk", &format!("#!/bin/sh\n/usr/bin/lsblk \"$@\" | sed{edits} -e ''\n"));
}

fn survey(node: &Node, server: &Server, more: &[(&str, &str)]) -> Said {
    let port = server.port.to_string();
    let mut variables = vec![("PORT", port.as_str()), ("CHECKPOINT", "no")];
    variables.extend(more);
    node.run(SURVEY, &variables)
}

/// The fields of all lines of a kind.
fn lines(said: &Said, kind: &str) -> Vec<String> {
    said.lines.iter().filter(|line| line[0] == kind).map(|line| line[1..].join(" ")).collect()
}

fn one(said: &Said, kind: &str) -> String {
    let [only] = lines(said, kind).try_into().unwrap_or_else(|found| panic!("{kind}: {found:?} of {said:?}"));
    only
}

fn problem(said: &Said, words: &str) {
    assert_eq!(said.code, 1, "{said:?}");
    assert!(one(said, "problem").contains(words), "{said:?}");
}

fn at(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_survey_tells_every_place_of_the_data_and_the_disks_below() {
    let node = Node::new();
    let (data, wal, spaces) = (node.disk("data", Ext4), node.disk("wal", Xfs), node.disk("spaces", Ext4));
    for disk in [&data, &wal, &spaces] {
        folder(disk.mount().to_owned());
    }
    let volume = |number: u32| format!("vol0123456789abcdef{number}");
    let (first, second) = (volume(1), volume(2));
    serials(
        &node,
        &[
            (&data, &first, "Amazon Elastic Block Store"),
            (&wal, &second, ""),
            (&spaces, "AWS1234", "Amazon EC2 NVMe Instance Storage"),
        ],
    );
    let server = Server::start(data.mount(), wal.mount(), &node.folder.join("sockets"));
    let space = folder(spaces.mount().join("a 100%\tspace"));
    server.sql(&format!("CREATE TABLESPACE other LOCATION '{}'", space.display()));
    let oid = server.sql("SELECT oid FROM pg_tablespace WHERE spcname = 'other'");

    let before = server.sql("SELECT redo_lsn FROM pg_control_checkpoint()");
    server.sql("CREATE TABLE written AS SELECT generate_series(1, 1000)");
    let said = survey(&node, &server, &[("CHECKPOINT", "yes"), ("DATA_DIR", server.data.to_str().unwrap())]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.lines[0], ["survey", "1"]);
    assert_eq!(one(&said, "checkpoint"), "done");
    assert_eq!((one(&said, "role"), one(&said, "synchronous")), ("leader".to_owned(), "no".to_owned()));
    assert_eq!(one(&said, "system"), server.sql("SELECT system_identifier FROM pg_control_system()"));
    assert_eq!(one(&said, "timeline"), "1");
    assert_eq!(one(&said, "version"), server.sql("SHOW server_version_num"));
    assert_eq!(one(&said, "full_page_writes"), "on");
    assert_eq!(one(&said, "data"), at(&server.data));
    assert_eq!(one(&said, "redo"), server.sql("SELECT redo_lsn FROM pg_control_checkpoint()"));
    assert_ne!(one(&said, "redo"), before, "there was no checkpoint");

    let mounts = [&data, &wal, &spaces].map(|disk| at(disk.mount()));
    let [data_at, wal_at, spaces_at] = &mounts;
    assert_eq!(
        lines(&said, "place"),
        [
            format!("data {data_at}/data {data_at}"),
            format!("wal {wal_at}/wal {wal_at}"),
            format!("{oid} {spaces_at}/a 100%25%09space {spaces_at}")
        ]
    );
    let mut systems = [format!("{data_at} ext4"), format!("{wal_at} xfs"), format!("{spaces_at} ext4")];
    let mut disks = [
        format!("{data_at} vol-0123456789abcdef1 {} ebs", at(data.device())),
        format!("{wal_at} vol-0123456789abcdef2 {} ebs", at(wal.device())),
        format!("{spaces_at} - {} instance-store", at(spaces.device())),
    ];
    let mut told = (lines(&said, "mount"), lines(&said, "disk"));
    for list in [&mut systems[..], &mut disks[..], &mut told.0, &mut told.1] {
        list.sort();
    }
    assert_eq!((told.0.as_slice(), told.1.as_slice()), (&systems[..], &disks[..]));
    assert_eq!(lines(&said, "holds"), Vec::<String>::new());

    // Without a checkpoint it writes nothing, and without a serial there is no volume.
    fs::remove_file(node.programs.join("lsblk")).unwrap();
    let again = survey(&node, &server, &[]);
    assert_eq!((one(&again, "checkpoint"), one(&again, "redo")), ("skipped".to_owned(), one(&said, "redo")));
    assert!(lines(&again, "disk").contains(&format!("{data_at} - {} other", at(data.device()))), "{again:?}");
}

#[test]
fn a_survey_of_a_standby_does_not_know_whether_it_is_synchronous() {
    let node = Node::new();
    let (data, copy) = (node.disk("data", Ext4), node.disk("copy", Ext4));
    folder(data.mount().to_owned());
    folder(copy.mount().to_owned());
    let server = Server::start(data.mount(), data.mount(), &node.folder.join("sockets"));
    let standby = server.standby(copy.mount(), &node.folder.join("sockets-of-the-standby"));
    // They share a port, as they would where each has an address of its own.
    let of = |server: &Server| survey(&node, server, &[("CHECKPOINT", "yes"), ("DATA_DIR", &at(&server.data))]);
    assert_eq!(one(&of(&server), "role"), "leader");
    let said = of(&standby);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!((one(&said, "role"), one(&said, "synchronous")), ("replica".to_owned(), "unknown".to_owned()));
    assert_eq!((one(&said, "timeline"), one(&said, "checkpoint")), ("1".to_owned(), "done".to_owned()));
    assert_eq!(lines(&said, "place")[0], format!("data {0}/data {0}", at(copy.mount())));
}

#[test]
fn s2_a_survey_names_what_must_not_be_frozen() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    folder(disk.mount().to_owned());
    let server = Server::start(disk.mount(), disk.mount(), &node.folder.join("sockets"));
    let mounts = format!("{}\n/", at(disk.mount()));
    let said = survey(&node, &server, &[("MOUNTS", &mounts)]);
    let holds = lines(&said, "holds");
    assert!(["root", "programs", "logs"].iter().all(|kind| holds.contains(&format!("/ {kind}"))), "{holds:?}");
    assert!(holds.iter().all(|line| line.starts_with("/ ")), "{holds:?}");
    problem(&survey(&node, &server, &[("MOUNTS", "/nowhere")]), "/nowhere does not exist");
    problem(&survey(&node, &server, &[("MOUNTS", &at(&node.folder))]), "is not a mount point");
}

#[test]
fn a_survey_that_is_not_whole_says_what_is_missing() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    folder(disk.mount().to_owned());
    let server = Server::start(disk.mount(), disk.mount(), &node.folder.join("sockets"));
    problem(&survey(&node, &server, &[("PORT", "1")]), "no PostgreSQL listens on port 1");
    problem(&survey(&node, &server, &[("DATA_DIR", "/var/lib/elsewhere")]), "not /var/lib/elsewhere");
    problem(&survey(&node, &server, &[("CHECKPOINT", "maybe")]), "yes or no");
    node.program("lsblk", "#!/bin/sh\necho 'lsblk: no' >&2\nexit 1\n");
    problem(&survey(&node, &server, &[]), "no disk is found below");

    // A checkpoint that takes too long is no reason to do without a restore point.
    fs::remove_file(node.programs.join("lsblk")).unwrap();
    server.sql("CREATE TABLE written AS SELECT generate_series(1, 1000)");
    let frozen = disk.freeze().unwrap();
    let said = survey(&node, &server, &[("CHECKPOINT", "yes"), ("CHECKPOINT_LIMIT", "1")]);
    drop(frozen);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(one(&said, "checkpoint").contains("canceling statement due to statement timeout"), "{said:?}");
}

/// `lsblk --inverse` of a logical volume on an md array of a partition and a disk: the columns are util-linux's (lsblk(8)), the tree
/// is that of `lsblk -s` in Red Hat's guide "Configuring and managing logical volumes".
#[test]
fn snapshot_case_34_disks_are_found_below_lvm_md_partitions_and_encryption() {
    let node = Node::new();
    let disk = node.disk("data", Ext4);
    folder(disk.mount().to_owned());
    let server = Server::start(disk.mount(), disk.mount(), &node.folder.join("sockets"));
    node.program(
        "lsblk",
        r#"#!/bin/sh
cat <<'LSBLK'
KNAME="dm-1" TYPE="crypt" SERIAL="" MODEL=""
KNAME="dm-0" TYPE="lvm" SERIAL="" MODEL=""
KNAME="md127" TYPE="raid0" SERIAL="" MODEL=""
KNAME="nvme1n1p1" TYPE="part" SERIAL="" MODEL=""
KNAME="nvme1n1" TYPE="disk" SERIAL="vol049df61146c4d7901" MODEL="Amazon Elastic Block Store"
KNAME="nvme2n1" TYPE="disk" SERIAL="vol0c2bf3c8f5fd9b1f9" MODEL="Amazon Elastic Block Store"
KNAME="nvme3n1" TYPE="disk" SERIAL="AWS6AAE5B2A9A21DE7F3" MODEL="Amazon EC2 NVMe Instance Storage"
KNAME="nvme2n1" TYPE="disk" SERIAL="vol0c2bf3c8f5fd9b1f9" MODEL="Amazon Elastic Block Store"
KNAME="xvdf" TYPE="disk" SERIAL="" MODEL=""
LSBLK
"#,
    );
    let said = survey(&node, &server, &[]);
    let mount = at(disk.mount());
    let mut told = lines(&said, "disk");
    told.sort();
    assert_eq!(
        told,
        [
            format!("{mount} - /dev/nvme3n1 instance-store"),
            format!("{mount} - /dev/xvdf other"),
            format!("{mount} vol-049df61146c4d7901 /dev/nvme1n1 ebs"),
            format!("{mount} vol-0c2bf3c8f5fd9b1f9 /dev/nvme2n1 ebs"),
        ]
    );
}

/// The layout of `zpool status -P` as OpenZFS prints it (zpool-status(8)).
#[test]
fn snapshot_case_34_a_pool_has_the_disks_of_all_its_roles() {
    let node = Node::new();
    // The part of the script that reads a pool: there is no ZFS on a machine of tests.
    let script = SURVEY.rsplit_once("\nmain\n").unwrap().0.to_owned()
        + "\nwork=$(mktemp -d)\nerrors=$work/errors\n: >\"$errors\"\n\
           mounted \"0:99\tzfs\t/pg data\ttank/pg\trw\"\nrm -rf \"$work\"\nline end\n";
    node.program(
        "zpool",
        "#!/bin/sh\n[ \"$*\" = 'status -P -L tank' ] || exit 1\ncat <<'ZPOOL'\n  pool: tank\n state: ONLINE\n  scan: scrub repaired 0B in \
         00:00:01 with 0 errors on Sun Nov  8 00:24:02 2026\nconfig:\n\n\tNAME              STATE     READ WRITE CKSUM\n\ttank              \
         ONLINE       0     0     0\n\t  mirror-0        ONLINE       0     0     0\n\t    /dev/nvme1n1  ONLINE       0     0     0\n\t    \
         /dev/nvme2n1  ONLINE       0     0     0\n\tspecial\t\n\t  /dev/nvme3n1    ONLINE       0     0     0\n\tlogs\t\n\t  /dev/nvme4n1    \
         ONLINE       0     0     0\n\tcache\n\t  /dev/nvme5n1    ONLINE       0     0     0\n\tspares\n\t  /dev/nvme6n1    AVAIL   \n\nerrors: \
         No known data errors\nZPOOL\n",
    );
    node.program(
        "lsblk",
        r#"#!/bin/sh
for device; do :; done
case $device in
/dev/nvme4n1 | /dev/nvme5n1) serial=AWS12 model='Amazon EC2 NVMe Instance Storage' ;;
*) serial=vol0000000000000000${device#/dev/nvme} model='Amazon Elastic Block Store' ;;
esac
echo "KNAME=\"${device#/dev/}\" TYPE=\"disk\" SERIAL=\"${serial%n1}\" MODEL=\"$model\""
"#,
    );
    let said = node.run(&script, &[]);
    assert_eq!(
        lines(&said, "vdev"),
        [
            "tank data vol-00000000000000001 /dev/nvme1n1",
            "tank data vol-00000000000000002 /dev/nvme2n1",
            "tank special vol-00000000000000003 /dev/nvme3n1",
            "tank log - /dev/nvme4n1",
            "tank cache - /dev/nvme5n1",
            "tank spare vol-00000000000000006 /dev/nvme6n1",
        ]
    );
    // A log on the instance store is seen as such: its last commits would be lost.
    let mut told = lines(&said, "disk");
    told.sort();
    assert_eq!(
        told,
        [
            "/pg data - /dev/nvme4n1 instance-store",
            "/pg data vol-00000000000000001 /dev/nvme1n1 ebs",
            "/pg data vol-00000000000000002 /dev/nvme2n1 ebs",
            "/pg data vol-00000000000000003 /dev/nvme3n1 ebs",
        ]
    );
}

#[test]
fn a_survey_follows_the_links_to_where_the_data_is() {
    let node = Node::new();
    let (data, wal) = (node.disk("data", Ext4), node.disk("wal", Ext4));
    folder(data.mount().to_owned());
    folder(wal.mount().to_owned());
    let server = Server::start(data.mount(), wal.mount(), &node.folder.join("sockets"));
    let link = node.folder.join("link");
    symlink(&server.data, &link).unwrap();
    let said = survey(&node, &server, &[("DATA_DIR", link.to_str().unwrap())]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(lines(&said, "place")[1], format!("wal {0}/wal {0}", at(wal.mount())));
}

/// The last node's farewell: what a clean stop has left is told by what lies on the disks.
#[test]
fn a_survey_of_a_server_that_was_stopped_cleanly_tells_the_same_places() {
    let node = Node::new();
    let (data, spaces) = (node.disk("data", Ext4), node.disk("spaces", Ext4));
    folder(data.mount().to_owned());
    folder(spaces.mount().to_owned());
    let server = Server::start(data.mount(), data.mount(), &node.folder.join("sockets"));
    server.sql(&format!("CREATE TABLESPACE other LOCATION '{}'", folder(spaces.mount().join("pg")).display()));
    let ran = survey(&node, &server, &[("CHECKPOINT", "yes")]);
    let directory = server.data.clone();
    let stopped = |node: &Node| {
        let variables = [("STOPPED", "yes"), ("CHECKPOINT", "no"), ("DATA_DIR", directory.to_str().unwrap())];
        node.run(SURVEY, &variables)
    };
    problem(&stopped(&node), "PostgreSQL runs on");
    server.stop();
    let said = stopped(&node);
    assert_eq!(said.code, 0, "{said:?}");
    for kind in ["place", "mount", "disk"] {
        let (mut before, mut after) = (lines(&ran, kind), lines(&said, kind));
        before.sort();
        after.sort();
        assert_eq!(before, after, "{kind}");
    }
    for kind in ["role", "system", "timeline", "data", "full_page_writes"] {
        assert_eq!(one(&ran, kind), one(&said, kind), "{kind}");
    }
    assert_eq!(one(&said, "checkpoint"), "done");
    problem(&node.run(SURVEY, &[("STOPPED", "yes")]), "DATA_DIR is not given");
}

/// All files below a folder with their bytes, and when anything was last changed in it.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        let bytes = if metadata.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
        found.insert(entry.path(), (metadata.modified().unwrap(), bytes));
        if metadata.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found
}

/// A `standby.signal` of ours that a primary finds when it starts would keep it from being one: none is ever written where a
/// server may start, nor anything else.
#[test]
fn snapshot_case_10_nothing_is_written_into_a_data_directory() {
    let node = Node::new();
    let data = node.disk("data", Ext4);
    folder(data.mount().to_owned());
    let server = Server::start(data.mount(), data.mount(), &node.folder.join("sockets"));
    assert_eq!(survey(&node, &server, &[("CHECKPOINT", "yes")]).code, 0);
    let directory = server.data.clone();
    server.stop();
    let before = listing(data.mount());
    let variables = [("STOPPED", "yes"), ("CHECKPOINT", "no"), ("DATA_DIR", directory.to_str().unwrap())];
    assert_eq!(node.run(SURVEY, &variables).code, 0);
    assert_eq!(node.freeze("one", 5, &[data.mount()]).code, 0);
    assert_eq!(node.ask("thaw", "one").code, 0);
    let after = listing(data.mount());
    let signals: Vec<&PathBuf> = after.keys().filter(|path| path.ends_with("standby.signal")).collect();
    assert_eq!((after.len(), signals), (before.len(), vec![]));
    assert!(before == after, "something was changed");
}
