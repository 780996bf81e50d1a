//! What the guides tell people to type, and what they promise it costs, agrees with the code and the templates.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use house::assert_none;
use house::files;
use runtime::envelope::{self, Wake};
use serde_json::Value;
use snapshot_scheduler::verbs::request::{self, Request};

const QUICK_START: &str = "docs/quick-start.md";
const OPERATE: &str = "docs/operate.md";
const COST: &str = "docs/cost.md";
const GUIDES: [&str; 7] =
    [QUICK_START, "docs/adopt.md", "docs/nodes.md", "docs/restore.md", OPERATE, COST, "docs/upgrade.md"];

const CONTROL_PLANE: &str = "infra/template.yaml";
const TEMPLATES: [&str; 2] = [CONTROL_PLANE, "infra/gateway.yaml"];

/// The names right below a section of a template, `Resources` for one, with the lines of each.
fn entries(template: &str, section: &str) -> BTreeMap<String, String> {
    let text = files::read(template);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut name = None;
    for line in text.lines().skip_while(|line| *line != format!("{section}:")).skip(1) {
        let depth = line.len() - line.trim_start().len();
        if depth == 0 && !line.trim().is_empty() && !line.starts_with('#') {
            break;
        }
        if depth == 2 && !line.trim_start().starts_with('#') {
            name = line.trim().split_once(':').map(|(name, _)| name.to_owned());
        }
        if let Some(name) = &name {
            let lines = found.entry(name.clone()).or_default();
            lines.push_str(line);
            lines.push('\n');
        }
    }
    assert!(!found.is_empty(), "{template} has no {section}, or is written in another way than this test reads it");
    found
}

fn alarms(template: &str) -> BTreeSet<String> {
    let resources = entries(template, "Resources").into_iter();
    resources.filter(|(_, lines)| lines.contains("Type: AWS::CloudWatch::Alarm")).map(|(name, _)| name).collect()
}

/// What stands below a heading, up to the next one that is as high.
fn section(text: &str, heading: &str) -> String {
    let level: String = heading.chars().take_while(|c| *c == '#').collect();
    let ends = |line: &str| line.starts_with('#') && line.split(' ').next().is_some_and(|l| l.len() <= level.len());
    let mut fenced = false;
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let inside: Vec<&str> = lines
        .take_while(|line| {
            fenced ^= line.starts_with("```");
            fenced || !ends(line)
        })
        .collect();
    assert!(!inside.is_empty(), "there is no heading `{heading}` with something below it");
    inside.join("\n")
}

#[test]
fn every_alarm_has_a_section_and_every_section_an_alarm() {
    let below = section(&files::read(OPERATE), "## Alarms");
    let explained: BTreeSet<String> = below.lines().filter_map(|l| l.strip_prefix("### ")).map(str::to_owned).collect();
    let raised: BTreeSet<String> = TEMPLATES.iter().flat_map(|template| alarms(template)).collect();
    let missing = raised.difference(&explained).map(|alarm| format!("{alarm} has no section"));
    let idle = explained.difference(&raised).map(|alarm| format!("{alarm} is no alarm"));
    assert_none(
        &missing.chain(idle).collect::<Vec<_>>(),
        "docs/operate.md, `## Alarms`: a section `### <logical id>` for each alarm of infra/*.yaml, and what to do first.",
    );
    let late: Vec<String> = explained
        .iter()
        .filter(|alarm| !section(&below, &format!("### {alarm}")).trim_start().starts_with("**First:**"))
        .cloned()
        .collect();
    assert_none(&late, "Whoever was woken reads one line: begin the alarm's section with `**First:**` and what to do.");
}

#[test]
fn every_make_command_of_the_guides_exists() {
    let makefile = files::read("Makefile");
    let mut found = Vec::new();
    for guide in GUIDES {
        let text = files::read(guide);
        for (before, after) in text.split("make ").zip(text.split("make ").skip(1)) {
            let target: String = after.chars().take_while(char::is_ascii_lowercase).collect();
            let is_code = before.ends_with('`') || before.ends_with("\n    ");
            if is_code && !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                found.push(format!("{guide}: `make {target}`"));
            }
        }
    }
    assert_none(&found, "Correct the command, or add the target to the Makefile.");
}

/// The arguments in quotes that follow `command` in a text: what the shell passes on, for as much as is known here. What a
/// file holds is `{}`.
fn arguments<'t>(text: &'t str, command: &str) -> Vec<(&'t str, String)> {
    let lines = text.split(command).skip(1).filter_map(|after| after.lines().next());
    let single = |line: &'t str| {
        let (words, quoted) = line.split_once('\'').filter(|(words, _)| !words.contains('"'))?;
        Some((words.trim(), quoted.split('\'').next()?.to_owned()))
    };
    let double = |line: &'t str| {
        let (words, quoted) = line.split_once('"')?;
        // Quotes inside are escaped; the first that is not ends the argument.
        let raw = quoted.replace("\\\"", "\u{0}");
        let raw = raw.split('"').next()?.replace('\u{0}', "\"");
        let mut parts = raw.split("$(cat ");
        let first = parts.next()?.to_owned();
        let whole =
            parts.filter_map(|part| part.split_once(')')).fold(first, |text, (_, rest)| format!("{text}{{}}{rest}"));
        Some((words.trim(), whole))
    };
    lines.filter_map(|line| single(line).or_else(|| double(line))).collect()
}

/// Why the snapshot scheduler would refuse a verb.
fn refused(payload: &Value) -> Option<String> {
    let problems = match request::read(payload)? {
        Ok(Request::Explain(asked)) => domain::retention::explain(&asked, jiff::Timestamp::UNIX_EPOCH).err()?,
        Ok(_) => return None,
        Err(problems) => problems,
    };
    problems.first().map(ToString::to_string)
}

#[test]
fn every_request_of_the_guides_is_understood() {
    let mut found = Vec::new();
    let mut requests = 0;
    for guide in GUIDES {
        let text = files::read(guide);
        for option in ["--payload ", "--item "] {
            for (_, argument) in arguments(&text, option).iter().filter(|(_, a)| !a.starts_with('$')) {
                found
                    .extend(serde_json::from_str::<Value>(argument).err().map(|e| format!("{guide}: {argument}: {e}")));
            }
        }
        for (function, argument) in arguments(&text, "ph ") {
            let payload: Value = match serde_json::from_str(&argument) {
                Ok(payload) => payload,
                Err(error) => {
                    found.push(format!("{guide}: {argument}: {error}"));
                    continue;
                }
            };
            requests += 1;
            let problem = match function {
                // A whole file.
                _ if payload == Value::Object(serde_json::Map::new()) => None,
                "cluster-registry" => {
                    cluster_registry::request::read(&payload).err().map(|p| format!("{}: {}", p[0].path, p[0].problem))
                }
                "snapshot-scheduler" if request::read(&payload).is_some() => refused(&payload),
                "peering-watcher" | "asg-lifecycle" | "snapshot-scheduler" => match envelope::read(&payload) {
                    Wake::Look(_) => None,
                    Wake::Ignored { path, problem } => Some(format!("{path}: {problem}")),
                },
                _ => Some("there is no such function".to_owned()),
            };
            found.extend(problem.map(|problem| format!("{guide}: {function} {argument}: {problem}")));
        }
    }
    assert!(requests > 10, "{requests} requests found: the guides call functions in another way than this test reads");
    assert_none(&found, "Correct the request: it is typed as it stands, at night.");
}

#[test]
fn every_json_of_the_guides_parses_and_every_spec_is_valid() {
    let (mut found, mut specs) = (Vec::new(), 0);
    for guide in GUIDES {
        for block in files::read(guide).split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            match serde_json::from_str::<Value>(block) {
                Err(error) => found.push(format!("{guide}: {error}: {block}")),
                Ok(spec) if spec.get("primary").is_some() || spec.get("nodes").is_some() => {
                    specs += 1;
                    let problems = domain::spec::validate(&spec).err().unwrap_or_default();
                    found.extend(problems.iter().map(|problem| format!("{guide}: {problem}")));
                }
                Ok(_) => {}
            }
        }
    }
    assert!(specs > 1, "the quick start shows no spec with a `primary`, or docs/nodes.md none with `nodes`");
    assert_none(&found, "Correct the JSON.");
}

/// Single words in backticks that begin like a name: `TopicArn`, not `Custom::Thing`.
fn names(text: &str) -> BTreeSet<&str> {
    let is_name = |word: &&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| c.is_ascii_uppercase())
            && letters.next().is_some_and(|c| c.is_ascii_lowercase())
            && letters.all(|c| c.is_ascii_alphanumeric())
    };
    let quoted =
        text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| line.split('`').skip(1).step_by(2));
    let placeholders = text.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    quoted.chain(placeholders).filter(is_name).collect()
}

#[test]
fn every_name_in_the_guides_is_one_of_ours() {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for template in TEMPLATES {
        for section in ["Parameters", "Resources", "Outputs"] {
            known.extend(entries(template, section).into_keys());
        }
    }
    let reasons = files::read("docs/reasons.md");
    known.extend(reasons.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned));
    // Conditions, metrics and actions, as the code spells them.
    let code: String = files::all()
        .into_iter()
        .filter(|f| f.is_rust() && (f.path.starts_with("functions/") || f.path.starts_with("shared/")))
        .map(|f| f.text)
        .collect();
    let mut found = Vec::new();
    for guide in GUIDES {
        let text = files::read(guide);
        let unknown = names(&text).into_iter().filter(|n| !known.contains(*n) && !code.contains(&format!("\"{n}\"")));
        found.extend(unknown.map(|name| format!("{guide}: `{name}`")));
    }
    assert_none(&found, "No parameter, output, alarm, reason, condition or metric has this name. Correct it.");
}

#[test]
fn every_question_of_the_deployment_is_explained() {
    let text = files::read(QUICK_START);
    let asked: BTreeSet<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("| Parameter ")?.split(" |").next())
        .flat_map(|p| p.split(", "))
        .collect();
    let parameters = entries(CONTROL_PLANE, "Parameters");
    let missing = parameters.keys().filter(|p| !asked.contains(p.as_str())).map(|p| format!("{p} is not explained"));
    let gone = asked.iter().filter(|p| !parameters.contains_key(**p)).map(|p| format!("{p} is no parameter"));
    assert_none(
        &missing.chain(gone).collect::<Vec<_>>(),
        "docs/quick-start.md: `| Parameter <name> | what to answer |` for each parameter of infra/template.yaml.",
    );
    let exports: BTreeSet<String> = entries(CONTROL_PLANE, "Outputs")
        .into_iter()
        .filter(|(_, lines)| lines.contains("Export:"))
        .map(|(name, _)| name)
        .collect();
    let mut found = Vec::new();
    for guide in GUIDES {
        for rest in
            files::read(guide).split("pilothouse-").skip(1).filter(|r| r.starts_with(|c: char| c.is_uppercase()))
        {
            let export: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            found.extend((!exports.contains(&export)).then(|| format!("{guide}: pilothouse-{export}")));
        }
    }
    assert_none(&found, "The template has no such export.");
}

#[test]
fn every_log_line_that_is_explained_is_logged() {
    let code: String = files::all()
        .into_iter()
        .filter(|f| f.is_rust() && !f.is_test() && (f.path.starts_with("functions/") || f.path.starts_with("shared/")))
        .map(|f| f.text)
        .collect();
    let rows = table(&section(&files::read(OPERATE), "## Log lines"), "`message`");
    let found: Vec<String> = rows
        .iter()
        .filter_map(|row| row.first().map(|cell| cell.trim_matches('`').to_owned()))
        .filter(|message| !code.contains(&format!("\"{message}\"")))
        .collect();
    assert!(rows.len() > 5, "docs/operate.md explains no log lines");
    assert_none(&found, "Nothing logs this message. Correct docs/operate.md, `## Log lines`.");
}

/// The rows of the table whose head begins with `first`, without the head.
fn table(text: &str, first: &str) -> Vec<Vec<String>> {
    text.lines()
        .skip_while(|line| !line.starts_with(&format!("| {first} |")))
        .skip(2)
        .map_while(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('*').to_owned()).collect())
        .collect()
}

fn number(cell: &str) -> f64 {
    cell.replace(',', "").parse().unwrap_or_else(|_| panic!("docs/cost.md: `{cell}` is no number"))
}

/// What a table of amounts comes to beside a table of costs: each cost is amount times price, and the last row their sum.
fn wrong(amounts: &[Vec<String>], costs: &[Vec<String>]) -> Vec<String> {
    let mut found = Vec::new();
    let Some((total, rows)) = costs.split_last() else { return vec!["a table of costs is empty".to_owned()] };
    if total[0] != "total" || amounts.len() != rows.len() {
        return vec![format!("{} amounts, {} costs, and `{}` at last", amounts.len(), rows.len(), total[0])];
    }
    for (amount, cost) in amounts.iter().zip(rows) {
        if amount[0] != cost[0] || amount.len() != cost.len() + 1 {
            found.push(format!("`{}` stands beside `{}`", amount[0], cost[0]));
            continue;
        }
        for (count, said) in amount[2..].iter().zip(&cost[1..]) {
            let comes_to = number(count) * number(&amount[1]);
            if (comes_to - number(said)).abs() > 0.005_001 {
                found.push(format!("{}: {count} × {} is {comes_to:.3}, not {said}", amount[0], amount[1]));
            }
        }
    }
    for column in 1..total.len() {
        let sum: f64 = rows.iter().map(|row| number(&row[column])).sum();
        if (sum - number(&total[column])).abs() > 0.000_1 {
            found.push(format!("column {column} adds up to {sum:.2}, not {}", total[column]));
        }
    }
    found
}

#[test]
fn the_cost_adds_up() {
    let text = files::read(COST);
    let amounts = table(&section(&text, "## Amounts"), "what");
    let costs = table(&section(&text, "## Cost"), "what");
    let mut found = wrong(&amounts, &costs);

    // Tables with both: the cost is the last column.
    let mut both = |heading: &str| {
        let rows = table(&section(&text, heading), "what");
        let costs: Vec<Vec<String>> = rows.iter().map(|row| vec![row[0].clone(), row[3].clone()]).collect();
        let amounts: Vec<Vec<String>> = rows.iter().take(rows.len() - 1).map(|row| row[..3].to_vec()).collect();
        found.extend(wrong(&amounts, &costs));
        costs
    };
    let of_one = both("### One gateway");
    let of_nodes = both("### The nodes of one cluster");
    let of_points = both("### The restore points of one cluster");
    for (rows, before, after) in [(of_nodes, "come to $", " a month"), (of_points, "to $", " beside the snapshots")] {
        let said = rows.last().map(|row| format!("{before}{}{after}", row[1])).unwrap_or_default();
        found.extend((!text.contains(&said)).then(|| format!("no sentence says `{said}`")));
    }
    let price = |what: &str| amounts.iter().find(|row| row[0] == what).map(|row| row[1].clone());
    if price("gateways") != of_one.last().map(|row| row[1].clone()) {
        found.push(format!("a gateway costs {:?} in its own table", of_one.last()));
    }

    let secrets = section(&text, "### Secrets");
    let halves: Vec<&str> = secrets.splitn(3, "| what |").collect();
    let [_, reads, dollars] = halves.as_slice() else { panic!("docs/cost.md: `### Secrets` has two tables") };
    found.extend(wrong(&table(&format!("| what |{reads}"), "what"), &table(&format!("| what |{dollars}"), "what")));

    // The sentence that everybody reads.
    let total: Vec<String> =
        costs.last().map(|row| row[1..].iter().map(|c| format!("{:.0}", number(c))).collect()).unwrap_or_default();
    let [one, hundred, thousands] = total.as_slice() else { panic!("docs/cost.md: three fleets") };
    let claim = format!("**${one} a month for one cluster, ${hundred} for 100, ${thousands} for 3,000**");
    found.extend((!text.contains(&claim)).then(|| format!("the first sentence does not say {claim}")));
    assert_none(&found, "Correct docs/cost.md.");
}

#[test]
fn the_cost_is_that_of_what_is_deployed() {
    let text = files::read(COST);
    let amounts = table(&section(&text, "## Amounts"), "what");
    let amount = |what: &str| amounts.iter().find(|row| row[0] == what).map_or(-1.0, |row| number(&row[2]));
    let resources = entries(CONTROL_PLANE, "Resources");
    let of_type = |kind: &str| resources.values().filter(|lines| lines.contains(&format!("Type: {kind}\n"))).count();
    let of_a_pass = |function: &str| {
        let metrics = files::read(&format!("functions/{function}/src/pass/metrics.rs"));
        metrics.split("fn of_a_cluster").next().unwrap_or_default().matches("Metric::").count()
    };
    let of_the_pass = ["peering-watcher", "asg-lifecycle", "snapshot-scheduler"].map(of_a_pass).iter().sum::<usize>();
    let template = files::read(CONTROL_PLANE);
    let mut found = Vec::new();
    for (what, counted) in [
        ("alarms", of_type("AWS::CloudWatch::Alarm")),
        ("dashboard", of_type("AWS::CloudWatch::Dashboard")),
        ("key of the topic", of_type("AWS::KMS::Key")),
        ("metrics of the fleet", of_the_pass),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let counted = counted as f64;
        found.extend(
            (amount(what) != counted).then(|| format!("{what}: {} in the table, {counted} deployed", amount(what))),
        );
    }
    for assumed in [
        "MemorySize: 512",
        "PILOTHOUSE_PULSE_SECONDS: \"10\"",
        "PILOTHOUSE_PULSE_BUDGET_SECONDS: \"55\"",
        "rate(1 minute)",
    ] {
        found.extend(
            (!template.contains(assumed)).then(|| format!("the template has no `{assumed}`, which is counted with")),
        );
    }
    assert_none(&found, "Count anew in docs/cost.md.");
}
