//! Templates as CloudFormation gets them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The Python environment with AWS's own tools.
pub(crate) fn venv() -> PathBuf {
    std::env::var_os("PILOTHOUSE_VENV").map_or_else(|| root().join(".venv"), PathBuf::from)
}

/// A template of `infra`, through AWS's own translator.
#[track_caller]
pub(crate) fn translated(path: &str) -> Value {
    let (ok, said, problems) = translate(root().join(path).to_str().unwrap());
    assert!(ok, "{problems}");
    serde_json::from_str(&said).unwrap()
}

/// Whether the translator took it, and its standard output and error.
pub(crate) fn translate(path: &str) -> (bool, String, String) {
    let mut command = Command::new(venv().join("bin/python"));
    let output = command.arg(root().join("tests/aws/translate.py")).arg(path).env("AWS_REGION", "us-east-1").output();
    let output = output.unwrap_or_else(|error| panic!("no Python of .venv ({error}): run `make venv`"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_is_wrong_with_a_template_is_said() {
    let folder = std::env::temp_dir().join(format!("pilothouse-templates-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let event = "Transform: AWS::Serverless-2016-10-31\nResources:\n  A: {Type: AWS::Serverless::Function, Properties: {CodeUri: x/, \
                 Runtime: provided.al2023, Handler: b, Events: {E: {Type: Never}}}}\n";
    let code =
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  A: {Type: AWS::Serverless::Function, Properties: {}}\n";
    for (text, problem) in [
        ("a: [", "while parsing a flow node"),
        ("Description: none\n", "is no template: it has no Resources"),
        (event, "Event Type is: Never"),
        (code, "Resources.A: an AWS::Serverless::Function needs a CodeUri"),
    ] {
        let path = folder.join("template.yaml");
        std::fs::write(&path, text).unwrap();
        let (ok, said, problems) = translate(path.to_str().unwrap());
        assert!(!ok && said.is_empty(), "{said}");
        assert!(problems.contains(problem), "{problems}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let (ok, _, problems) = translate("/there/is/none.yaml");
    assert!(!ok && problems.contains("No such file"), "{problems}");
}
