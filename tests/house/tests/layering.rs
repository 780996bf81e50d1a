//! Who knows whom. The rules are those of docs/ARCHITECTURE.md.

use std::collections::BTreeMap;

use house::files::{self, File};
use house::graph::Graph;
use house::{assert_none, manifest};

/// Crates that nothing may bring in, with the first version that is allowed, if there is one. deny.toml bans the same.
const BANNED: [(&str, Option<u64>); 6] = [
    ("ring", None),
    ("hyper", Some(1)),
    ("openssl", None),
    ("openssl-sys", None),
    ("native-tls", None),
    ("async-std", None),
];

/// AWS's own crates.
fn is_aws(name: &str) -> bool {
    name == "aws-config" || ["aws-sdk-", "aws-smithy-"].iter().any(|prefix| name.starts_with(prefix))
}

/// What makes IO possible at all.
fn is_io(name: &str) -> bool {
    const RUNTIMES: [&str; 8] =
        ["async-std", "hickory-resolver", "hyper", "lambda_runtime", "mio", "socket2", "tokio", "ureq"];
    is_aws(name) || RUNTIMES.contains(&name) || ["aws", "aws-ec2", "ports", "reach", "runtime"].contains(&name)
}

fn brought_in(graph: &Graph, member: &str, forbidden: impl Fn(&str) -> bool) -> Vec<String> {
    graph
        .brings_in(member)
        .iter()
        .filter(|name| forbidden(name))
        .map(|name| format!("{member} brings in {name}"))
        .collect()
}

#[test]
fn domain_does_no_io() {
    assert_none(
        &brought_in(Graph::load(), "domain", is_io),
        "shared/domain is pure: take the dependency out, and let the caller pass in what it would have read.",
    );
}

#[test]
fn ports_know_no_adapter_and_no_runtime() {
    let adapters = |name: &str| is_io(name) && name != "ports";
    assert_none(
        &brought_in(Graph::load(), "ports", adapters),
        "shared/ports holds traits and plain values: put what speaks to the world into aws, aws-ec2 or reach.",
    );
}

#[test]
fn runtime_reach_and_the_gateway_know_no_aws() {
    let graph = Graph::load();
    let aws = |name: &str| is_aws(name) || name == "aws" || name == "aws-ec2";
    let members = ["runtime", "reach", "sim", "vpc-gateway"];
    let found: Vec<String> = members.iter().flat_map(|member| brought_in(graph, member, aws)).collect();
    assert_none(&found, "Use a trait of shared/ports instead: the function's main.rs hands the adapter over.");
}

#[test]
fn the_registry_does_not_carry_the_heavy_sdks() {
    let heavy = |name: &str| {
        name == "aws-ec2" || ["ec2", "elasticloadbalancingv2"].iter().any(|s| name == format!("aws-sdk-{s}"))
    };
    assert_none(
        &brought_in(Graph::load(), "cluster-registry", heavy),
        "The registry reads and writes the table alone. What needs EC2 or ELB belongs into the function that acts on it.",
    );
}

#[test]
fn only_the_aws_crates_name_an_aws_crate() {
    let graph = Graph::load();
    let found: Vec<String> = graph
        .members()
        .iter()
        .filter(|member| !["aws", "aws-ec2"].contains(&member.name.as_str()))
        .flat_map(|member| {
            let named = member.dependencies.iter().filter(|d| is_aws(&d.name));
            named.map(|d| format!("{} depends on {}", graph.folder(member), d.name))
        })
        .collect();
    assert_none(
        &found,
        "Put the call behind a trait of shared/ports, and its adapter into shared/aws or shared/aws-ec2.",
    );
}

#[test]
fn shared_crates_know_no_function() {
    let graph = Graph::load();
    let functions: Vec<&str> = graph.members_in("functions").iter().map(|f| f.name.as_str()).collect();
    let found: Vec<String> = graph
        .members()
        .iter()
        // A simulation runs several of them in one world.
        .filter(|member| !graph.folder(member).starts_with("tests/"))
        .flat_map(|member| {
            let named = member.dependencies.iter().filter(|d| functions.contains(&d.name.as_str()));
            named.map(|d| format!("{} depends on {}", graph.folder(member), d.name))
        })
        .collect();
    assert_none(
        &found,
        "Functions share nothing with each other but the table. Move what two of them need into shared/.",
    );
}

#[test]
fn nothing_banned_is_built() {
    let found: Vec<String> = Graph::load()
        .resolved()
        .iter()
        .filter(|p| {
            let rule = BANNED.iter().find(|(name, _)| *name == p.name.as_str());
            rule.is_some_and(|(_, first)| first.is_none_or(|first| p.version.major < first))
        })
        .map(|p| format!("{} {}", p.name, p.version))
        .collect();
    assert_none(
        &found,
        "`cargo tree --invert <crate>` tells who brings it. Turn that crate's default features off; deny.toml has the reasons.",
    );
}

#[test]
fn every_ban_stands_in_deny_toml_too() {
    let deny = files::read("deny.toml");
    let found: Vec<String> = BANNED
        .iter()
        .map(|(name, first)| first.map_or_else(|| (*name).to_owned(), |first| format!("{name}:<{first}")))
        .filter(|spec| !deny.contains(&format!("\"{spec}\"")))
        .collect();
    assert_none(&found, "Add it to `[bans] deny` in deny.toml, with its reason.");
}

#[test]
fn sdk_crates_come_without_default_features() {
    let graph = Graph::load();
    let mut found: Vec<String> = manifest::section(&files::read("Cargo.toml"), "workspace.dependencies")
        .iter()
        .filter(|(name, value)| is_aws(name) && !value.contains("default-features = false"))
        .map(|(name, _)| format!("{name} is declared with its default features"))
        .collect();
    let resolved = graph.resolved();
    for package in resolved.iter().filter(|p| p.name.starts_with("aws-sdk-") || p.name.as_str() == "aws-config") {
        let on = graph.features(package);
        let old = on.iter().filter(|f| ["default", "rustls"].contains(&f.as_str()));
        found.extend(old.map(|f| format!("{} is built with `{f}`", package.name)));
    }
    assert_none(
        &found,
        "Write `default-features = false` in [workspace.dependencies]: the defaults bring hyper 0.14 and ring beside hyper 1.",
    );
}

#[test]
fn versions_are_named_in_one_place() {
    let graph = Graph::load();
    let mut found = Vec::new();
    let mut named: Vec<String> = Vec::new();
    for member in graph.members() {
        let path = format!("{}/Cargo.toml", graph.folder(member));
        let text = files::read(&path);
        for header in manifest::headers(&text) {
            if header.contains("dependencies.") {
                found.push(format!("{path}: [{header}]"));
            }
            if !header.ends_with("dependencies") {
                continue;
            }
            for (name, value) in manifest::section(&text, header) {
                named.push(name.trim_end_matches(".workspace").to_owned());
                let inherited = name.ends_with(".workspace") && value == "true" || value.contains("workspace = true");
                if !inherited {
                    found.push(format!("{path}: {name} = {value}"));
                }
            }
        }
    }
    assert_none(
        &found,
        "Declare it in [workspace.dependencies] of the root, and write `<name>.workspace = true` here.",
    );
    let unused: Vec<String> = manifest::section(&files::read("Cargo.toml"), "workspace.dependencies")
        .iter()
        .filter(|(name, _)| !named.iter().any(|used| used == name))
        .map(|(name, _)| format!("{name} is used by no crate"))
        .collect();
    assert_none(&unused, "Take it out of [workspace.dependencies] in the root's Cargo.toml.");
}

#[test]
fn binaries_have_names_of_their_own() {
    let graph = Graph::load();
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in graph.members() {
        for target in member.targets.iter().filter(|t| t.is_bin()) {
            owners.entry(target.name.clone()).or_default().push(graph.folder(member));
        }
    }
    let found: Vec<String> = owners
        .iter()
        .filter(|(_, folders)| folders.len() > 1)
        .map(|(name, folders)| format!("{name}: {}", folders.join(", ")))
        .collect();
    assert_none(&found, "Rename one: cargo lambda packages binaries by name, and one would overwrite the other.");
}

#[test]
fn a_function_is_a_library_with_a_thin_main() {
    const LINES: usize = 80;
    let graph = Graph::load();
    let mut found = Vec::new();
    for function in graph.members_in("functions") {
        let folder = graph.folder(function);
        let main = files::read(&format!("{folder}/src/main.rs")).lines().count();
        if main >= LINES {
            found.push(format!("{folder}/src/main.rs has {main} lines"));
        }
        if !function.targets.iter().any(cargo_metadata::Target::is_lib) {
            found.push(format!("{folder} is no library"));
        }
        if folder != format!("functions/{}", function.name) {
            found.push(format!("{folder} holds the crate {}", function.name));
        }
    }
    assert_none(
        &found,
        "main.rs reads the configuration, makes clients and runs, in fewer than 80 lines; the rest belongs into the library.",
    );
}

#[test]
fn a_port_and_its_adapter_have_the_same_file_name() {
    let files = files::all();
    let has = |path: String| files.iter().any(|f| f.path == path);
    let found: Vec<String> = files
        .iter()
        .filter_map(|f| f.path.strip_prefix("shared/ports/src/"))
        .filter(|name| !["lib.rs", "error.rs"].contains(name))
        .filter(|name| {
            let adapters = ["aws", "aws-ec2", "reach"].iter().filter(|room| has(format!("shared/{room}/src/{name}")));
            adapters.count() != 1 || !has(format!("shared/sim/src/{name}"))
        })
        .map(|name| format!("shared/ports/src/{name} has no adapter of that name, or several, or none in sim"))
        .collect();
    assert_none(&found, "Give the adapter in aws, aws-ec2 or reach the file name of the port, and the one in sim too.");
}

#[test]
fn a_release_unwinds() {
    let text = files::read("Cargo.toml");
    let panic = manifest::section(&text, "profile.release").into_iter().find(|(key, _)| *key == "panic");
    assert_eq!(
        panic,
        Some(("panic", "\"unwind\"")),
        "write panic = \"unwind\" in [profile.release]: without it cargo lambda sets abort, and a panic ends the process \
         instead of one invocation"
    );
}

#[test]
fn tls_starts_without_jitter_entropy() {
    let text = files::read(".cargo/config.toml");
    assert!(
        manifest::section(&text, "env").contains(&("AWS_LC_SYS_NO_JITTER_ENTROPY", "\"1\"")),
        "write AWS_LC_SYS_NO_JITTER_ENTROPY = \"1\" under [env] in .cargo/config.toml: collecting jitter costs a small function \
         up to a second at its first call"
    );
}

#[test]
fn the_sdks_behaviour_is_pinned() {
    let files: Vec<File> = files::all().into_iter().filter(|f| f.path.starts_with("shared/aws")).collect();
    let pins = files.iter().filter(|f| f.is_rust() && f.text.contains("BehaviorVersion::v")).count();
    let latest = ["BehaviorVersion::latest", "behavior-version-latest", "load_from_env"];
    let found: Vec<String> = files
        .iter()
        .flat_map(|f| latest.iter().filter(|word| f.text.contains(**word)).map(|word| format!("{}: {word}", f.path)))
        .collect();
    assert_none(&found, "Name a version: the newest one changes time-outs and retries with an update of a crate.");
    assert!(
        pins > 0,
        "shared/aws names no BehaviorVersion: build every client from aws::Configuration, and pin it there"
    );
}
