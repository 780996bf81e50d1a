//! What every measurement needs: the packages' programs, a cloud, a DNS server, and the template of a settled cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use stack::{DnsServer, Zone};

use crate::clock::now;
use crate::cloud::{Call, Cloud};
use crate::failure::Failure;
use crate::fleet::{Member, Rows, Template};
use crate::process::{Process, Usage};

/// What an invocation of the watcher has on Lambda, as the template gives it.
pub(crate) const BUDGET: Duration = Duration::from_secs(60);
/// How often the first cluster is looked at before it must have settled.
const PASSES_TO_SETTLE: usize = 8;
/// TTL of every name, in seconds.
const TTL: u32 = 1;

/// The programs.
#[derive(Debug)]
pub(crate) struct Lab {
    packages: PathBuf,
}

/// A cloud with a fleet in it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) cloud: Cloud,
    pub(crate) dns: DnsServer,
    pub(crate) members: Vec<Member>,
}

/// One pass over the fleet, by itself an invocation.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) time: Duration,
    /// Of this pass alone.
    pub(crate) processor: Duration,
    /// Of the process since its start, in bytes.
    pub(crate) peak: u64,
    pub(crate) calls: Vec<Call>,
    pub(crate) report: Value,
}

impl Pass {
    /// How many clusters had this outcome.
    pub(crate) fn outcome(&self, outcome: &str) -> usize {
        let count = self.report.pointer(&format!("/counts/{outcome}")).and_then(Value::as_u64);
        count.and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
    }

    /// How many clusters were reported.
    pub(crate) fn reported(&self) -> usize {
        ["unchanged", "changed", "waiting", "blocked", "failed"].iter().map(|outcome| self.outcome(outcome)).sum()
    }
}

impl Lab {
    /// With the packages below `packages`, `<function>/bootstrap` each.
    pub(crate) fn new(packages: &Path) -> Result<Self, Failure> {
        if packages.is_dir() {
            Ok(Self { packages: packages.to_owned() })
        } else {
            Err(Failure::Usage(format!("there is no {}", packages.display())))
        }
    }

    /// Where the packages are.
    pub(crate) fn packages(&self) -> &Path {
        &self.packages
    }

    /// A function's program.
    pub(crate) fn program(&self, function: &str) -> PathBuf {
        self.packages.join(function).join("bootstrap")
    }

    /// Where a function's log goes.
    pub(crate) fn log(&self, function: &str) -> PathBuf {
        self.program(function).with_extension("log")
    }

    /// Starts a function as it runs on Lambda.
    pub(crate) fn start(&self, function: &str, site: &Site) -> Result<Process, Failure> {
        let process = Process::start_limited(&self.program(function), &site.environment(), &self.log(function))?;
        process.first_poll()?;
        Ok(process)
    }

    /// The rows of one cluster that the registry took in and the watcher settled.
    pub(crate) fn settle_one(&self) -> Result<Template, Failure> {
        let first = Member::number(0);
        let site = Site::empty()?;
        site.cloud.make(&first);
        site.answer(&first, &first.address());
        let registry = self.start("cluster-registry", &site)?;
        let put = registry.invoke(&json!({"put": first.spec()}), BUDGET)?;
        if put.get("ok") != Some(&Value::Bool(true)) {
            return Err(Failure::Function(format!("the registry refused the spec: {put}")));
        }
        let watcher = self.start("peering-watcher", &site)?;
        for _ in 0..PASSES_TO_SETTLE {
            let pass = site.pass(&watcher)?;
            if pass.outcome("unchanged") == 1 {
                return Ok(Template::of(&site.cloud, first));
            }
            std::thread::sleep(Duration::from_secs(TTL.into()));
        }
        Err(Failure::Function(format!("a cluster did not settle in {PASSES_TO_SETTLE} passes")))
    }
}

impl Site {
    fn empty() -> Result<Self, Failure> {
        Ok(Self { cloud: Cloud::start()?, dns: DnsServer::start()?, members: Vec::new() })
    }

    /// `n` clusters whose names answer their primaries' addresses.
    pub(crate) fn fill(template: &Template, n: usize, rows: Rows) -> Result<Self, Failure> {
        let mut site = Self::empty()?;
        site.members = template.fill(&site.cloud, n, rows);
        for member in &site.members {
            site.answer(member, &member.address());
        }
        Ok(site)
    }

    /// The member's name answers this address from now on.
    pub(crate) fn answer(&self, member: &Member, address: &str) {
        self.dns.set(&member.host, Zone::addresses(&[address], TTL));
    }

    /// Where functions find all this.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        [
            ("PILOTHOUSE_TABLE", "pilothouse".to_owned()),
            ("PILOTHOUSE_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:pilothouse".to_owned()),
            ("PILOTHOUSE_RESOLVERS", self.dns.address().to_string()),
            ("PILOTHOUSE_PULSE_BUDGET_SECONDS", "0".to_owned()),
            ("PILOTHOUSE_VERBS", "resolve,probe".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.cloud.address)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// One pass of the watcher over everything.
    pub(crate) fn pass(&self, watcher: &Process) -> Result<Pass, Failure> {
        self.cloud.take_calls();
        let before = watcher.usage()?;
        let began = now();
        let report = watcher.invoke(&json!({}), BUDGET)?;
        let time = began.elapsed();
        let Usage { peak, processor } = watcher.usage()?;
        let processor = processor.saturating_sub(before.processor);
        Ok(Pass { time, processor, peak, calls: self.cloud.take_calls(), report })
    }
}
