//! What AWS's own services do in a role's name. The functions never call it, so no log of calls can show that it is needed.

use crate::shown::Shown;
use crate::template::{Managed, Role};

/// A statement that is for a service, whole.
#[derive(Debug, Clone, Copy)]
pub struct OnBehalf {
    /// The role's logical id.
    pub role: &'static str,
    /// All actions of the statement.
    pub actions: &'static [&'static str],
    /// Its one resource, as [`Shown`] says it.
    pub resource: &'static str,
    /// Its condition, as [`Shown`] says it; empty for none.
    pub condition: &'static str,
    /// Who needs it for what.
    pub reason: &'static str,
}

/// A policy of AWS's own that is for a service.
#[derive(Debug, Clone, Copy)]
pub struct ManagedOnBehalf {
    /// The role's logical id.
    pub role: &'static str,
    /// The policy's name.
    pub policy: &'static str,
    /// The template's condition under which the role has it; empty for always.
    pub condition: &'static str,
    /// Who needs it for what.
    pub reason: &'static str,
}

const LOG: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];
const LAMBDA_LOGS: &str = "Lambda writes the function's log. The group is the stack's.";
const LAMBDA_SENDS: &str = "Lambda sends what it gave up on in the function's name.";
const KEY: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];
const VIA_SNS: &str = "`kms:ViaService` is `sns.${AWS::Region}.amazonaws.com`";
const SNS_ENCRYPTS: &str = "SNS uses the topic's key in the publisher's name.";

/// The account's keys, in every Region.
const EVERY_KEY: &str = "arn:${AWS::Partition}:kms:*:${AWS::AccountId}:key/*";
const VOLUME_KEYS: [&str; 5] =
    ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"];

/// All statements for services.
pub const STATEMENTS: [OnBehalf; 23] = [
    OnBehalf {
        role: "ClusterRegistryRole",
        actions: &LOG,
        resource: "ClusterRegistryLogs",
        condition: "",
        reason: LAMBDA_LOGS,
    },
    OnBehalf {
        role: "PeeringWatcherRole",
        actions: &LOG,
        resource: "PeeringWatcherLogs",
        condition: "",
        reason: LAMBDA_LOGS,
    },
    OnBehalf {
        role: "AsgLifecycleRole",
        actions: &LOG,
        resource: "AsgLifecycleLogs",
        condition: "",
        reason: LAMBDA_LOGS,
    },
    OnBehalf {
        role: "SnapshotSchedulerRole",
        actions: &LOG,
        resource: "SnapshotSchedulerLogs",
        condition: "",
        reason: LAMBDA_LOGS,
    },
    OnBehalf { role: "GatewayRole", actions: &LOG, resource: "GatewayLogs", condition: "", reason: LAMBDA_LOGS },
    OnBehalf {
        role: "ClusterRegistryRole",
        actions: &["sqs:SendMessage"],
        resource: "RegistryDeadLetters",
        condition: "",
        reason: LAMBDA_SENDS,
    },
    OnBehalf {
        role: "PeeringWatcherRole",
        actions: &["sqs:SendMessage"],
        resource: "WatcherDeadLetters",
        condition: "",
        reason: LAMBDA_SENDS,
    },
    OnBehalf {
        role: "AsgLifecycleRole",
        actions: &["sqs:SendMessage"],
        resource: "LifecycleDeadLetters",
        condition: "",
        reason: LAMBDA_SENDS,
    },
    OnBehalf {
        role: "SnapshotSchedulerRole",
        actions: &["sqs:SendMessage"],
        resource: "SnapshotDeadLetters",
        condition: "",
        reason: LAMBDA_SENDS,
    },
    OnBehalf {
        role: "PeeringWatcherRole",
        actions: &KEY,
        resource: "TopicKey",
        condition: VIA_SNS,
        reason: SNS_ENCRYPTS,
    },
    OnBehalf {
        role: "AsgLifecycleRole",
        actions: &KEY,
        resource: "TopicKey",
        condition: VIA_SNS,
        reason: SNS_ENCRYPTS,
    },
    OnBehalf {
        role: "SnapshotSchedulerRole",
        actions: &KEY,
        resource: "TopicKey",
        condition: VIA_SNS,
        reason: SNS_ENCRYPTS,
    },
    // "Requirements for Amazon EBS encryption", permissions for users.
    OnBehalf {
        role: "AsgLifecycleRole",
        actions: &VOLUME_KEYS,
        resource: "key/*",
        condition: "`kms:ViaService` is `ec2.${AWS::Region}.amazonaws.com`",
        reason: "EC2 uses the keys of encrypted volumes in the caller's name.",
    },
    OnBehalf {
        role: "AsgLifecycleRole",
        actions: &["kms:CreateGrant"],
        resource: "key/*",
        condition: "`kms:GrantIsForAWSResource` is `true` and `kms:ViaService` is `ec2.${AWS::Region}.amazonaws.com`",
        reason: "EC2 is granted the keys of encrypted volumes in the caller's name.",
    },
    // The same, in the Regions that are copied into too: of which a copy is decided there.
    OnBehalf {
        role: "SnapshotSchedulerRole",
        actions: &VOLUME_KEYS,
        resource: EVERY_KEY,
        condition: "`StringLike` `kms:ViaService` `ec2.*.amazonaws.com`",
        reason: "EC2 uses the keys of encrypted snapshots in the caller's name.",
    },
    OnBehalf {
        role: "SnapshotSchedulerRole",
        actions: &["kms:CreateGrant"],
        resource: EVERY_KEY,
        condition: "`kms:GrantIsForAWSResource` is `true` and `StringLike` `kms:ViaService` `ec2.*.amazonaws.com`",
        reason: "EC2 is granted the keys of encrypted copies in the caller's name.",
    },
    OnBehalf {
        role: "PeeringWatcherEveryMinuteRole",
        actions: &["lambda:InvokeFunction"],
        resource: "PeeringWatcher",
        condition: "",
        reason: "EventBridge's scheduler wakes the watcher.",
    },
    OnBehalf {
        role: "PeeringWatcherEveryMinuteRole",
        actions: &["sqs:SendMessage"],
        resource: "WatcherDeadLetters",
        condition: "",
        reason: "EventBridge's scheduler sends a wake-up that did not arrive.",
    },
    OnBehalf {
        role: "AsgLifecycleEveryMinuteRole",
        actions: &["lambda:InvokeFunction"],
        resource: "AsgLifecycle",
        condition: "",
        reason: "EventBridge's scheduler wakes the lifecycle function.",
    },
    OnBehalf {
        role: "AsgLifecycleEveryMinuteRole",
        actions: &["sqs:SendMessage"],
        resource: "LifecycleDeadLetters",
        condition: "",
        reason: "EventBridge's scheduler sends a wake-up that did not arrive.",
    },
    OnBehalf {
        role: "SnapshotSchedulerEveryMinuteRole",
        actions: &["lambda:InvokeFunction"],
        resource: "SnapshotScheduler",
        condition: "",
        reason: "EventBridge's scheduler wakes the snapshot scheduler.",
    },
    OnBehalf {
        role: "SnapshotSchedulerEveryMinuteRole",
        actions: &["sqs:SendMessage"],
        resource: "SnapshotDeadLetters",
        condition: "",
        reason: "EventBridge's scheduler sends a wake-up that did not arrive.",
    },
    OnBehalf {
        role: "CopiesDoneRole",
        actions: &["events:PutEvents"],
        resource: "arn:${AWS::Partition}:events:${HomeRegion}:${AWS::AccountId}:event-bus/default",
        condition: "",
        reason: "EventBridge sends what happens to copies to the control plane's Region.",
    },
];

/// All of AWS's own policies that roles have.
pub const MANAGED: [ManagedOnBehalf; 4] = [
    ManagedOnBehalf {
        role: "PeeringWatcherRole",
        policy: "AWSLambdaENIManagementAccess",
        condition: "InVpc",
        reason: "Lambda makes the function's network interfaces in the function's name, where it runs in a VPC.",
    },
    ManagedOnBehalf {
        role: "AsgLifecycleRole",
        policy: "AWSLambdaENIManagementAccess",
        condition: "InVpc",
        reason: "Lambda makes the function's network interfaces in the function's name, where it runs in a VPC.",
    },
    ManagedOnBehalf {
        role: "SnapshotSchedulerRole",
        policy: "AWSLambdaENIManagementAccess",
        condition: "InVpc",
        reason: "Lambda makes the function's network interfaces in the function's name, where it runs in a VPC.",
    },
    ManagedOnBehalf {
        role: "GatewayRole",
        policy: "AWSLambdaENIManagementAccess",
        condition: "",
        reason: "Lambda makes the function's network interfaces in the function's name.",
    },
];

/// The entry that this statement is, exactly.
#[must_use]
pub fn entry(role: &str, statement: &Shown) -> Option<&'static OnBehalf> {
    STATEMENTS.iter().find(|entry| {
        entry.role == role
            && statement.effect == "Allow"
            && statement.actions == entry.actions
            && statement.resources == [entry.resource]
            && statement.conditions.join(" and ") == entry.condition
    })
}

/// The entry that this policy of a role is.
#[must_use]
pub fn managed(role: &str, policy: &Managed) -> Option<&'static ManagedOnBehalf> {
    MANAGED.iter().find(|entry| {
        entry.role == role
            && entry.policy == policy.name
            && entry.condition == policy.condition.as_deref().unwrap_or_default()
    })
}

/// Entries that no role has, and statements and policies for services that are no entry, a line for each.
#[must_use]
pub fn differences(roles: &[Role]) -> Vec<String> {
    let shown = |role: &Role| role.statements.iter().map(Shown::of).collect::<Vec<_>>();
    let mut found = Vec::new();
    for one in &STATEMENTS {
        let role = roles.iter().filter(|role| role.id == one.role);
        let times = role
            .flat_map(shown)
            .filter(|statement| entry(one.role, statement).is_some_and(|e| std::ptr::eq(e, one)))
            .count();
        if times != 1 {
            found.push(format!(
                "{}: {} on {}: {times} times in the template, not once",
                one.role,
                one.actions.join(", "),
                one.resource
            ));
        }
    }
    for one in &MANAGED {
        let role = roles.iter().filter(|role| role.id == one.role);
        if role
            .flat_map(|role| &role.managed)
            .filter(|policy| managed(one.role, policy).is_some_and(|e| std::ptr::eq(e, one)))
            .count()
            != 1
        {
            found.push(format!("{} does not have {} as the list says", one.role, one.policy));
        }
    }
    for role in roles {
        for policy in role.managed.iter().filter(|policy| managed(&role.id, policy).is_none()) {
            found.push(format!("{} has {}, of which the list does not know", role.id, policy.name));
        }
        // What a function's role has beside the list must have been called. Nobody looks at the calls of a service.
        for statement in shown(role).iter().filter(|one| role.program.is_none() && entry(&role.id, one).is_none()) {
            found.push(format!("{} allows {}, of which the list does not know", role.id, statement.actions.join(", ")));
        }
    }
    found
}
