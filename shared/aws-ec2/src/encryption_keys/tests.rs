use super::*;
use aws::wire::Wire;
use ports::{CallLog, Class, EncryptionKeys as _};

async fn keys(wire: &Wire) -> EncryptionKeys {
    EncryptionKeys::new(&wire.configuration(&CallLog::default()).await)
}

const ARN: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";

fn key(state: &str, usage: &str, spec: &str) -> String {
    format!(
        r#"{{"KeyMetadata": {{"KeyId": "1", "Arn": "{ARN}", "KeyState": "{state}", "KeyUsage": "{usage}", "KeySpec": "{spec}"}}}}"#
    )
}

#[tokio::test]
async fn a_key_is_read_in_its_region_by_whatever_names_it() {
    let wire = Wire::default();
    let keys = keys(&wire).await;
    let all = [
        ("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", true),
        ("Disabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", false),
        ("PendingDeletion", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", false),
        ("Enabled", "SIGN_VERIFY", "RSA_2048", false),
        ("Enabled", "ENCRYPT_DECRYPT", "RSA_2048", false),
    ];
    for (state, usage, spec, enabled) in all {
        wire.answer(200, key(state, usage, spec));
        let read = keys.describe("eu-west-1", "alias/db").await;
        assert_eq!(read, Ok(EncryptionKey { arn: ARN.to_owned(), enabled, state: state.to_owned() }));
    }
    wire.answer(200, key("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"));
    keys.describe("", "1").await.unwrap();
    let sent = wire.sent();
    assert_eq!(sent[0].target.as_deref(), Some("TrentService.DescribeKey"));
    assert_eq!(sent[0].json(), serde_json::json!({"KeyId": "alias/db"}));
    assert_eq!(sent[0].host, "kms.eu-west-1.amazonaws.com");
    assert_eq!(sent[5].host, "kms.eu-central-1.amazonaws.com", "an empty Region is the function's own");
}

#[tokio::test]
async fn what_is_no_key_is_told_apart() {
    let wire = Wire::default();
    let keys = keys(&wire).await;
    for (status, code, class) in [
        (400, "NotFoundException", Class::NotFound),
        (400, "InvalidArnException", Class::Invalid),
        (400, "AccessDeniedException", Class::Denied),
    ] {
        wire.answer(status, format!(r#"{{"__type": "{code}", "message": "no"}}"#));
        let error = keys.describe("", "alias/db").await.unwrap_err();
        assert_eq!((error.call, error.class, error.code.as_str()), (DESCRIBE, class, code));
    }
    for nothing in ["{}", r#"{"KeyMetadata": {"KeyId": "1", "KeyState": "Enabled"}}"#] {
        wire.answer(200, nothing);
        assert_eq!(keys.describe("", "alias/db").await.unwrap_err().class, Class::Malformed, "{nothing}");
    }
}
