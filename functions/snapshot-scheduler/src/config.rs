//! What the environment says to the scheduler.

use runtime::config::{Environment, Settings};

/// The scheduler's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What every function that looks after clusters takes.
    pub shared: runtime::config::Config,
    /// `PILOTHOUSE_COPY_PRESIGNED_URL`: a copy of an encrypted snapshot is asked for with a presigned URL of its source. EC2's
    /// reference requires one over its Query API (`API_CopySnapshot`, PresignedUrl), and some SDKs send none.
    pub presigned_url: bool,
}

impl Settings for Config {
    fn take(environment: &mut Environment<'_>) -> Self {
        Self { shared: runtime::config::Config::take(environment), presigned_url: environment.copy_presigned_url() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_switch_is_off_unless_it_is_said_to_be_on() {
        let read = |value: Option<&str>| {
            let table = ("PILOTHOUSE_TABLE".to_owned(), "pilothouse".to_owned());
            let switch = value.map(|value| ("PILOTHOUSE_COPY_PRESIGNED_URL".to_owned(), value.to_owned()));
            let variables: BTreeMap<String, String> = [table].into_iter().chain(switch).collect();
            runtime::config::from_map::<Config>(&variables).map(|config| config.presigned_url)
        };
        assert_eq!((read(None), read(Some("false")), read(Some("true"))), (Ok(false), Ok(false), Ok(true)));
        let problem = read(Some("yes")).unwrap_err().to_string();
        assert!(problem.contains("PILOTHOUSE_COPY_PRESIGNED_URL: `yes` is neither `true` nor `false`"), "{problem}");
    }
}
