//! Copies into other Regions, and the keys that encrypt them: Amazon EC2's API reference (CopySnapshot, Snapshot, "Error codes"), the
//! EBS user guide (`ebs-copy-snapshot`, `ebs-quotas`, `ebs-cloud-watch-events`), and KMS's API reference (DescribeKey) and developer
//! guide (`key-state`).

use std::collections::BTreeMap;

use ports::{Class, EncryptionKey, EncryptionKeys as _, NewCopy, Snapshot, SnapshotState, Snapshots as _};

use crate::restore_stage::{AWAY, Drive, Ended, RestoreStage, TAKES};
use crate::sets::{code, ids, named, node, refused, set, states, taken};

/// "Concurrent snapshot copies per destination Region".
const AT_ONCE: usize = 20;

/// A copy as it is, by the name of the set `copy`.
pub(crate) fn copy_of(stage: &impl RestoreStage, source: &Snapshot) -> NewCopy {
    NewCopy {
        source_region: stage.region().to_owned(),
        source: source.id.clone(),
        source_is_encrypted: source.encrypted,
        key: None,
        encrypt: source.encrypted,
        description: "a copy".to_owned(),
        tags: BTreeMap::from([("set".to_owned(), "copy".to_owned())]),
    }
}

/// A snapshot that is complete, of a volume that this key encrypts.
async fn encrypted(stage: &impl RestoreStage, key: &str) -> Snapshot {
    let instance = stage.instance();
    stage.volume(&instance, &Drive { key: Some(key.to_owned()), ..Drive::data("/dev/sdf") });
    stage.snapshots().create(&set(&instance, "closed")).await.unwrap();
    stage.seconds_pass(TAKES);
    let source = named(stage, "", "closed").await.pop().unwrap();
    assert_eq!((source.state, source.key.as_deref()), (SnapshotState::Completed, Some(key)));
    source
}

async fn there(stage: &impl RestoreStage, id: &str) -> Snapshot {
    stage.snapshots().describe(AWAY, &[id.to_owned()]).await.unwrap().pop().unwrap()
}

/// "The copy is [...] in the destination Region", with an id of its own, the tags of the call alone, and a volume that means nothing.
pub(crate) async fn a_copy_is_pending_and_then_complete_in_its_own_region(stage: &impl RestoreStage) {
    let source = taken(stage).await.remove(0);
    let id = stage.snapshots().copy(AWAY, &copy_of(stage, &source)).await.unwrap();
    assert_ne!(id, source.id);
    let told = named(stage, AWAY, "copy").await;
    assert_eq!((ids(&told), states(&told)), (vec![id.clone()], vec![SnapshotState::Pending]), "by its tags at once");
    stage.seconds_pass(TAKES + 1);
    let copy = there(stage, &id).await;
    assert_eq!((copy.state, copy.message.as_str(), copy.size_gib), (SnapshotState::Completed, "", source.size_gib));
    assert_eq!(copy.tags, copy_of(stage, &source).tags, "none of its source's");
    assert_ne!(copy.volume, source.volume);
    assert!(copy.started_at > source.started_at, "its own");
    assert_eq!((copy.encrypted, copy.key), (false, None));
    assert_eq!(named(stage, "", "copy").await, []);
    assert_eq!(named(stage, "", "a").await.len(), 3);
}

/// "KmsKeyId": an alias, an id or an ARN; snapshots name the key by its ARN.
pub(crate) async fn a_copy_is_encrypted_with_the_key_that_was_asked_for(stage: &impl RestoreStage) {
    let sources = taken(stage).await;
    let arn = stage.key(AWAY, "alias/dr");
    let names = ["alias/dr", arn.as_str(), arn.rsplit('/').next().unwrap()];
    for (source, name) in sources.iter().zip(names) {
        let copy = NewCopy { key: Some(name.to_owned()), encrypt: true, ..copy_of(stage, source) };
        let id = stage.snapshots().copy(AWAY, &copy).await.unwrap();
        stage.seconds_pass(TAKES + 1);
        let copy = there(stage, &id).await;
        assert_eq!((copy.state, copy.encrypted), (SnapshotState::Completed, true), "{name}");
        assert_eq!(copy.key.as_ref(), Some(&arn), "{name}");
    }
}

/// "Encrypted snapshots are encrypted, even if you omit this parameter", with the default key of the copy's Region.
pub(crate) async fn a_copy_of_what_is_encrypted_is_encrypted(stage: &impl RestoreStage) {
    let key = stage.key("", "alias/data");
    let source = encrypted(stage, &key).await;
    let copy = NewCopy { encrypt: false, ..copy_of(stage, &source) };
    let id = stage.snapshots().copy(AWAY, &copy).await.unwrap();
    stage.seconds_pass(TAKES + 1);
    let copy = there(stage, &id).await;
    assert_eq!((copy.state, copy.encrypted), (SnapshotState::Completed, true), "{}", copy.message);
    let own = copy.key.unwrap();
    assert!(own.starts_with(&format!("arn:aws:kms:{AWAY}:")), "{own}");
}

/// "If `KmsKeyId` is specified, the encrypted state must be true."
pub(crate) async fn a_key_is_for_an_encrypted_copy(stage: &impl RestoreStage) {
    let source = taken(stage).await.remove(0);
    let key = stage.key(AWAY, "alias/dr");
    let copy = NewCopy { key: Some(key), encrypt: false, ..copy_of(stage, &source) };
    let answer = stage.snapshots().copy(AWAY, &copy).await;
    assert_eq!(refused(answer), code(Class::Invalid, "InvalidParameterDependency"));
    assert_eq!(named(stage, AWAY, "copy").await, []);
}

/// "You can copy [...] snapshots that are in the `completed` state"; not from the archive: "IncorrectState".
pub(crate) async fn only_what_is_complete_is_copied(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    let pending = copy_of(stage, &made[0]);
    assert_eq!(refused(stage.snapshots().copy(AWAY, &pending).await), code(Class::Conflict, "IncorrectState"));
    stage.seconds_pass(TAKES);
    stage.archived(&made[1].id);
    assert!(stage.snapshots().describe("", &[made[1].id.clone()]).await.unwrap()[0].archived);
    let archived = copy_of(stage, &made[1]);
    assert_eq!(refused(stage.snapshots().copy(AWAY, &archived).await), code(Class::Conflict, "IncorrectState"));
    let elsewhere = NewCopy { source_region: AWAY.to_owned(), ..pending.clone() };
    let unknown = code(Class::NotFound, "InvalidSnapshot.NotFound");
    assert_eq!(refused(stage.snapshots().copy(AWAY, &elsewhere).await), unknown);
    stage.snapshots().copy(AWAY, &pending).await.unwrap();
    let failed = stage.snapshots().create(&set(&instance, "b")).await.unwrap();
    stage.fails("", &failed[0].id, "Client error");
    let failed = copy_of(stage, &failed[0]);
    assert_eq!(refused(stage.snapshots().copy(AWAY, &failed).await), code(Class::Conflict, "IncorrectState"));
    assert_eq!(named(stage, AWAY, "copy").await.len(), 1);
}

/// "ResourceLimitExceeded"; another Region has its own twenty.
pub(crate) async fn twenty_copies_are_on_their_way_into_a_region(stage: &impl RestoreStage) {
    let sources = taken(stage).await;
    for n in 0..AT_ONCE {
        stage.snapshots().copy(AWAY, &copy_of(stage, &sources[n % 3])).await.unwrap();
    }
    let answer = stage.snapshots().copy(AWAY, &copy_of(stage, &sources[0])).await;
    assert_eq!(refused(answer), code(Class::LimitReached, "ResourceLimitExceeded"));
    assert_eq!(named(stage, AWAY, "copy").await.len(), AT_ONCE);
    stage.snapshots().copy("", &copy_of(stage, &sources[0])).await.unwrap();
    stage.seconds_pass(TAKES + 1);
    stage.snapshots().copy(AWAY, &copy_of(stage, &sources[0])).await.unwrap();
}

/// "the second copy starts only after the first copy finishes"; of another volume it is not waited for.
pub(crate) async fn copies_of_one_volume_follow_each_other(stage: &impl RestoreStage) {
    let sources = taken(stage).await;
    let mut copies = Vec::new();
    for source in [0, 0, 1] {
        copies.push(stage.snapshots().copy(AWAY, &copy_of(stage, &sources[source])).await.unwrap());
    }
    for expected in [
        [SnapshotState::Completed, SnapshotState::Pending, SnapshotState::Completed],
        [SnapshotState::Completed, SnapshotState::Completed, SnapshotState::Completed],
    ] {
        stage.seconds_pass(TAKES + 1);
        let mut told = Vec::new();
        for id in &copies {
            told.push(there(stage, id).await.state);
        }
        assert_eq!(told, expected);
    }
}

/// "the action can appear to complete, but eventually fails".
pub(crate) async fn a_copy_with_a_key_that_cannot_be_used_fails_later(stage: &impl RestoreStage) {
    let sources = taken(stage).await;
    let off = stage.key(AWAY, "alias/off");
    stage.key_becomes(AWAY, &off, "Disabled");
    let later = stage.key(AWAY, "alias/later");
    for (source, key) in sources.iter().zip(["alias/off", "alias/nobody", "alias/later"]) {
        let copy = NewCopy { key: Some(key.to_owned()), encrypt: true, ..copy_of(stage, source) };
        let id = stage.snapshots().copy(AWAY, &copy).await.unwrap();
        assert_eq!(there(stage, &id).await.state, SnapshotState::Pending, "{key}");
        stage.key_becomes(AWAY, &later, "PendingDeletion");
        stage.seconds_pass(TAKES + 1);
        let copy = there(stage, &id).await;
        assert_eq!(copy.state, SnapshotState::Error, "{key}");
        assert!(!copy.message.is_empty(), "{key}");
    }
    assert_eq!(states(&named(stage, "", "a").await), [SnapshotState::Completed; 3]);
}

/// A disabled key decrypts nothing, and so not what is copied.
pub(crate) async fn a_copy_of_what_cannot_be_decrypted_fails_later(stage: &impl RestoreStage) {
    let key = stage.key("", "alias/data");
    let source = encrypted(stage, &key).await;
    stage.key_becomes("", &key, "Disabled");
    let id = stage.snapshots().copy(AWAY, &copy_of(stage, &source)).await.unwrap();
    stage.seconds_pass(TAKES + 1);
    let failed = there(stage, &id).await;
    assert_eq!(failed.state, SnapshotState::Error);
    assert!(!failed.message.is_empty());
    stage.key_becomes("", &key, "Enabled");
    let id = stage.snapshots().copy(AWAY, &copy_of(stage, &source)).await.unwrap();
    stage.seconds_pass(TAKES + 1);
    assert_eq!(there(stage, &id).await.state, SnapshotState::Completed);
}

/// "PresignedUrl": required for an encrypted source; without a right one "the copy operation [fails] asynchronously, and the snapshot
/// will move to an `error` state". What is not encrypted needs none.
pub(crate) async fn a_copy_without_the_url_that_it_needs_fails_later(stage: &impl RestoreStage) {
    let key = stage.key("", "alias/data");
    let source = encrypted(stage, &key).await;
    for (told, expected) in [(false, SnapshotState::Error), (true, SnapshotState::Completed)] {
        let copy = NewCopy { source_is_encrypted: told, ..copy_of(stage, &source) };
        let id = stage.snapshots().copy(AWAY, &copy).await.unwrap();
        assert_eq!(there(stage, &id).await.state, SnapshotState::Pending);
        stage.seconds_pass(TAKES + 1);
        assert_eq!(there(stage, &id).await.state, expected, "{told}");
    }
}

/// "EBS Snapshot Notification", `copySnapshot`, in the Region of the copy.
pub(crate) async fn an_event_tells_the_end_of_a_copy_there(stage: &impl RestoreStage) {
    let sources = taken(stage).await;
    assert_eq!(stage.ended().len(), 1, "their own");
    for (source, succeeded) in [(&sources[0], true), (&sources[1], false)] {
        let id = stage.snapshots().copy(AWAY, &copy_of(stage, source)).await.unwrap();
        if !succeeded {
            stage.fails(AWAY, &id, "Client error");
            assert_eq!(there(stage, &id).await.message, "Client error");
        }
        stage.seconds_pass(TAKES + 1);
        let (region, snapshots) = (AWAY.to_owned(), vec![id]);
        assert_eq!(stage.ended(), [Ended { region, copy_of: Some(source.id.clone()), succeeded, snapshots }]);
    }
    assert_eq!(states(&named(stage, "", "a").await), [SnapshotState::Completed; 3], "its source stays");
}

/// "Key ID, [...] key ARN, [...] alias name".
pub(crate) async fn a_key_is_found_by_its_id_its_arn_and_its_alias(stage: &impl RestoreStage) {
    let arn = stage.key(AWAY, "alias/dr");
    for name in ["alias/dr", arn.as_str(), arn.rsplit('/').next().unwrap()] {
        let key = stage.keys().describe(AWAY, name).await.unwrap();
        assert_eq!(key, EncryptionKey { arn: arn.clone(), enabled: true, state: "Enabled".to_owned() }, "{name}");
        let elsewhere = stage.keys().describe("", name).await;
        assert_eq!(refused(elsewhere), code(Class::NotFound, "NotFoundException"), "{name} is of another Region");
    }
    let unknown = stage.keys().describe(AWAY, "alias/nobody").await;
    assert_eq!(refused(unknown), code(Class::NotFound, "NotFoundException"));
}

/// "KeyState".
pub(crate) async fn a_key_that_cannot_be_used_says_so(stage: &impl RestoreStage) {
    let arn = stage.key("", "alias/data");
    for (state, enabled) in [("Disabled", false), ("PendingDeletion", false), ("Enabled", true)] {
        stage.key_becomes("", &arn, state);
        let key = stage.keys().describe("", "alias/data").await.unwrap();
        assert_eq!(key, EncryptionKey { arn: arn.clone(), enabled, state: state.to_owned() });
    }
}
