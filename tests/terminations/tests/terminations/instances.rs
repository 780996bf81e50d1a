//! The stage itself: tags that are set in AWS start a node, and commands by SSM run on it.

use std::thread;
use std::time::{Duration, Instant};

use lab::Flavour;
use serde_json::json;

use crate::stage::Stage;

const LIMIT: Duration = Duration::from_secs(60);

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn l9_a_launched_instance_waits_for_the_tag_that_is_set_in_aws_and_a_command_by_ssm_stops_it() {
    let mut stage = Stage::set(Flavour::Debian, 66);
    let leaver = stage.cluster.streaming(2).unwrap()[0].instance_id().to_owned();
    let spare = stage.spare();
    stage.stack.terminate(&leaver).unwrap();
    wait("the launch", || {
        stage.follow();
        let row = stage.row(&spare);
        row.state.as_deref() == Some("Pending:Wait") && row.ec2_state == "running"
    });
    stage.follow();
    let node = &stage.cluster.nodes()[3];
    wait("it to ask", || node.log("pilothouse-start").contains("waiting for the tag pilothouse:start: there is none"));
    assert!(!node.processes().contains(&"etcd".to_owned()), "{:?}", node.processes());

    let tags = json!({"Resources": [spare], "Tags": [{"Key": "pilothouse:start", "Value": "join"}]});
    stage.stack.aws("ec2", "CreateTags", &tags).unwrap();
    // No member was added for it, so it is one beyond the voters.
    stage.cluster.streaming(3).unwrap();

    let script = "systemctl stop patroni\nsystemctl is-active patroni\npgrep -x postgres >/dev/null || echo stopped\n";
    let command =
        json!({"InstanceIds": [spare], "DocumentName": "AWS-RunShellScript", "Parameters": {"commands": [script]}});
    let sent = stage.stack.aws("ssm", "SendCommand", &command).unwrap();
    let asked = json!({"CommandId": sent["Command"]["CommandId"], "InstanceId": spare});
    let mut said = json!(null);
    wait("the command", || {
        said = stage.stack.aws("ssm", "GetCommandInvocation", &asked).unwrap_or_default();
        said["Status"] == "Success"
    });
    assert_eq!(said["StandardOutputContent"], "inactive\nstopped\n", "{said}");
    assert!(node.sql("SELECT 1").is_err());
}
