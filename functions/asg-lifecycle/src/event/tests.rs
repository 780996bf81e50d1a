use super::*;
use serde_json::json;

fn detail() -> Value {
    json!({"LifecycleActionToken": "be2184df", "AutoScalingGroupName": "acme-pg", "LifecycleHookName": "acme-terminate",
        "EC2InstanceId": "i-1", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "Origin": "AutoScalingGroup", "Destination": "EC2", "NotificationMetadata": "x"})
}

fn expected() -> Hint {
    Hint {
        group: "acme-pg".to_owned(),
        hook: "acme-terminate".to_owned(),
        instance: "i-1".to_owned(),
        token: "be2184df".to_owned(),
        transition: Transition::Terminate,
        origin: Some("AutoScalingGroup".to_owned()),
        destination: Some("EC2".to_owned()),
    }
}

#[test]
fn every_way_in_which_an_action_is_told_gives_the_same() {
    let event = json!({"source": "aws.autoscaling", "detail-type": "EC2 Instance-terminate Lifecycle Action", "detail": detail()});
    let bare = detail().to_string();
    let through_sns = json!({"Records": [{"Sns": {"Message": bare}}]});
    let through_sqs = json!({"Records": [{"body": bare}]});
    let event_in_sqs = json!({"Records": [{"body": event.to_string()}]});
    let sns_in_sqs = json!({"Records": [{"body": json!({"Type": "Notification", "Message": bare}).to_string()}]});
    for payload in [event, detail(), through_sns, through_sqs, event_in_sqs, sns_in_sqs] {
        assert_eq!(read(&payload), Read::Hints(vec![expected()]), "{payload}");
    }
}

#[test]
fn a_batch_may_hold_several_and_nonsense_beside_them() {
    let records = [detail().to_string(), "{".to_owned(), json!({"Event": "x"}).to_string(), detail().to_string()];
    let payload = json!({"Records": records.map(|body| json!({"body": body}))});
    assert_eq!(read(&payload), Read::Hints(vec![expected(), expected()]));
}

#[test]
fn a_test_notification_and_foreign_things_say_nothing() {
    let test = json!({"Event": "autoscaling:TEST_NOTIFICATION", "AutoScalingGroupName": "acme-pg"});
    assert_eq!(read(&test), Read::Test);
    assert_eq!(read(&json!({"Records": [{"body": test.to_string()}]})), Read::Test);
    let mut unknown = detail();
    unknown["LifecycleTransition"] = json!("autoscaling:EC2_INSTANCE_LEVITATING");
    let mut short = detail();
    short.as_object_mut().unwrap().remove("EC2InstanceId");
    let foreign = json!({"source": "acme.events", "detail-type": "x", "detail": detail()});
    let nested = json!({"Message": json!({"Message": json!({"Message": "{}"}).to_string()}).to_string()});
    for other in
        [json!(null), json!({}), json!({"Records": []}), json!({"Records": [7]}), unknown, short, foreign, nested]
    {
        assert_eq!(read(&other), Read::Other, "{other}");
    }
}

#[test]
fn lifecycle_case_35_a_warm_pool_is_told_from_a_death() {
    for (origin, destination, warm) in [
        (None, None, false),
        (Some("EC2"), Some("AutoScalingGroup"), false),
        (Some("EC2"), Some("WarmPool"), true),
        (Some("WarmPool"), Some("AutoScalingGroup"), true),
        (Some("AutoScalingGroup"), Some("WarmPool"), true),
    ] {
        let hint =
            Hint { origin: origin.map(str::to_owned), destination: destination.map(str::to_owned), ..expected() };
        assert_eq!(hint.of_a_warm_pool(), warm, "{origin:?} {destination:?}");
    }
}
