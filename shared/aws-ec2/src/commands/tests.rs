use super::*;
use aws::wire::Wire;
use ports::{CallLog, Class, Commands as _};
use serde_json::json;

async fn commands(wire: &Wire) -> Commands {
    Commands::new(&wire.configuration(&CallLog::default()).await)
}

#[tokio::test]
async fn a_script_is_sent_line_by_line_to_one_instance() {
    let wire = Wire::default();
    wire.answer(200, r#"{"Command": {"CommandId": "c-1"}}"#);
    let sent = commands(&wire).await.send("i-1", "set -e\nexit 0\n", "why", Duration::from_secs(5)).await;
    assert_eq!(sent.as_deref(), Ok("c-1"));
    let body = wire.sent()[0].json();
    assert_eq!(
        body,
        json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-1"], "Comment": "why", "TimeoutSeconds": 30,
            "Parameters": {"commands": ["set -e", "exit 0"]}})
    );
}

#[tokio::test]
async fn how_a_command_fares() {
    let ended = |code, output: &str| CommandState::Ended { code, output: output.to_owned() };
    let lost = |word: &str| CommandState::Lost(word.to_owned());
    for (status, details, expected) in [
        ("Pending", "Pending", CommandState::Sent),
        ("Delayed", "Delayed", CommandState::Sent),
        ("InProgress", "InProgress", CommandState::Running),
        ("Success", "Success", ended(0, "said")),
        ("Failed", "Failed", ended(3, "said")),
        ("Failed", "Undeliverable", lost("Undeliverable")),
        ("Failed", "Terminated", lost("Terminated")),
        ("TimedOut", "DeliveryTimedOut", lost("DeliveryTimedOut")),
        ("TimedOut", "ExecutionTimedOut", lost("ExecutionTimedOut")),
        ("Cancelled", "", lost("Cancelled")),
    ] {
        let code = if status == "Failed" { 3 } else { 0 };
        let wire = Wire::default();
        let said =
            json!({"Status": status, "StatusDetails": details, "ResponseCode": code, "StandardOutputContent": "said"});
        wire.answer(200, said.to_string());
        assert_eq!(commands(&wire).await.state("i-1", "c-1").await, Ok(expected), "{status}/{details}");
    }
}

#[tokio::test]
async fn an_instance_without_an_agent_and_a_command_too_young_are_not_found() {
    for code in ["InvalidInstanceId", "InvocationDoesNotExist"] {
        let wire = Wire::default();
        wire.answer(400, json!({"__type": code, "message": "no"}).to_string());
        wire.answer(400, json!({"__type": code, "message": "no"}).to_string());
        let commands = commands(&wire).await;
        let sent = commands.send("i-1", "true", "why", Duration::from_secs(60)).await.unwrap_err();
        let state = commands.state("i-1", "c-1").await.unwrap_err();
        assert_eq!((sent.class, state.class), (Class::NotFound, Class::NotFound), "{code}");
    }
}
