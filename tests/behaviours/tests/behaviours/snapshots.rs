//! Snapshots as they are read, marked and deleted: Amazon EC2's API reference (DescribeSnapshots, CreateTags, DeleteSnapshot,
//! DescribeImages, DescribeLockedSnapshots, DescribeSnapshotAttribute, `Using_Filtering`, "Error codes") and the EBS user guide
//! (`ebs-deleting-snapshot`, `ebs-snapshot-lock`, `recycle-bin`).

use std::collections::{BTreeMap, BTreeSet};

use ports::{Class, SnapshotState, Snapshots as _};

use crate::copies::copy_of;
use crate::restore_stage::{AWAY, RestoreStage, TAKES};
use crate::sets::{code, ids, named, node, refused, set, states, taken};

const UNKNOWN: &str = "snap-0aaaaaaaaaaaaaaa1";
const IMAGE: &str = "ami-0123456789abcdef0";

fn tag(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// "tag:<key>", of all pages and in one Region; a value is what it says, though `*` stands for others in a filter.
pub(crate) async fn a_list_by_tags_is_whole(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let port = stage.snapshots();
    port.create(&set(&instance, "a")).await.unwrap();
    stage.seconds_pass(TAKES);
    port.create(&set(&instance, "b*")).await.unwrap();
    let cluster = tag("cluster", "acme");
    assert_eq!(port.tagged("", std::slice::from_ref(&cluster)).await.unwrap().len(), 6, "pending ones too");
    assert_eq!(port.tagged("", &[cluster.clone(), tag("set", "a")]).await.unwrap().len(), 3);
    assert_eq!(port.tagged("", &[cluster.clone(), tag("set", "b*")]).await.unwrap().len(), 3);
    for other in ["*", "a*", "?", "c"] {
        assert_eq!(port.tagged("", &[cluster.clone(), tag("set", other)]).await.unwrap(), [], "{other}");
    }
    assert_eq!(port.tagged(AWAY, &[cluster]).await.unwrap(), []);
}

/// "snapshot-id" as a filter, which nothing fails that is not there; SnapshotIds would.
pub(crate) async fn an_id_that_nobody_has_is_left_out(stage: &impl RestoreStage) {
    let known = ids(&taken(stage).await);
    let asked = [known.clone(), vec![UNKNOWN.to_owned()]].concat();
    let told = stage.snapshots().describe("", &asked).await.unwrap();
    assert_eq!(ids(&told), known, "over all pages");
    assert_eq!(stage.snapshots().describe(AWAY, &asked).await.unwrap(), [], "an id is of its Region");
}

/// "If a tag with that key exists, its value is overwritten"; the others stay.
pub(crate) async fn a_tag_is_put_over_its_older_value(stage: &impl RestoreStage) {
    let snapshots = taken(stage).await;
    let new = BTreeMap::from([tag("set", "b"), tag("state", "deleting")]);
    stage.snapshots().tag("", &ids(&snapshots[..2]), &new).await.unwrap();
    assert_eq!(ids(&named(stage, "", "a").await), ids(&snapshots[2..]));
    let told = named(stage, "", "b").await;
    assert_eq!(ids(&told), ids(&snapshots[..2]));
    let expected = BTreeMap::from([tag("cluster", "acme"), tag("set", "b"), tag("state", "deleting")]);
    assert!(told.iter().all(|one| one.tags == expected), "{told:#?}");
    let unknown = stage.snapshots().tag("", &[UNKNOWN.to_owned()], &new).await;
    assert_eq!(refused(unknown), code(Class::NotFound, "InvalidSnapshot.NotFound"));
}

/// "each snapshot is treated as an individual snapshot" once it is there.
pub(crate) async fn deleting_one_leaves_the_others_of_its_set(stage: &impl RestoreStage) {
    let snapshots = taken(stage).await;
    stage.snapshots().delete("", &snapshots[0].id).await.unwrap();
    assert_eq!(stage.snapshots().describe("", &[snapshots[0].id.clone()]).await.unwrap(), []);
    let left = named(stage, "", "a").await;
    assert_eq!(ids(&left), ids(&snapshots[1..]));
    assert_eq!(states(&left), [SnapshotState::Completed; 2]);
}

/// "InvalidSnapshot.NotFound", which is what was wanted; what is in another Region is not there either.
pub(crate) async fn what_is_not_there_is_deleted(stage: &impl RestoreStage) {
    let snapshots = taken(stage).await;
    stage.snapshots().delete("", UNKNOWN).await.unwrap();
    stage.snapshots().delete(AWAY, &snapshots[0].id).await.unwrap();
    assert_eq!(named(stage, "", "a").await.len(), 3);
    for _ in 0..2 {
        stage.snapshots().delete("", &snapshots[0].id).await.unwrap();
    }
    assert_eq!(named(stage, "", "a").await.len(), 2);
}

/// "the snapshot must complete before the deletion takes effect".
pub(crate) async fn a_pending_one_is_gone_once_it_is_complete(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    stage.snapshots().delete("", &made[0].id).await.unwrap();
    assert_eq!(states(&named(stage, "", "a").await), [SnapshotState::Pending; 3]);
    stage.seconds_pass(TAKES);
    let left = named(stage, "", "a").await;
    assert_eq!(ids(&left), ids(&made[1..]));
    assert_eq!(states(&left), [SnapshotState::Completed; 2]);
}

/// One that failed is not waited for.
pub(crate) async fn what_failed_is_deleted_at_once(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    stage.snapshots().delete("", &made[0].id).await.unwrap();
    stage.fails("", &made[1].id, "Client error");
    assert_eq!(ids(&named(stage, "", "a").await), ids(&made[1..]), "its end is reached");
    stage.snapshots().delete("", &made[1].id).await.unwrap();
    assert_eq!(ids(&named(stage, "", "a").await), ids(&made[2..]));
}

/// "You can't delete a snapshot of the root device of an EBS volume used by a registered AMI": "InvalidSnapshot.InUse".
pub(crate) async fn what_an_image_is_made_from_is_not_deleted(stage: &impl RestoreStage) {
    let snapshots = taken(stage).await;
    let all = ids(&snapshots);
    assert_eq!(stage.snapshots().bound("", &all).await.unwrap(), BTreeMap::new());
    for id in &all {
        stage.image(id, Some(IMAGE));
    }
    let bound = stage.snapshots().bound("", &all).await.unwrap();
    assert_eq!(bound.keys().collect::<Vec<_>>(), all.iter().collect::<Vec<_>>(), "over all pages");
    assert!(bound.values().all(|why| why.contains(IMAGE)), "{bound:#?}");
    let only = stage.snapshots().bound("", &all[..1]).await.unwrap();
    assert_eq!(only.keys().collect::<Vec<_>>(), [&all[0]], "nobody asked for the others");
    let answer = stage.snapshots().delete("", &all[0]).await;
    assert_eq!(refused(answer), code(Class::Conflict, "InvalidSnapshot.InUse"));
    assert_eq!(named(stage, "", "a").await.len(), 3);
    stage.image(&all[0], None);
    assert_eq!(stage.snapshots().bound("", &all[..1]).await.unwrap(), BTreeMap::new());
    stage.snapshots().delete("", &all[0]).await.unwrap();
    assert_eq!(named(stage, "", "a").await.len(), 2);
}

/// "A locked snapshot can't be deleted": "SnapshotLocked", until the lock is `expired`.
pub(crate) async fn what_is_locked_is_not_deleted(stage: &impl RestoreStage) {
    let all = ids(&taken(stage).await);
    for id in &all {
        stage.locked(id, true);
    }
    let bound = stage.snapshots().bound("", &all).await.unwrap();
    assert_eq!(bound.keys().collect::<Vec<_>>(), all.iter().collect::<Vec<_>>(), "over all pages");
    assert!(bound.values().all(|why| why.contains("locked")), "{bound:#?}");
    let answer = stage.snapshots().delete("", &all[0]).await;
    assert_eq!(refused(answer), code(Class::Conflict, "SnapshotLocked"));
    assert_eq!(named(stage, "", "a").await.len(), 3);
    stage.locked(&all[0], false);
    assert_eq!(stage.snapshots().bound("", &all[..1]).await.unwrap(), BTreeMap::new());
    stage.snapshots().delete("", &all[0]).await.unwrap();
    assert_eq!(named(stage, "", "a").await.len(), 2);
}

/// "CreateVolumePermission": account ids, and the group `all`.
pub(crate) async fn it_is_told_with_whom_a_snapshot_is_shared(stage: &impl RestoreStage) {
    let id = taken(stage).await[0].id.clone();
    let mut expected = BTreeSet::new();
    for with in ["", "111122223333", "444455556666", "all"] {
        if !with.is_empty() {
            stage.shared(&id, with);
            expected.insert(with.to_owned());
        }
        let told = stage.snapshots().shared_with("", &id).await.unwrap();
        assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>()), (expected.len(), expected.clone()));
    }
    let unknown = stage.snapshots().shared_with("", UNKNOWN).await;
    assert_eq!(refused(unknown), code(Class::NotFound, "InvalidSnapshot.NotFound"));
}

/// What is in the Recycle Bin cannot be used before it is restored. Whether DescribeSnapshots has it is not documented.
pub(crate) async fn what_the_recycle_bin_took_is_there_for_nobody(stage: &impl RestoreStage) {
    let snapshots = taken(stage).await;
    stage.recycles();
    for _ in 0..2 {
        stage.snapshots().delete("", &snapshots[0].id).await.unwrap();
    }
    let told = stage.snapshots().describe("", &[snapshots[0].id.clone()]).await.unwrap();
    assert!(told.iter().all(|one| one.state == SnapshotState::Recoverable), "{told:#?}");
    let answer = stage.snapshots().copy(AWAY, &copy_of(stage, &snapshots[0])).await;
    assert_eq!(refused(answer), code(Class::NotFound, "InvalidSnapshot.NotFound"));
    let left = named(stage, "", "a").await;
    assert_eq!(left.iter().filter(|one| one.state == SnapshotState::Completed).count(), 2);
}
