//! `sam deploy` itself, with this repository's `samconfig.toml`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::stage::{Account, CONTROL_PLANE, list, text};
use crate::template::{root, venv};

/// A checkout as `make build` leaves it, but for what is in the packages.
struct Checkout(PathBuf);

impl Checkout {
    fn of(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("pilothouse-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("infra")).unwrap();
        fs::copy(root().join("samconfig.toml"), folder.join("samconfig.toml")).unwrap();
        for template in ["infra/template.yaml", "infra/gateway.yaml"] {
            fs::copy(root().join(template), folder.join(template)).unwrap();
        }
        for function in fs::read_dir(root().join("functions")).unwrap() {
            let package = folder.join("target/lambda").join(function.unwrap().file_name());
            fs::create_dir_all(&package).unwrap();
            fs::write(package.join("bootstrap"), package.to_string_lossy().as_bytes()).unwrap();
        }
        Self(folder)
    }

    /// What `sam deploy` prints, which must succeed. It asks no questions.
    #[track_caller]
    fn deploy(&self, account: &Account, environment: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(venv().join("bin/sam"));
        command.args(["deploy", "--config-env", environment]).args(arguments).current_dir(&self.0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        let endpoint = &account.stack.endpoints().aws;
        let output = command
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_REGION", &account.world.region)
            .env("AWS_DEFAULT_REGION", &account.world.region)
            .env("AWS_ACCESS_KEY_ID", "control")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("SAM_CLI_TELEMETRY", "0")
            .env("SAM_CLI_POLL_DELAY", "0.2")
            .env("HOME", &self.0)
            .output()
            .unwrap_or_else(|error| panic!("no sam in .venv ({error}): run `make venv`"));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
        said
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn sam_deploys_the_control_plane_and_a_gateway_and_finds_nothing_to_do_the_second_time() {
    let account = Account::empty();
    let checkout = Checkout::of("deploy");
    let said = checkout.deploy(&account, "production", &[]);
    assert!(said.contains("Successfully created/updated stack - pilothouse in us-east-1"), "{said}");
    assert_eq!(account.stack.made_by(CONTROL_PLANE).unwrap()["not_made"], json!([]));
    let groups = account.aws("logs", "DescribeLogGroups", &json!({}));
    assert!(list(&groups["logGroups"]).iter().all(|g| g["retentionInDays"] == 90), "{groups:#}");
    // Each function got a package, and its own.
    for function in ["cluster-registry", "peering-watcher"] {
        let created = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": function}));
        assert!(created["CodeSize"].as_u64() > Some(100), "{created:#}");
    }
    let codes =
        ["ClusterRegistry", "PeeringWatcher"].map(|r| text(&account.properties(CONTROL_PLANE, r)["Code"]["S3Key"]));
    assert_ne!(codes[0], codes[1]);

    let said = checkout.deploy(&account, "production", &[]);
    assert!(said.contains("No changes to deploy"), "{said}");
    let said = checkout.deploy(
        &account,
        "default",
        &["--no-confirm-changeset", "--parameter-overrides", "LogRetentionDays=90"],
    );
    assert!(said.contains("Stack name                   : pilothouse"), "{said}");

    let outputs = account.outputs(CONTROL_PLANE);
    let subnets = list(&account.aws("ec2", "DescribeSubnets", &json!({}))["Subnets"]);
    let overrides = [
        "Name=acme-transit".to_owned(),
        format!("SubnetIds={}", text(&subnets[0]["SubnetId"])),
        "SecurityGroupIds=sg-0123456789abcdef0".to_owned(),
        format!("WatcherRoleArn={}", outputs["WatcherRoleArn"]),
        format!("TopicArn={}", outputs["TopicArn"]),
    ];
    let mut arguments = vec!["--no-confirm-changeset", "--parameter-overrides"];
    arguments.extend(overrides.iter().map(String::as_str));
    checkout.deploy(&account, "gateway", &arguments);
    assert_eq!(account.stack.made_by("pilothouse-gateway").unwrap()["not_made"], json!([]));
    assert_eq!(account.id("pilothouse-gateway", "Gateway"), "acme-transit");
}
