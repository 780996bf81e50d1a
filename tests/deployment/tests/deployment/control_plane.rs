//! What the control plane's stack leaves in the account, read back through each service's API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::{Account, CONTROL_PLANE, TEMPLATE, list, parsed, text};
use crate::template::translated;

/// What the emulator takes in a template and cannot show through an API. Of these the resolved properties are read.
const NOT_READ_BACK: [&str; 2] = ["AWS::Lambda::Function LoggingConfig", "AWS::IAM::Role ManagedPolicyArns"];

#[test]
fn the_table_is_kept_and_can_be_restored() {
    let account = Account::with_control_plane();
    let name = account.id(CONTROL_PLANE, "Table");
    let table = account.aws("dynamodb", "DescribeTable", &json!({"TableName": name}))["Table"].clone();
    let keys = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    assert_eq!(table["KeySchema"], keys);
    let texts = list(&table["AttributeDefinitions"]).iter().all(|a| a["AttributeType"] == "S");
    assert!(texts, "{table:#}");
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["DeletionProtectionEnabled"], true);
    let expiry = account.aws("dynamodb", "DescribeTimeToLive", &json!({"TableName": name}));
    assert_eq!(expiry["TimeToLiveDescription"], json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}));
    let backups = account.aws("dynamodb", "DescribeContinuousBackups", &json!({"TableName": name}));
    let recovery = &backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(recovery["PointInTimeRecoveryStatus"], "ENABLED");
    let template = translated(TEMPLATE);
    assert_eq!(template["Resources"]["Table"]["DeletionPolicy"], "Retain", "the stack's end is not the table's");
    assert_eq!(template["Resources"]["Table"]["UpdateReplacePolicy"], "Retain");
}

#[test]
fn the_topic_is_encrypted_with_a_key_that_alarms_can_use() {
    let account = Account::with_control_plane();
    let topic = account.id(CONTROL_PLANE, "Topic");
    let attributes = account.aws("sns", "GetTopicAttributes", &json!({"TopicArn": topic}))["Attributes"].clone();
    let key_arn = text(&attributes["KmsMasterKeyId"]);
    let key = account.aws("kms", "DescribeKey", &json!({"KeyId": key_arn}))["KeyMetadata"].clone();
    assert_eq!(key["KeyState"], "Enabled");
    assert_eq!(account.aws("kms", "GetKeyRotationStatus", &json!({"KeyId": key_arn}))["KeyRotationEnabled"], true);
    let wanted = json!({"Service": "cloudwatch.amazonaws.com"});
    let of_alarms = |document: &Value, actions: Value| {
        let statements = list(&document["Statement"]);
        let found = statements.iter().find(|s| s["Principal"] == wanted).unwrap();
        assert_eq!(found["Effect"], "Allow");
        assert_eq!(found["Action"], actions);
        assert_eq!(found["Condition"], json!({"StringEquals": {"aws:SourceAccount": account.world.account}}));
    };
    let key_policy = account.aws("kms", "GetKeyPolicy", &json!({"KeyId": key_arn, "PolicyName": "default"}));
    of_alarms(&parsed(&key_policy["Policy"]), json!(["kms:Decrypt", "kms:GenerateDataKey"]));
    of_alarms(&parsed(&attributes["Policy"]), json!("sns:Publish"));
}

#[test]
fn dead_letters_are_encrypted_and_only_our_rules_may_send_without_a_role() {
    let account = Account::with_control_plane();
    let rules = account.aws("events", "ListRules", &json!({}));
    let mut rules: BTreeSet<String> = list(&rules["Rules"]).iter().map(|r| text(&r["Arn"])).collect();
    assert_eq!(rules.len(), 4);
    for (queue, seconds) in [
        ("WatcherDeadLetters", "86400"),
        ("LifecycleDeadLetters", "86400"),
        ("SnapshotDeadLetters", "86400"),
        ("RegistryDeadLetters", "1209600"),
    ] {
        let request = json!({"QueueUrl": account.id(CONTROL_PLANE, queue), "AttributeNames": ["All"]});
        let attributes = account.aws("sqs", "GetQueueAttributes", &request)["Attributes"].clone();
        assert_eq!(attributes["SqsManagedSseEnabled"], "true", "{queue}");
        assert_eq!(attributes["MessageRetentionPeriod"], seconds, "{queue}");
        if queue == "RegistryDeadLetters" {
            assert_eq!(attributes.get("Policy"), None);
            continue;
        }
        let statements = list(&parsed(&attributes["Policy"])["Statement"]);
        let [statement] = statements.as_slice() else { panic!("{statements:#?}") };
        assert_eq!(statement["Principal"], json!({"Service": "events.amazonaws.com"}));
        assert_eq!(statement["Action"], "sqs:SendMessage");
        assert_eq!(statement["Resource"], attributes["QueueArn"]);
        let sources = &statement["Condition"]["ArnEquals"]["aws:SourceArn"];
        let sources = if sources.is_string() { vec![sources.clone()] } else { list(sources) };
        assert!(!sources.is_empty());
        for source in sources {
            assert!(rules.remove(&text(&source)), "{source} sends to one queue, and is a rule of the stack");
        }
    }
    assert!(rules.is_empty(), "each rule may send somewhere: {rules:?}");
}

#[test]
fn each_function_has_what_it_runs_with() {
    let account = Account::with_control_plane();
    let table = account.id(CONTROL_PLANE, "Table");
    let topic = account.id(CONTROL_PLANE, "Topic");
    let resolvers = account.stack.dns.address().to_string();
    let of_the_watcher = json!({"PILOTHOUSE_TABLE": table, "PILOTHOUSE_TOPIC_ARN": topic, "PILOTHOUSE_RESOLVERS": resolvers,
        "PILOTHOUSE_PULSE_SECONDS": "10", "PILOTHOUSE_PULSE_BUDGET_SECONDS": "55"});
    let of_nodes = json!({"PILOTHOUSE_TABLE": table, "PILOTHOUSE_TOPIC_ARN": topic,
        "PILOTHOUSE_PULSE_SECONDS": "10", "PILOTHOUSE_PULSE_BUDGET_SECONDS": "55"});
    for (name, resource, timeout, variables) in [
        ("cluster-registry", "ClusterRegistry", 120, json!({"PILOTHOUSE_TABLE": table})),
        ("peering-watcher", "PeeringWatcher", 80, of_the_watcher),
        ("asg-lifecycle", "AsgLifecycle", 120, of_nodes.clone()),
        ("snapshot-scheduler", "SnapshotScheduler", 150, of_nodes),
    ] {
        let function = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": name}));
        assert_eq!(account.id(CONTROL_PLANE, resource), name);
        assert_eq!(function["Runtime"], "provided.al2023");
        assert_eq!(function["MemorySize"], 512);
        assert_eq!(function["Timeout"], timeout);
        assert_eq!(function["Architectures"], json!(["x86_64"]));
        assert_eq!(function["Environment"]["Variables"], variables, "{name}");
        let role = account.id(CONTROL_PLANE, &format!("{resource}Role"));
        assert_eq!(text(&function["Role"]), format!("arn:aws:iam::{}:role/{role}", account.world.account));
        let logs = format!("/aws/lambda/{name}");
        let groups = account.aws("logs", "DescribeLogGroups", &json!({"logGroupNamePrefix": logs}));
        assert_eq!(groups["logGroups"][0]["logGroupName"], logs);
        assert_eq!(groups["logGroups"][0]["retentionInDays"], 30);
        assert!(NOT_READ_BACK.contains(&"AWS::Lambda::Function LoggingConfig"));
        let properties = account.properties(CONTROL_PLANE, resource);
        assert_eq!(properties["LoggingConfig"], json!({"LogFormat": "JSON", "LogGroup": logs}));
        assert_eq!(properties.get("VpcConfig"), None);
    }
}

#[test]
fn what_asks_hosts_itself_runs_in_a_vpc_where_subnets_are_given() {
    let account = Account::empty();
    let subnets = list(&account.aws("ec2", "DescribeSubnets", &json!({}))["Subnets"]);
    let subnet = text(&subnets[0]["SubnetId"]);
    let parameters = [("SubnetIds", subnet.as_str()), ("SecurityGroupIds", "sg-1"), ("LogRetentionDays", "90")];
    account.create(CONTROL_PLANE, &translated(TEMPLATE), &parameters);
    for function in ["PeeringWatcher", "AsgLifecycle", "SnapshotScheduler"] {
        let properties = account.properties(CONTROL_PLANE, function);
        assert_eq!(properties["VpcConfig"], json!({"SubnetIds": [subnet], "SecurityGroupIds": ["sg-1"]}));
        assert_eq!(properties["Environment"]["Variables"].get("PILOTHOUSE_RESOLVERS"), None);
        assert!(NOT_READ_BACK.contains(&"AWS::IAM::Role ManagedPolicyArns"));
        let role = account.properties(CONTROL_PLANE, &format!("{function}Role"));
        let managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaENIManagementAccess";
        assert_eq!(role["ManagedPolicyArns"], json!([managed]));
    }
    let groups = account.aws("logs", "DescribeLogGroups", &json!({}));
    assert!(list(&groups["logGroups"]).iter().all(|g| g["retentionInDays"] == 90), "{groups:#}");
    assert_eq!(account.properties(CONTROL_PLANE, "ClusterRegistry").get("VpcConfig"), None);
}

#[test]
fn what_clusters_stacks_need_is_exported() {
    let account = Account::with_control_plane();
    let exports = account.aws("cloudformation", "ListExports", &json!({}));
    let exported: Vec<(String, String)> =
        list(&exports["Exports"]).iter().map(|e| (text(&e["Name"]), text(&e["Value"]))).collect();
    let function = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": "cluster-registry"}));
    let watcher = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": "peering-watcher"}));
    let lifecycle = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": "asg-lifecycle"}));
    let snapshots = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": "snapshot-scheduler"}));
    for (name, value) in [
        ("pilothouse-SnapshotsRoleArn", text(&snapshots["Role"])),
        ("pilothouse-LifecycleRoleArn", text(&lifecycle["Role"])),
        ("pilothouse-RegistryArn", text(&function["FunctionArn"])),
        ("pilothouse-WatcherRoleArn", text(&watcher["Role"])),
        ("pilothouse-TopicArn", account.id(CONTROL_PLANE, "Topic")),
    ] {
        assert!(exported.contains(&(name.to_owned(), value.clone())), "{name} {value} of {exported:?}");
    }
    let outputs = account.outputs(CONTROL_PLANE);
    assert_eq!(outputs["TableName"], account.id(CONTROL_PLANE, "Table"));
    assert_eq!(outputs["WatcherDeadLettersUrl"], account.id(CONTROL_PLANE, "WatcherDeadLetters"));
    assert_eq!(outputs["LifecycleDeadLettersUrl"], account.id(CONTROL_PLANE, "LifecycleDeadLetters"));
    assert_eq!(outputs["SnapshotDeadLettersUrl"], account.id(CONTROL_PLANE, "SnapshotDeadLetters"));
    assert_eq!(outputs["RegistryDeadLettersUrl"], account.id(CONTROL_PLANE, "RegistryDeadLetters"));
    assert!(outputs["DashboardUrl"].ends_with(&account.id(CONTROL_PLANE, "Dashboard")), "{outputs:?}");
}

#[test]
fn each_role_is_its_service_s_alone_and_names_its_resources() {
    let account = Account::with_control_plane();
    let reads = ["autoscaling:Describe", "ec2:Describe", "elasticloadbalancing:Describe", "ssm:GetCommandInvocation"];
    let changes = ["autoscaling:", "ec2:", "elasticloadbalancing:", "secretsmanager:", "ssm:"];
    for (role, service) in [
        ("ClusterRegistryRole", "lambda.amazonaws.com"),
        ("PeeringWatcherRole", "lambda.amazonaws.com"),
        ("PeeringWatcherEveryMinuteRole", "scheduler.amazonaws.com"),
        ("AsgLifecycleRole", "lambda.amazonaws.com"),
        ("AsgLifecycleEveryMinuteRole", "scheduler.amazonaws.com"),
        ("SnapshotSchedulerRole", "lambda.amazonaws.com"),
        ("SnapshotSchedulerEveryMinuteRole", "scheduler.amazonaws.com"),
    ] {
        let name = account.id(CONTROL_PLANE, role);
        let trust =
            account.aws("iam", "GetRole", &json!({"RoleName": name}))["Role"]["AssumeRolePolicyDocument"].clone();
        let [trusted]: [Value; 1] =
            list(&parsed(&trust)["Statement"]).try_into().unwrap_or_else(|all| panic!("{all:?}"));
        let service = json!(service);
        assert!(
            trusted["Principal"]["Service"] == service || trusted["Principal"]["Service"] == json!([service]),
            "{trusted}"
        );
        let policies = account.aws("iam", "ListRolePolicies", &json!({"RoleName": name}));
        assert!(!list(&policies["PolicyNames"]).is_empty());
        for policy in list(&policies["PolicyNames"]) {
            let request = json!({"RoleName": name, "PolicyName": policy});
            let document = parsed(&account.aws("iam", "GetRolePolicy", &request)["PolicyDocument"]);
            for statement in list(&document["Statement"]) {
                assert_eq!(statement["Effect"], "Allow");
                let actions = if statement["Action"].is_string() {
                    json!([statement["Action"]])
                } else {
                    statement["Action"].clone()
                };
                for action in list(&actions) {
                    let read = reads.iter().any(|prefix| text(&action).starts_with(prefix))
                        && action != "ec2:DescribeSnapshotAttribute";
                    assert_eq!(statement["Resource"] == "*", read, "{action} on {}", statement["Resource"]);
                    // Whatever changes something of a customer's is tagged for one; a document is AWS's own.
                    let ours = changes.iter().any(|service| text(&action).starts_with(service));
                    if ours && !read && statement["Sid"] != "StopDocument" && statement["Sid"] != "ScriptDocument" {
                        let conditions = &statement["Condition"];
                        let tag = match (text(&action).as_str(), text(&statement["Sid"]).as_str()) {
                            ("ssm:SendCommand", _) => "ssm:resourceTag/pilothouse:cluster",
                            // What is made has no tags yet: the request must bring them.
                            ("ec2:CreateVolume", "NewVolumes") => "aws:RequestTag/pilothouse:node",
                            ("ec2:CreateTags", "NewVolumeTags") => {
                                assert_eq!(conditions["StringEquals"]["ec2:CreateAction"], "CreateVolume");
                                continue;
                            }
                            ("ec2:CreateTags", "NewSnapshotTags") => {
                                let made_by = &conditions["StringEquals"]["ec2:CreateAction"];
                                assert_eq!(*made_by, json!(["CopySnapshot", "CreateSnapshots"]));
                                continue;
                            }
                            (_, "NewSnapshots" | "NewCopies") => "aws:RequestTag/pilothouse:cluster",
                            (_, "NodeVolumes") => "aws:ResourceTag/pilothouse:node",
                            _ => "aws:ResourceTag/pilothouse:cluster",
                        };
                        assert_eq!(conditions["Null"][tag], "false", "{action} in {}", statement["Sid"]);
                        // Of snapshots with that tag, those alone that this table knows (invariant S5).
                        if role == "SnapshotSchedulerRole" && statement["Resource"].to_string().contains(":snapshot/") {
                            let (given, _) = tag.split_once("/").unwrap();
                            let deployment = &conditions["StringEquals"][format!("{given}/pilothouse:deployment")];
                            assert_eq!(*deployment, json!(account.id(CONTROL_PLANE, "Table")), "{statement:#}");
                        }
                    }
                }
            }
        }
    }
}
