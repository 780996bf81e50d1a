//! From end to end: the real function takes a restore point of a real PostgreSQL under load, by the node's real scripts, with data and
//! WAL on disks of their own; the machine is lost; what the snapshots hold is restored by the real script, started, and counted.
//!
//! EC2 and Patroni are played: the emulated AWS copies the bytes of the disks at one instant, as EBS does. Only root may make disks.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../lifecycle/cluster.rs"]
#[allow(dead_code, reason = "the lifecycle's tests ask more of it")]
mod cluster;
#[path = "../lifecycle/host.rs"]
#[allow(dead_code, reason = "the lifecycle's tests ask more of it")]
mod host;
#[path = "../../../lab/tests/restore/production.rs"]
#[allow(dead_code, reason = "the restore's own tests ask more of it")]
mod production;
#[path = "../../../lab/tests/restore/script.rs"]
#[allow(dead_code, reason = "the restore's own tests ask more of it")]
mod script;
#[path = "../../../lab/tests/restore/server.rs"]
#[allow(dead_code, reason = "the restore's own tests ask more of it")]
mod server;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use lab::FsKind;
use serde_json::{Value, json};
use stack::{Group, NewInstance, RunsIn, Stack, World, WorldCluster};

use crate::cluster::Cluster;
use crate::production::{Layout, Production, Snapshot};
use crate::script::{free_port, restore};
use crate::server::{Load, Server};

const ACME: &str = "acme-prod";
const GROUP: &str = "acme-pg";
const NET: u8 = 75;
const DISKS: [(&str, &str); 2] = [("data", "/dev/sdf"), ("wal", "/dev/sdg")];

/// Volumes for the disks, attached to the instance, with the disks' bytes.
fn volumes(stack: &Stack, production: &Production, instance: &str, zone: &str) -> Vec<(PathBuf, String)> {
    let of = |(name, device): (&str, &str)| {
        let disk = production.disk(name);
        let tags = json!([{"ResourceType": "volume", "Tags": [{"Key": "pilothouse:cluster", "Value": ACME}]}]);
        let volume = json!({"AvailabilityZone": zone, "Size": 1, "VolumeType": "gp3", "TagSpecifications": tags});
        let id = wire::text(&stack.aws("ec2", "CreateVolume", &volume).unwrap()["VolumeId"]);
        let attach = json!({"VolumeId": id, "InstanceId": instance, "Device": device});
        stack.aws("ec2", "AttachVolume", &attach).unwrap();
        // The copies come to lie beside this name, and not on the array, which stands still meanwhile.
        let link = production.folder.path().join(format!("{name}.link"));
        symlink(disk.backing_file(), &link).unwrap();
        stack.back_volume(&id, &link).unwrap();
        (disk.device().to_owned(), id)
    };
    let made: Vec<(PathBuf, String)> = DISKS.into_iter().map(of).collect();
    let array = production.place("data").parent().unwrap().display().to_string();
    let (hold, release) = (format!("fsfreeze --freeze {array}"), format!("fsfreeze --unfreeze {array}"));
    stack.hold_volume(&made[0].1, &hold, &release).unwrap();
    made
}

/// lsblk of an instance: the real one's lines, with the serials that EBS volumes have there.
fn serials(folder: &Path, volumes: &[(PathBuf, String)]) {
    let edits: Vec<String> = volumes
        .iter()
        .map(|(device, volume)| {
            let (name, serial) = (device.file_name().unwrap().to_str().unwrap(), volume.replace('-', ""));
            format!(r#" -e 's/^\(KNAME="{name}" TYPE="loop" SERIAL="\)[^"]*"/\1{serial}"/'"#)
        })
        .collect();
    let script = format!("#!/bin/sh\n/usr/bin/lsblk \"$@\" | sed{}\n", edits.concat());
    let path = folder.join("lsblk");
    fs::write(&path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn good(list: &Value) -> Option<Value> {
    list["restore_points"].as_array().unwrap().iter().find(|point| point["good"] == true).cloned()
}

#[test]
fn s1_s7_a_restore_point_of_a_server_under_load_is_restored_with_every_acknowledged_row() {
    let mut production = Production::start(Layout { kind: FsKind::Ext4, wal: true, tablespace: false });
    let stack = stack::acquire().unwrap();
    let acme = WorldCluster { state: Some("active".to_owned()), ..WorldCluster::named(ACME, "10.9.0.0/16") };
    let made = stack
        .world(&World {
            own_cidr: Some(format!("10.{NET}.0.0/16")),
            subnets: Some(vec![format!("10.{NET}.0.0/16")]),
            clusters: vec![acme],
            ..World::default()
        })
        .unwrap();
    let pace = ["pending", "transition", "volume", "command_unknown"];
    stack.pace(&pace.map(|name| (name.to_owned(), json!(0))).into_iter().collect()).unwrap();
    let tags = [("pilothouse:cluster".to_owned(), ACME.to_owned())].into();
    stack.group(&Group { name: GROUP.to_owned(), desired: Some(1), tags: Some(tags), ..Group::default() }).unwrap();
    let environment = stack.environment(&made);
    let registry = stack.function("cluster-registry", &environment).unwrap();
    let scheduler = stack.function("snapshot-scheduler", &environment).unwrap();

    let mut cluster = Cluster::new();
    let ip = cluster.host(NET, 60_000);
    let dir = cluster.folder(ip);
    let env = [("PATH".to_owned(), format!("{dir}:/usr/sbin:/usr/bin:/sbin:/bin"))].into();
    let instance = "i-00000000000060000";
    let launched = stack
        .launch(&NewInstance {
            group: Some(GROUP.to_owned()),
            instance_id: Some(instance.to_owned()),
            address: Some(ip.to_string()),
            state: Some("InService".to_owned()),
            run: Some(RunsIn { dir: dir.clone(), env }),
            ..NewInstance::default()
        })
        .unwrap();
    serials(Path::new(&dir), &volumes(&stack, &production, instance, launched.zone.as_str()));
    // The host's own says nothing of a real server.
    fs::remove_file(Path::new(&dir).join("pgrep")).unwrap();
    cluster.boot(ip, "pg-1");
    let mounts: Vec<PathBuf> = DISKS.iter().map(|(name, _)| production.place(name)).collect();
    let target = &made.cluster(ACME).unwrap().endpoints[0].target_group_arn;
    let spec = json!({
        "schema": 1, "name": ACME,
        "nodes": {
            "asg": GROUP, "hooks": {"launch": "l", "terminate": "t"}, "patroni": {"scope": "acme"},
            "target_groups": [{"arn": target, "role": "writer", "port": 5432}], "volumes": {"source": "none"},
        },
        "snapshots": {
            "schedule": "0 */6 * * *", "spread_minutes": 0, "retention": {"last": 3}, "consistency": "filesystem",
            "filesystem": {"kind": "ext4", "data_dir": production.data(), "mounts": mounts, "allow_leader": true},
        },
    });
    assert_eq!(registry.invoke(&json!({"put": spec})).unwrap()["ok"], true);

    let load = Load::start(production.server());
    production.server().sql("CHECKPOINT").unwrap();
    load.advance(200);
    let acknowledged = load.acknowledged();
    let taken = scheduler.invoke(&json!({"take": ACME, "by": "ada"})).unwrap();
    assert_eq!(taken["ok"], true, "{taken:#}");
    let list = || scheduler.invoke(&json!({"list": ACME})).unwrap();
    for _ in 0..60 {
        if good(&list()).is_some() {
            break;
        }
        scheduler.invoke(&json!({"cluster": ACME})).unwrap();
    }
    let point = good(&list()).unwrap_or_else(|| panic!("{taken:#}\n{:#}", list()));
    println!("{}: {}", point["grade"], point["note"]);
    // A slow machine may not be heard of in time: then it says so.
    let early = point["note"].as_str().unwrap().contains("not frozen");
    assert_eq!(point["grade"] == "filesystem", !early, "{point:#}");
    assert_eq!(point["origin"]["system"], production.system().as_str());
    load.advance(50);
    drop(load);

    let rows = stack.snapshots().unwrap();
    let copies = DISKS.map(|(name, device)| {
        let id = point["members"][device]["snapshot"].as_str().unwrap();
        let row = rows.iter().find(|row| row.snapshot_id == id).unwrap();
        (name, row.file.clone().unwrap())
    });
    production.lose();
    let attached = Snapshot(copies.into()).attach();
    let port = free_port();
    let mut arguments = attached.mounts(&production);
    let system = point["origin"]["system"].as_str().unwrap();
    arguments.extend([format!("--data-dir={}", production.data().display()), format!("--port={port}")]);
    arguments.extend([format!("--set={}", point["set"].as_str().unwrap()), format!("--system={system}")]);
    restore(&production.folder, &arguments).done();

    let copy = Server::start(&production.data(), &production.sockets, port, &[]).unwrap();
    assert_eq!(copy.sql("SELECT pg_is_in_recovery(), current_setting('archive_mode')").unwrap(), "t|off");
    copy.sql("SELECT pg_promote()").unwrap();
    copy.wait("SELECT pg_is_in_recovery()", "f");
    let seen = copy.rows();
    assert!(seen.len() >= acknowledged.len(), "{} of {} acknowledged rows", seen.len(), acknowledged.len());
    assert!(seen.iter().copied().eq(1..=seen.len() as u64), "none is left out");
    copy.sql("CREATE EXTENSION amcheck; SELECT bt_index_check(oid) FROM pg_class WHERE relkind = 'i'").unwrap();
}
