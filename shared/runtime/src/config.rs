//! The environment, read once, with every problem listed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What the environment says.
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
const KNOWN: [&str; 6] = [TABLE, TOPIC_ARN, RESOLVERS, PULSE, PULSE_BUDGET, "PILOTHOUSE_VERBS"];

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// Every variable that is missing or unusable.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        Self::from_map(&variables)
    }

    /// Reads a map of variables.
    ///
    /// # Errors
    /// Every variable that is missing or unusable. A misspelt `PILOTHOUSE_` variable is one: ignored, it would look
    /// like a setting that has no effect.
    pub fn from_map(variables: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut note = |variable: &str, problem: String| {
            problems.push(ConfigProblem { variable: variable.to_owned(), problem });
        };
        let value = |name: &str| variables.get(name).map(|v| v.trim());

        let table = match value(TABLE) {
            None => {
                note(TABLE, "is required: the name of the DynamoDB table".to_owned());
                String::new()
            }
            Some(name) if is_table_name(name) => name.to_owned(),
            Some(name) => {
                note(
                    TABLE,
                    format!(
                        "`{}` is no table name: 3 to 255 of a-z, A-Z, 0-9, `_`, `-` and `.`, or an ARN",
                        short(name)
                    ),
                );
                String::new()
            }
        };
        let topic_arn = value(TOPIC_ARN).filter(|v| !v.is_empty()).map(|arn| {
            if !is_topic_arn(arn) {
                note(
                    TOPIC_ARN,
                    format!("`{}` is no SNS topic ARN (arn:aws:sns:<region>:<account>:<name>)", short(arn)),
                );
            }
            arn.to_owned()
        });
        let resolvers = value(RESOLVERS).filter(|v| !v.is_empty()).map(|list| {
            list.split(',')
                .filter_map(|entry| match entry.trim().parse::<SocketAddr>() {
                    Ok(address) if address.port() != 0 => Some(address),
                    _ => {
                        note(
                            RESOLVERS,
                            format!(
                                "`{}` is no address with a port, like 10.0.0.2:53 or [fd00::2]:53",
                                short(entry.trim())
                            ),
                        );
                        None
                    }
                })
                .collect::<Vec<_>>()
        });
        let mut seconds = |name: &str, default: u64, least: u64, most: u64| {
            let Some(text) = value(name) else { return Duration::from_secs(default) };
            match text.parse::<u64>() {
                Ok(n) if (least..=most).contains(&n) => Duration::from_secs(n),
                _ => {
                    note(name, format!("`{}` is no whole number of seconds from {least} to {most}", short(text)));
                    Duration::from_secs(default)
                }
            }
        };
        let pulse = seconds(PULSE, 10, 1, 60);
        let pulse_budget = seconds(PULSE_BUDGET, 50, 0, 840);
        for name in variables.keys().filter(|n| n.starts_with("PILOTHOUSE_") && !KNOWN.contains(&n.as_str())) {
            let nearest = KNOWN.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name)).copied();
            note(name, format!("is not known; did you mean `{}`?", nearest.unwrap_or(TABLE)));
        }

        if problems.is_empty() {
            Ok(Self { table, topic_arn, resolvers, pulse, pulse_budget })
        } else {
            Err(ConfigError { problems })
        }
    }
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
        Config::from_map(&map)
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
