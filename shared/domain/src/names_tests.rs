//! Each type's rule, by what it takes and what it refuses.

use super::*;

/// The normal form of each text, or nothing where it is refused.
fn read<T: for<'a> TryFrom<&'a str> + ToString>(text: &str) -> Option<String> {
    T::try_from(text).ok().map(|name| name.to_string())
}

fn table<T: for<'a> TryFrom<&'a str> + ToString>(good: &[&str], bad: &[&str]) {
    let kind = std::any::type_name::<T>();
    for text in good {
        assert_eq!(read::<T>(text).as_deref(), Some(*text), "{kind} must take {text:?} as it is");
    }
    for text in bad {
        assert_eq!(read::<T>(text), None, "{kind} must refuse {text:?}");
    }
}

const FORTY: &str = "a123456789-123456789-123456789-1234567-a";
const FORTY_ONE: &str = "a123456789-123456789-123456789-1234567-aa";

#[test]
fn names_of_clusters_and_endpoints() {
    table::<ClusterName>(
        &["ab", "acme-prod", "a1", "a-", FORTY],
        &["", "a", FORTY_ONE, "1a", "-a", "Acme", "a_b", "a b", "ä1", "ab\n"],
    );
    table::<EndpointName>(&["a", "postgres", "read_only-2", FORTY], &["", FORTY_ONE, "1a", "_a", "A", "a.b"]);
}

#[test]
fn ids_of_aws() {
    table::<AccountId>(
        &["111122223333", "000000000001"],
        &["", "11112222333", "1111222233334", "11112222333a", "１１１１２２２２３３３３"],
    );
    table::<VpcId>(
        &["vpc-1", "vpc-0a1b2c3d4e5f67890"],
        &["", "vpc-", "vpc-A", "pcx-1", "vpc-1 ", "vpc-000000000000000000000000000000000"],
    );
    table::<PeeringId>(&["pcx-1", "pcx-0a1b2c3d4e5f67890"], &["pcx", "pcx-", "vpc-1", "pcx-1/2"]);
    table::<RouteTableId>(&["rtb-1"], &["rtb-", "rtb_1", "RTB-1"]);
    table::<DeviceName>(
        &["/dev/sdf", "/dev/xvda1", "/dev/nvme1n1"],
        &["sdf", "/dev/", "/dev/sd f", "/dev/../sda", "/dev/mapper/x"],
    );
    table::<RegionName>(
        &["us-west-2", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1"],
        &["", "us", "us-west", "us-2", "us-west-2a", "US-West-2", "us--2", "us-west-100", "-west-2"],
    );
    table::<AsgName>(&["acme-pg", "a/b(1)", "~!"], &["", "a b", "a:b", "é"]);
    table::<HookName>(&["acme-launch", "a/b_c"], &["", "a b", "a.b"]);
    table::<PatroniScope>(&["acme", "acme.prod_1-x"], &["", "a/b", "a b"]);
}

#[test]
fn arns_have_their_service_region_account_and_resource() {
    table::<TargetGroupArn>(
        &[
            "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/acme/0123456789abcdef",
            "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:111122223333:targetgroup/a-1/1",
        ],
        &[
            "",
            "arn:...",
            "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/acme",
            "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/acme/",
            "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/acme/1/2",
            "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/net/acme/1",
            "arn:aws:elasticloadbalancing:us-east-1:1111:targetgroup/acme/1",
            "arn:aws:elasticloadbalancing::111122223333:targetgroup/acme/1",
            "arn:aws:ec2:us-east-1:111122223333:targetgroup/acme/1",
            "arn:azure:elasticloadbalancing:us-east-1:111122223333:targetgroup/acme/1",
            "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/an-name-of-more-than-thirty-two-c/1",
        ],
    );
    table::<FunctionName>(
        &["acme-transit", "acme:live", "acme:$LATEST", "arn:aws:lambda:us-east-1:111122223333:function:acme:live"],
        &[
            "",
            "a b",
            "arn:aws:lambda:us-east-1:111122223333:layer:acme",
            "acme:",
            "arn:aws:lambda:us-east-1:1:function:a",
        ],
    );
    table::<KmsKeyId>(
        &[
            "alias/dr",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-west-2:111122223333:alias/dr",
            "mrk-1234",
        ],
        &[
            "",
            "alias/",
            "other/dr",
            "arn:aws:kms:us-west-2:111122223333:dr",
            "arn:aws:s3:us-west-2:111122223333:key/1",
            "a b",
        ],
    );
    table::<SecretId>(
        &["acme/db", "arn:aws:secretsmanager:us-east-1:111122223333:secret:acme-AbCdEf"],
        &["", "{\"username\": \"x\"}", "two words", "arn:aws:secretsmanager:us-east-1:111122223333:acme", "arn:..."],
    );
}

#[test]
fn a_refused_secret_is_not_shown_again() {
    assert!(!SecretId::try_from("hunter 2").unwrap_err().may_show_value());
    assert!(VpcId::try_from("hunter 2").unwrap_err().may_show_value());
}

#[test]
fn hosts_have_one_spelling() {
    let long_label = "a".repeat(64);
    let long = format!("{}.com", ["abcdefghi"; 25].join("."));
    assert_eq!(long.len(), 253);
    let cases = [
        ("acme.example.internal", Some("acme.example.internal")),
        ("ACME.Example.internal.", Some("acme.example.internal")),
        ("_pg._tcp.acme_1.example.com", Some("_pg._tcp.acme_1.example.com")),
        ("db", Some("db")),
        ("1db.9example.com", Some("1db.9example.com")),
        ("10.9.0.5", Some("10.9.0.5")),
        ("FD00::5", Some("fd00::5")),
        (long.as_str(), Some(long.as_str())),
        ("", None),
        (".", None),
        ("a..b", None),
        ("a.b..", None),
        ("-a.b", None),
        ("a-.b", None),
        ("a b", None),
        ("db.example.com:5432", None),
        ("https://db.example.com", None),
        ("[fd00::5]", None),
        ("10.9.0.500", None),
        ("10.9.0", None),
        ("010.9.0.5", None),
        ("10.9.0.5.", None),
        ("*.example.com", None),
        ("dé.example.com", None),
        (long_label.as_str(), None),
        (&format!("a{long}"), None),
    ];
    for (text, expected) in cases {
        assert_eq!(read::<Host>(text).as_deref(), expected, "{text:?}");
    }
    assert_eq!(Host::try_from("10.9.0.5").unwrap().literal(), Some("10.9.0.5".parse().unwrap()));
    assert_eq!(Host::try_from("db.example.com").unwrap().literal(), None);
}

#[test]
fn paths_need_no_quoting() {
    table::<NodePath>(
        &["/var/lib/postgresql", "/a", "/data-1/pg_15/.x"],
        &["", "/", "var", "/var/", "/a//b", "/a/../b", "/a/./b", "/a b", "/a;b", "/a$b", "/a'b"],
    );
}

#[test]
fn serde_takes_only_what_the_rule_takes() {
    assert_eq!(serde_json::from_str::<ClusterName>("\"acme\"").unwrap().as_str(), "acme");
    let error = serde_json::from_str::<ClusterName>("\"Acme\"").unwrap_err().to_string();
    assert!(error.starts_with("must be 2 to 40 characters"), "{error}");
    assert_eq!(serde_json::to_string(&Host::try_from("A.b.").unwrap()).unwrap(), "\"a.b\"");
}
