//! The environment, read once, with every problem listed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// What a function takes from its environment. Each says for itself which variables it needs; those of other functions may be
/// there too, as one template sets them for all.
pub trait Settings: Sized {
    /// Takes what is needed. What cannot be used is noted in `environment`, and what is returned then counts for nothing.
    fn take(environment: &mut Environment<'_>) -> Self;
}

/// What the environment says to a function that looks after clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `PILOTHOUSE_TABLE`.
    pub table: String,
    /// `PILOTHOUSE_TOPIC_ARN`; absent: notices are only logged.
    pub topic_arn: Option<String>,
    /// `PILOTHOUSE_RESOLVERS`; absent: the system's.
    pub resolvers: Option<Vec<SocketAddr>>,
    /// `PILOTHOUSE_PULSE_SECONDS`: from the start of one pass to the start of the next.
    pub pulse: Duration,
    /// `PILOTHOUSE_PULSE_BUDGET_SECONDS`: no pass starts later than this after the first. Zero: a single pass.
    pub pulse_budget: Duration,
}

/// One unusable variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The variable.
    pub variable: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

/// Every unusable variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct ConfigError {
    /// In the order of the contract's table.
    pub problems: Vec<ConfigProblem>,
}

impl ConfigError {
    fn lines(&self) -> String {
        let problems = self.problems.iter().map(|p| format!("{}: {}", p.variable, p.problem));
        format!("the environment is not usable: {}", problems.collect::<Vec<_>>().join("; "))
    }
}

const TABLE: &str = "PILOTHOUSE_TABLE";
const TOPIC_ARN: &str = "PILOTHOUSE_TOPIC_ARN";
const RESOLVERS: &str = "PILOTHOUSE_RESOLVERS";
const PULSE: &str = "PILOTHOUSE_PULSE_SECONDS";
const PULSE_BUDGET: &str = "PILOTHOUSE_PULSE_BUDGET_SECONDS";
const VERBS: &str = "PILOTHOUSE_VERBS";
const PRESIGNED: &str = "PILOTHOUSE_COPY_PRESIGNED_URL";
const KNOWN: [&str; 7] = [TABLE, TOPIC_ARN, RESOLVERS, PULSE, PULSE_BUDGET, VERBS, PRESIGNED];

impl Settings for Config {
    fn take(environment: &mut Environment<'_>) -> Self {
        Self {
            table: environment.table(),
            topic_arn: environment.topic_arn(),
            resolvers: environment.resolvers(),
            pulse: environment.seconds(PULSE, 10, 1, 60),
            pulse_budget: environment.seconds(PULSE_BUDGET, 50, 0, 840),
        }
    }
}

/// Reads the process's environment.
///
/// # Errors
/// As [`from_map`].
pub fn from_environment<S: Settings>() -> Result<S, ConfigError> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    from_map(&variables)
}

/// Reads a map of variables.
///
/// # Errors
/// Every variable that is missing or unusable. A misspelt `PILOTHOUSE_` variable is one: ignored, it would look like a
/// setting that has no effect.
pub fn from_map<S: Settings>(variables: &BTreeMap<String, String>) -> Result<S, ConfigError> {
    let mut environment = Environment { variables, problems: Vec::new() };
    let settings = S::take(&mut environment);
    for name in variables.keys().filter(|n| n.starts_with("PILOTHOUSE_") && !KNOWN.contains(&n.as_str())) {
        environment.note(name, format!("is not known; did you mean `{}`?", nearest(name, &KNOWN)));
    }
    if environment.problems.is_empty() { Ok(settings) } else { Err(ConfigError { problems: environment.problems }) }
}

/// Variables, and what is wrong with them.
#[derive(Debug)]
pub struct Environment<'a> {
    variables: &'a BTreeMap<String, String>,
    problems: Vec<ConfigProblem>,
}

impl Environment<'_> {
    /// `PILOTHOUSE_TABLE`, which is required.
    pub fn table(&mut self) -> String {
        match self.value(TABLE) {
            None => self.note(TABLE, "is required: the name of the DynamoDB table".to_owned()),
            Some(name) if is_table_name(&name) => return name,
            Some(name) => {
                let rule = "3 to 255 of a-z, A-Z, 0-9, `_`, `-` and `.`, or an ARN";
                self.note(TABLE, format!("`{}` is no table name: {rule}", short(&name)));
            }
        }
        String::new()
    }

    /// `PILOTHOUSE_TOPIC_ARN`.
    pub fn topic_arn(&mut self) -> Option<String> {
        let arn = self.value(TOPIC_ARN).filter(|v| !v.is_empty())?;
        if !is_topic_arn(&arn) {
            let form = "arn:aws:sns:<region>:<account>:<name>";
            self.note(TOPIC_ARN, format!("`{}` is no SNS topic ARN ({form})", short(&arn)));
        }
        Some(arn)
    }

    /// `PILOTHOUSE_RESOLVERS`: DNS servers.
    pub fn resolvers(&mut self) -> Option<Vec<SocketAddr>> {
        let list = self.value(RESOLVERS).filter(|v| !v.is_empty())?;
        let mut servers = Vec::new();
        for entry in list.split(',').map(str::trim) {
            match entry.parse::<SocketAddr>() {
                Ok(address) if address.port() != 0 => servers.push(address),
                _ => {
                    let form = "like 10.0.0.2:53 or [fd00::2]:53";
                    self.note(RESOLVERS, format!("`{}` is no address with a port, {form}", short(entry)));
                }
            }
        }
        Some(servers)
    }

    /// `PILOTHOUSE_VERBS`: some of the words `known`; absent: `default`.
    pub fn verbs(&mut self, known: &[&'static str], default: &[&'static str]) -> BTreeSet<&'static str> {
        let Some(list) = self.value(VERBS) else { return default.iter().copied().collect() };
        let mut verbs = BTreeSet::new();
        for entry in list.split(',').map(str::trim) {
            match known.iter().find(|word| **word == entry) {
                Some(word) => {
                    verbs.insert(*word);
                }
                None => {
                    let problem = format!("`{}` is no verb; known are {}", short(entry), known.join(", "));
                    self.note(VERBS, problem);
                }
            }
        }
        verbs
    }

    /// `PILOTHOUSE_COPY_PRESIGNED_URL`: `true` or `false`; absent: `false`.
    pub fn copy_presigned_url(&mut self) -> bool {
        let text = self.value(PRESIGNED);
        match text.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.note(PRESIGNED, format!("`{}` is neither `true` nor `false`", short(other)));
                false
            }
        }
    }

    fn seconds(&mut self, name: &str, default: u64, least: u64, most: u64) -> Duration {
        let Some(text) = self.value(name) else { return Duration::from_secs(default) };
        match text.parse::<u64>() {
            Ok(n) if (least..=most).contains(&n) => Duration::from_secs(n),
            _ => {
                self.note(name, format!("`{}` is no whole number of seconds from {least} to {most}", short(&text)));
                Duration::from_secs(default)
            }
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.trim().to_owned())
    }

    fn note(&mut self, variable: &str, problem: String) {
        self.problems.push(ConfigProblem { variable: variable.to_owned(), problem });
    }
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> &'a str {
    known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, word)).copied().unwrap_or(TABLE)
}

fn is_table_name(text: &str) -> bool {
    let name = if text.starts_with("arn:") { text.rsplit(":table/").next().filter(|n| *n != text) } else { Some(text) };
    name.is_some_and(|n| {
        (3..=255).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    })
}

fn is_topic_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts.as_slice(), ["arn", partition, "sns", region, account, name]
        if partition.starts_with("aws") && !region.is_empty() && !name.is_empty()
            && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
}

/// A value as an error message shows it: never a whole secret that was pasted into the wrong variable.
fn short(text: &str) -> String {
    let head: String = text.chars().take(40).collect();
    if head.len() < text.len() { format!("{head}...") } else { head }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let map = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        from_map::<Config>(&map)
            .map_err(|e| e.problems.into_iter().map(|p| format!("{}: {}", p.variable, p.problem)).collect())
    }

    #[test]
    fn defaults_need_the_table_alone() {
        let config = read(&[("PILOTHOUSE_TABLE", "pilothouse"), ("HOME", "/")]).unwrap();
        assert_eq!(config.pulse, Duration::from_secs(10));
        assert_eq!(config.pulse_budget, Duration::from_secs(50));
        assert_eq!((config.topic_arn, config.resolvers), (None, None));
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let problems = read(&[
            ("PILOTHOUSE_TOPIC_ARN", "my-topic"),
            ("PILOTHOUSE_RESOLVERS", "10.0.0.2:53,dns.example:53,10.0.0.3"),
            ("PILOTHOUSE_PULSE_SECONDS", "0"),
            ("PILOTHOUSE_PULSE_BUDGET_SECONDS", "-1"),
            ("PILOTHOUSE_RESOLVER", "10.0.0.2:53"),
        ]);
        assert_eq!(
            problems.unwrap_err(),
            [
                "PILOTHOUSE_TABLE: is required: the name of the DynamoDB table",
                "PILOTHOUSE_TOPIC_ARN: `my-topic` is no SNS topic ARN (arn:aws:sns:<region>:<account>:<name>)",
                "PILOTHOUSE_RESOLVERS: `dns.example:53` is no address with a port, like 10.0.0.2:53 or [fd00::2]:53",
                "PILOTHOUSE_RESOLVERS: `10.0.0.3` is no address with a port, like 10.0.0.2:53 or [fd00::2]:53",
                "PILOTHOUSE_PULSE_SECONDS: `0` is no whole number of seconds from 1 to 60",
                "PILOTHOUSE_PULSE_BUDGET_SECONDS: `-1` is no whole number of seconds from 0 to 840",
                "PILOTHOUSE_RESOLVER: is not known; did you mean `PILOTHOUSE_RESOLVERS`?",
            ]
        );
    }

    #[test]
    fn table_names_are_checked() {
        for good in ["abc", "pilot_house-1.x", "arn:aws:dynamodb:us-east-1:111122223333:table/pilothouse"] {
            assert!(read(&[("PILOTHOUSE_TABLE", good)]).is_ok(), "{good}");
        }
        for bad in ["", "ab", "pilot house", "arn:aws:dynamodb:us-east-1:111122223333:pilothouse"] {
            assert!(read(&[("PILOTHOUSE_TABLE", bad)]).is_err(), "{bad}");
        }
    }

    /// A function without a table.
    #[derive(Debug, PartialEq)]
    struct Verbs(BTreeSet<&'static str>, Option<Vec<SocketAddr>>);

    impl Settings for Verbs {
        fn take(environment: &mut Environment<'_>) -> Self {
            Self(
                environment.verbs(&["resolve", "probe", "etcd_remove"], &["resolve", "probe"]),
                environment.resolvers(),
            )
        }
    }

    #[test]
    fn a_function_reads_what_it_needs_and_passes_over_what_is_the_others() {
        let read = |pairs: &[(&str, &str)]| {
            from_map::<Verbs>(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(read(&[]), Ok(Verbs(BTreeSet::from(["resolve", "probe"]), None)));
        // The template gives every function the same variables; what is wrong with another's is its own to say.
        let others = [("PILOTHOUSE_TABLE", "no table name"), ("PILOTHOUSE_PULSE_SECONDS", "x")];
        assert_eq!(read(&others), read(&[]));
        let some = read(&[("PILOTHOUSE_VERBS", " probe, etcd_remove ,probe")]);
        assert_eq!(some, Ok(Verbs(BTreeSet::from(["probe", "etcd_remove"]), None)));
        let bad = [("PILOTHOUSE_VERBS", "resolve,,drop"), ("PILOTHOUSE_RESOLVERS", "dns"), ("PILOTHOUSE_VERB", "x")];
        let problems: Vec<String> =
            read(&bad).unwrap_err().problems.into_iter().map(|p| format!("{}: {}", p.variable, p.problem)).collect();
        assert_eq!(
            problems,
            [
                "PILOTHOUSE_VERBS: `` is no verb; known are resolve, probe, etcd_remove",
                "PILOTHOUSE_VERBS: `drop` is no verb; known are resolve, probe, etcd_remove",
                "PILOTHOUSE_RESOLVERS: `dns` is no address with a port, like 10.0.0.2:53 or [fd00::2]:53",
                "PILOTHOUSE_VERB: is not known; did you mean `PILOTHOUSE_VERBS`?",
            ]
        );
    }

    #[test]
    fn settings_are_read() {
        let config = read(&[
            ("PILOTHOUSE_TABLE", "pilothouse"),
            ("PILOTHOUSE_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:pilothouse"),
            ("PILOTHOUSE_RESOLVERS", "10.0.0.2:53, [fd00::2]:5353"),
            ("PILOTHOUSE_PULSE_SECONDS", "1"),
            ("PILOTHOUSE_PULSE_BUDGET_SECONDS", "0"),
            ("PILOTHOUSE_VERBS", "resolve"),
        ])
        .unwrap();
        assert_eq!(config.resolvers.unwrap().len(), 2);
        assert_eq!((config.pulse.as_secs(), config.pulse_budget.as_secs()), (1, 0));
    }
}
