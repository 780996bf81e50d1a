//! EBS volumes that are made for nodes: Amazon EC2's API reference (CreateVolume, AttachVolume, DeleteVolume,
//! ModifyInstanceAttribute, "Ensuring idempotency") and the EBS user guide (`ebs-describing-volumes`).

use ports::{AutoScaling as _, Class, NewVolume, Volume, VolumeState, Volumes as _};

use crate::node_stage::{GROUP, NodeStage};

/// What was asked for is done, and a machine is up or gone.
const SETTLED: u64 = 30;
const MOVED: u64 = 120;
const DEVICE: &str = "/dev/xvdf";

/// A node that waits to join, and what its volume is to be.
async fn joining(stage: &impl NodeStage) -> (String, NewVolume) {
    let id = stage.launched();
    stage.seconds_pass(SETTLED);
    let group = stage.auto_scaling().groups(&[GROUP.to_owned()]).await.unwrap().pop().unwrap();
    let zone = group.instances.into_iter().find(|one| one.id == id).unwrap().zone;
    let wanted = NewVolume {
        snapshot: stage.snapshot(),
        zone,
        size_gib: 20,
        kind: "gp3".to_owned(),
        iops: Some(3000),
        throughput: Some(125),
        key: None,
        token: format!("{id}-xvdf"),
        cluster: "acme-prod".to_owned(),
        instance: id.clone(),
        device: DEVICE.to_owned(),
    };
    (id, wanted)
}

/// The volumes that are there.
async fn of(stage: &impl NodeStage, id: &str) -> Vec<Volume> {
    let all = stage.volumes().of(id).await.unwrap().into_iter();
    all.filter(|volume| volume.state != VolumeState::Gone).collect()
}

fn made(volume: &str, state: VolumeState) -> Volume {
    let (id, device) = (volume.to_owned(), DEVICE.to_owned());
    Volume { id, state, device, attached_to: None, ends_with_it: false }
}

async fn attached(stage: &impl NodeStage) -> (String, String) {
    let (id, wanted) = joining(stage).await;
    let volume = stage.volumes().create(&wanted).await.unwrap();
    stage.seconds_pass(SETTLED);
    stage.volumes().attach(&volume, &id, DEVICE).await.unwrap();
    stage.seconds_pass(SETTLED);
    let expected = Volume { attached_to: Some(id.clone()), ..made(&volume, VolumeState::InUse) };
    assert_eq!(of(stage, &id).await, [expected]);
    (id, volume)
}

/// "creating", "available"; "tags to apply to the volume during creation".
pub(crate) async fn a_new_volume_is_on_its_way_and_then_there(stage: &impl NodeStage) {
    let (id, wanted) = joining(stage).await;
    assert_eq!(of(stage, &id).await, []);
    let volume = stage.volumes().create(&wanted).await.unwrap();
    assert_eq!(of(stage, &id).await, [made(&volume, VolumeState::Creating)]);
    let early = stage.volumes().attach(&volume, &id, DEVICE).await.unwrap_err();
    assert_eq!((early.class, early.code.as_str()), (Class::Conflict, "IncorrectState"));
    stage.seconds_pass(SETTLED);
    assert_eq!(of(stage, &id).await, [made(&volume, VolumeState::Available)]);
    assert_eq!(of(stage, "i-0bbbbbbbbbbbbbbb2").await, [], "it is no other node's");
}

/// "the request completes successfully without performing any further actions"; "IdempotentParameterMismatch".
pub(crate) async fn one_token_gives_one_volume(stage: &impl NodeStage) {
    let (id, wanted) = joining(stage).await;
    let volume = stage.volumes().create(&wanted).await.unwrap();
    assert_eq!(stage.volumes().create(&wanted).await.unwrap(), volume);
    let other = NewVolume { size_gib: wanted.size_gib + 1, ..wanted.clone() };
    let refused = stage.volumes().create(&other).await.unwrap_err();
    assert_eq!((refused.class, refused.code.as_str()), (Class::Invalid, "IdempotentParameterMismatch"));
    assert_eq!(of(stage, &id).await.len(), 1);
    let second = NewVolume { token: format!("{}-2", wanted.token), ..wanted };
    assert_ne!(stage.volumes().create(&second).await.unwrap(), volume);
}

/// "attaching", "attached".
pub(crate) async fn a_volume_is_in_use_before_it_is_attached(stage: &impl NodeStage) {
    let (id, wanted) = joining(stage).await;
    let volume = stage.volumes().create(&wanted).await.unwrap();
    stage.seconds_pass(SETTLED);
    stage.volumes().attach(&volume, &id, DEVICE).await.unwrap();
    assert_eq!(of(stage, &id).await, [made(&volume, VolumeState::InUse)]);
    stage.seconds_pass(SETTLED);
    let expected = Volume { attached_to: Some(id.clone()), ..made(&volume, VolumeState::InUse) };
    assert_eq!(of(stage, &id).await, [expected]);
}

/// "VolumeInUse", for a second instance and for the same; "the volume must be in the available state (not attached)".
pub(crate) async fn an_attached_volume_is_neither_attached_again_nor_deleted(stage: &impl NodeStage) {
    let (id, volume) = attached(stage).await;
    let (other, _) = joining(stage).await;
    for instance in [&id, &other] {
        let refused = stage.volumes().attach(&volume, instance, DEVICE).await.unwrap_err();
        assert_eq!((refused.class, refused.code.as_str()), (Class::Conflict, "VolumeInUse"), "{instance}");
    }
    let refused = stage.volumes().delete(&volume).await.unwrap_err();
    assert_eq!((refused.class, refused.code.as_str()), (Class::Conflict, "VolumeInUse"));
    assert_eq!(of(stage, &id).await[0].attached_to, Some(id));
}

/// "DeleteOnTermination", which is false for what is attached later.
pub(crate) async fn a_marked_volume_ends_with_its_instance(stage: &impl NodeStage) {
    let (id, volume) = attached(stage).await;
    stage.volumes().end_with_instance(&id, DEVICE).await.unwrap();
    stage.seconds_pass(SETTLED);
    let marked = Volume { attached_to: Some(id.clone()), ends_with_it: true, ..made(&volume, VolumeState::InUse) };
    assert_eq!(of(stage, &id).await, [marked]);
    stage.killed(&id);
    stage.seconds_pass(MOVED);
    assert_eq!(of(stage, &id).await, []);
}

/// What nobody marked stays, attached to nothing.
pub(crate) async fn an_unmarked_volume_outlives_its_instance(stage: &impl NodeStage) {
    let (id, volume) = attached(stage).await;
    stage.killed(&id);
    stage.seconds_pass(MOVED);
    assert_eq!(of(stage, &id).await, [made(&volume, VolumeState::Available)]);
    let refused = stage.volumes().attach(&volume, &id, DEVICE).await.unwrap_err();
    assert_eq!((refused.class, refused.code.as_str()), (Class::Conflict, "IncorrectState"), "to what has ended");
}

/// There is nothing at that device.
pub(crate) async fn only_what_is_attached_is_marked(stage: &impl NodeStage) {
    let (id, _) = joining(stage).await;
    let refused = stage.volumes().end_with_instance(&id, DEVICE).await.unwrap_err();
    assert_eq!((refused.class, refused.code.as_str()), (Class::Invalid, "InvalidInstanceAttributeValue"));
}

/// What is deleted is gone, and deleted again without harm.
pub(crate) async fn a_free_volume_is_deleted(stage: &impl NodeStage) {
    let (id, wanted) = joining(stage).await;
    let volume = stage.volumes().create(&wanted).await.unwrap();
    stage.seconds_pass(SETTLED);
    stage.volumes().delete(&volume).await.unwrap();
    stage.seconds_pass(SETTLED);
    assert_eq!(of(stage, &id).await, []);
    stage.volumes().delete(&volume).await.unwrap();
}
