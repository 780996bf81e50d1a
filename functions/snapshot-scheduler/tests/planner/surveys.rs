//! A node's answer, and the volumes that follow from it (S1).

use ports::Disk;
use runtime::records::RestoreMember;
use snapshot_scheduler::sets::{MOST_EXCLUDED, MOST_MEMBERS};
use snapshot_scheduler::survey::{FREEZE, Frozen, NotWhole, SURVEY, Whole, frozen, read, script, whole};

use crate::world::{answer, disk, volumes};

fn layout(change: impl FnOnce(String) -> String) -> snapshot_scheduler::survey::Layout {
    read(&change(answer("i-2", "replica"))).unwrap()
}

fn names(whole: &Whole) -> Vec<&str> {
    whole.members.values().map(|m| m.volume.as_str()).collect()
}

fn elsewhere(text: impl FnOnce(String) -> String, attached: &[Disk]) -> String {
    match whole(&layout(text), attached) {
        Err(NotWhole::Elsewhere(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A function of a script, from its name to the brace that ends it.
fn function<'a>(script: &'a str, name: &str) -> &'a str {
    let (_, body) = script.split_once(&format!("\n{name}() {{\n")).unwrap();
    body.split_once("\n}\n").unwrap().0
}

#[test]
fn what_a_survey_calls_vital_is_what_a_freeze_spares() {
    for name in ["encode", "mount_of", "vital", "vital_mounts"] {
        assert_eq!(function(SURVEY, name), function(FREEZE, name), "{name}");
    }
}

#[test]
fn paths_are_read_as_the_node_has_them() {
    let odd = answer("i-2", "replica").replace("/pg", "/50%25%2509%09a%0Ab");
    let told = read(&odd).unwrap();
    let (mount, data) = ("/50%%09\ta\nb", "/50%%09\ta\nb/data");
    assert_eq!(told.data_dir, data);
    assert!(told.places.iter().all(|(_, at)| at == mount), "{:?}", told.places);
    assert!(told.mounts.contains_key(mount) && told.disks.iter().all(|disk| disk.mount == mount), "{told:?}");
    let still = "mount\t/50%25%2509%09a%0Ab\tstill\t2\n";
    assert_eq!(frozen(still, &[mount.to_owned()]), Frozen::Throughout);
}

#[test]
fn an_answer_is_whole_or_none() {
    let text = answer("i-2", "replica");
    let told = read(&text).unwrap();
    assert_eq!((told.leads, told.timeline, told.version), (false, Some(3), Some(170_002)));
    assert_eq!((told.system.as_deref(), told.redo.as_deref()), (Some("7268616322854375442"), Some("0/3000060")));
    assert_eq!((told.data_dir.as_str(), told.checkpoint.as_str()), ("/pg/data", "written"));
    assert!(read(&format!("a motd\n{text}\nnews\tof a later version\n")).is_ok());
    let cases = [
        (String::new(), "not whole"),
        (text.replace("survey\t1", ""), "not whole"),
        (text.replace("end", ""), "not whole"),
        (text.replace("role\treplica", "role\twitness"), "not whole"),
        (text.replace("survey\t1", "survey\t2"), "version 2"),
        (text.replace("place\tdata", "place\tother"), "where its data lies"),
        (text.replace("place\twal", "place\tother"), "where its wal lies"),
        (text.replace("checkpoint\twritten", "problem\t/pg is not mounted"), "/pg is not mounted"),
        (text.lines().take(8).collect::<Vec<_>>().join("\n"), "not whole"),
    ];
    for (text, why) in cases {
        let said = read(&text).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn s1_peers_bug_7_all_disks_under_all_places_are_one_call() {
    let all = whole(&layout(|text| text), &volumes("i-2")).unwrap();
    assert_eq!(names(&all), ["vol-a2", "vol-b2"]);
    assert_eq!((all.exclude_boot, all.exclude.as_slice()), (true, ["vol-logs2".to_owned()].as_slice()));
    let expected = RestoreMember {
        volume: "vol-a2".to_owned(),
        size_gib: 100,
        kind: "gp3".to_owned(),
        iops: Some(3000),
        throughput: Some(125),
        ..RestoreMember::default()
    };
    assert_eq!(all.members["/dev/sdf"], expected);
}

#[test]
fn s1_data_on_the_volume_that_the_machine_starts_from_takes_that_too() {
    let all = whole(
        &layout(|text| text.replace("end", "place\t16401\t/srv\t/\ndisk\t/\tvol-boot2\t/dev/nvme0n1\tebs\nend")),
        &volumes("i-2"),
    );
    let all = all.unwrap();
    assert_eq!((names(&all), all.exclude_boot), (vec!["vol-a2", "vol-b2", "vol-boot2"], false));
}

#[test]
fn s1_snapshot_case_34_a_disk_that_no_snapshot_reaches_is_named() {
    let why = elsewhere(|text| text.replace("end", "disk\t/pg\t-\t/dev/nvme3n1\tinstance-store\nend"), &volumes("i-2"));
    assert_eq!(why, "data lies on /pg, of which /dev/nvme3n1 is no EBS volume (instance-store)");
    let why = elsewhere(|text| text, &volumes("i-2")[..2]);
    assert_eq!(why, "data lies on /pg, and vol-b2 is not attached, as far as EC2 says");
}

#[test]
fn s1_snapshot_case_35_a_tablespace_elsewhere_is_not_whole() {
    let why = elsewhere(|text| text.replace("end", "place\t16401\t/fast/ts\t/fast\nend"), &volumes("i-2"));
    assert_eq!(why, "16401 lies on /fast, and no disk is known under it");
    let text = "place\t16401\t/fast/ts\t/fast\ndisk\t/fast\tvol-x\t/dev/nvme4n1\tebs\nend";
    let why = elsewhere(|answer| answer.replace("end", text), &volumes("i-2"));
    assert_eq!(why, "16401 lies on /fast, and vol-x is not attached, as far as EC2 says");
    let mut attached = volumes("i-2");
    attached.push(disk("vol-x", "/dev/sdi"));
    let all = whole(&layout(|answer| answer.replace("end", text)), &attached).unwrap();
    assert_eq!(names(&all), ["vol-a2", "vol-b2", "vol-x"]);
}

#[test]
fn s1_snapshot_case_36_wal_on_a_volume_of_its_own_is_a_member_or_the_set_is_not_whole() {
    let moved = |text: String| {
        let text = text.replace("place\twal\t/pg/data/pg_wal\t/pg", "place\twal\t/wal\t/wal");
        text.replace("end", "disk\t/wal\tvol-logs2\t/dev/nvme3n1\tebs\nend")
    };
    let all = whole(&layout(moved), &volumes("i-2")).unwrap();
    assert_eq!((names(&all), all.exclude.len()), (vec!["vol-a2", "vol-b2", "vol-logs2"], 0));
    let why = elsewhere(moved, &volumes("i-2")[..3]);
    assert!(why.contains("wal lies on /wal, and vol-logs2 is not attached"), "{why}");
}

/// On Xen a disk does not tell its volume, and has another name than its attachment.
#[test]
fn disks_are_found_by_their_names_where_they_tell_no_volume() {
    for (kernel, attached) in [("/dev/xvdf", "/dev/sdf"), ("/dev/sdf", "/dev/sdf"), ("/dev/xvdf", "/dev/xvdf")] {
        let text = |text: String| {
            let one = text.replace("disk\t/pg\tvol-a2\t/dev/nvme1n1", &format!("disk\t/pg\t-\t{kernel}"));
            one.replace("disk\t/pg\tvol-b2\t/dev/nvme2n1\tebs\n", "")
        };
        let disks = [disk("vol-boot2", "/dev/xvda"), disk("vol-a2", attached)];
        assert_eq!(names(&whole(&layout(text), &disks).unwrap()), ["vol-a2"], "{kernel} {attached}");
    }
}

#[test]
fn s1_more_volumes_than_one_call_takes_are_too_many() {
    let lines: String = (0..=MOST_MEMBERS).map(|n| format!("disk\t/pg\tvol-{n}\t/dev/nvme{n}\tebs\n")).collect();
    let mut disks = volumes("i-2");
    disks.extend((0..=MOST_MEMBERS).map(|n| disk(&format!("vol-{n}"), &format!("/dev/sd{n}"))));
    let many = whole(&layout(|text| text.replace("end", &format!("{lines}end"))), &disks);
    assert!(matches!(many, Err(NotWhole::TooMany(_))), "{many:?}");
    let mut disks = volumes("i-2");
    disks.extend((0..MOST_EXCLUDED - 1).map(|n| disk(&format!("vol-{n}"), &format!("/dev/sd{n}"))));
    assert!(whole(&layout(|text| text), &disks).is_ok());
    disks.push(disk("vol-x", "/dev/sdx"));
    assert!(matches!(whole(&layout(|text| text), &disks), Err(NotWhole::TooMany(_))));
}

#[test]
fn values_reach_the_script_as_they_are() {
    let text = script("rest\n", &[("A", "it's; rm -rf $HOME"), ("B", "x\ny")]);
    assert_eq!(text, "A='it'\\''s; rm -rf $HOME'\nB='x\ny'\nrest\n");
}
