//! Auto Scaling groups of the emulated AWS, their instances and what those wait for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::control::value;
use crate::{Control, Error};

/// A group, or what is to change of one: whatever is `None` stays as it was.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its zones, `us-east-1a`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<Vec<String>>,
    /// How many instances it wants (0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// All its hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Vec<GroupHook>>,
    /// The instance lifecycle policy: `retain` or `terminate`; none, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate_hook_abandon: Option<String>,
    /// When an instance that leaves is replaced: `at_once` (if not given), `when_gone` or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacements: Option<String>,
    /// What the next replacements are; after those, instances that nothing stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launches: Option<Vec<NewInstance>>,
    /// Its tags, which its instances get too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// More of what `PUT group` takes: `{"warm_pool": {...}}`.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// A lifecycle hook.
#[derive(Debug, Clone, Serialize)]
pub struct GroupHook {
    /// Its name.
    pub name: String,
    /// `launching` or `terminating`.
    pub transition: String,
    /// HeartbeatTimeout, seconds from 30 to 7200.
    pub heartbeat_timeout: u32,
    /// `CONTINUE` or `ABANDON`.
    pub default_result: String,
}

impl GroupHook {
    /// A hook of launches that lets an unready instance go on when nobody answers.
    pub fn launching(name: &str, heartbeat_timeout: u32) -> Self {
        Self::new(name, "launching", heartbeat_timeout, "CONTINUE")
    }

    /// A hook of terminations that abandons when nobody answers.
    pub fn terminating(name: &str, heartbeat_timeout: u32) -> Self {
        Self::new(name, "terminating", heartbeat_timeout, "ABANDON")
    }

    fn new(name: &str, transition: &str, heartbeat_timeout: u32, default_result: &str) -> Self {
        let (name, transition, default_result) = (name.to_owned(), transition.to_owned(), default_result.to_owned());
        Self { name, transition, heartbeat_timeout, default_result }
    }
}

/// An instance to launch.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewInstance {
    /// The group; not for those of [`Group::launches`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its id; one of the emulator's if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Its private address, in one of the world's subnets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its zone; the address decides if that is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is a Spot instance.
    pub spot: bool,
    /// Where its scripts run. Without it its agent never answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunsIn>,
    /// The lifecycle state it is in at once, `InService`; otherwise it is launched, through the group's hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// What the scripts of an instance run in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunsIn {
    /// The folder.
    pub dir: String,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

/// An instance.
#[derive(Debug, Clone, Deserialize)]
pub struct InstanceRow {
    /// Its group; `None` once it is gone from it.
    pub group: Option<String>,
    /// Its id.
    pub instance_id: String,
    /// EC2's state: `pending`, `running`, `shutting-down`, `terminated`.
    pub ec2_state: String,
    /// Its private address.
    pub address: String,
    /// Its zone.
    pub zone: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What is attached to it.
    pub volumes: Vec<VolumeRow>,
    /// The group's state: `Terminating:Wait`.
    pub state: Option<String>,
    /// Whether it is protected from scale-in.
    #[serde(default)]
    pub protected: bool,
}

/// An attached volume.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VolumeRow {
    /// `/dev/sdf`.
    pub device: String,
    /// The volume.
    pub volume_id: String,
    /// Of the attachment: `attaching`, `attached`, `detaching`, `busy`.
    pub status: String,
}

/// A lifecycle action, over or not.
#[derive(Debug, Clone, Deserialize)]
pub struct ActionRow {
    /// Its token.
    pub token: String,
    /// The hook's name.
    pub hook: String,
    /// `autoscaling:EC2_INSTANCE_TERMINATING`.
    pub transition: String,
    /// The instance that waits.
    pub instance_id: String,
    /// When its time-out passes, in seconds since the epoch by the emulator's clock.
    pub expires_at: f64,
    /// How many heartbeats it had.
    pub heartbeats: u32,
    /// `CONTINUE` or `ABANDON`, once it is over.
    pub result: Option<String>,
    /// What ended it: `CompleteLifecycleAction`, `timeout`, `another hook`, `terminated meanwhile`, `hook deleted`.
    pub by: Option<String>,
}

/// An event that EventBridge would deliver.
#[derive(Debug, Clone, Deserialize)]
pub struct EventRow {
    /// Its number, from 1.
    pub n: u64,
    /// The event, as a rule's target gets it.
    pub event: Value,
}

#[allow(clippy::missing_errors_doc, reason = "the type says it once for all")]
impl Control {
    /// Makes a group, or changes what is given of one. Gives its ARN.
    pub fn group(&self, group: &Group) -> Result<String, Error> {
        let made: Value = self.ask("PUT", "group", Some(&value(group)))?;
        Ok(made.get("arn").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Launches an instance into its group.
    pub fn launch(&self, instance: &NewInstance) -> Result<InstanceRow, Error> {
        self.ask("POST", "instances", Some(&value(instance)))
    }

    /// All instances that EC2 knows.
    pub fn instances(&self) -> Result<Vec<InstanceRow>, Error> {
        self.ask("GET", "instances", None)
    }

    /// The instance of that id.
    pub fn instance(&self, instance_id: &str) -> Result<Option<InstanceRow>, Error> {
        Ok(self.instances()?.into_iter().find(|row| row.instance_id == instance_id))
    }

    /// Changes an instance by hand: `{"agent": "lost"}`, and whatever else `POST instance` takes.
    pub fn change_instance(&self, instance_id: &str, change: &Value) -> Result<(), Error> {
        let mut body = change.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("instance_id".to_owned(), instance_id.into());
        }
        self.send("POST", "instance", Some(&body))
    }

    /// Has the instance's group begin to take it out, with a replacement if it wants one.
    pub fn terminate(&self, instance_id: &str) -> Result<(), Error> {
        self.send("POST", "termination", Some(&json!({"instance_id": instance_id})))
    }

    /// Has the instance's group begin to take it out, and want one less.
    pub fn scale_in(&self, instance_id: &str) -> Result<(), Error> {
        self.send("POST", "termination", Some(&json!({"instance_id": instance_id, "decrement": true})))
    }

    /// Ends the instance in EC2, without asking its group.
    pub fn kill(&self, instance_id: &str) -> Result<(), Error> {
        self.send("POST", "kill", Some(&json!({"instance_id": instance_id})))
    }

    /// An instance comes to wait in a hook by another way than a launch or a termination, as `POST transition` takes it: into a warm
    /// pool, or out of it.
    pub fn transition(&self, transition: &Value) -> Result<(), Error> {
        self.send("POST", "transition", Some(transition))
    }

    /// All lifecycle actions that ever were, the oldest first.
    pub fn actions(&self) -> Result<Vec<ActionRow>, Error> {
        self.ask("GET", "actions", None)
    }

    /// The events after the one with number `n`. Delivering them is the test's part.
    pub fn events_since(&self, n: u64) -> Result<Vec<EventRow>, Error> {
        self.ask("GET", &format!("events?since={n}"), None)
    }

    /// A volume that stays `busy` when it is detached, or does not any more.
    pub fn stuck_volume(&self, volume_id: &str, stuck: bool) -> Result<(), Error> {
        self.send("POST", "volume", Some(&json!({"volume_id": volume_id, "stuck": stuck})))
    }

    /// How many seconds things take: `{"transition": 0, "pending": 0, "accept_after": 5}`.
    pub fn pace(&self, seconds: &Value) -> Result<(), Error> {
        self.send("POST", "pace", Some(seconds))
    }
}
