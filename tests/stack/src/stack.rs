//! All of a test's surroundings together, one test at a time.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Control, DnsServer, Emulator, Endpoints, Error, Function, Launch, WorldMade, binary};

/// The emulator of this process. Starting one takes seconds and a test a fraction of one, so they share it.
static EMULATOR: Mutex<Option<Arc<Emulator>>> = Mutex::new(None);

/// A turn at an emulator: while it lasts no other test of this process has one at the same. Dereferences to its [`Control`].
///
/// Functions are to be dropped before it, which they are when they are made after it.
#[derive(Debug)]
pub struct Stack {
    /// A DNS server of this test's own, which knows no name yet.
    pub dns: DnsServer,
    emulator: Arc<Emulator>,
    _turn: Option<MutexGuard<'static, Option<Arc<Emulator>>>>,
}

/// Waits for this test's turn and gives it the emulator, reset. If a test before it has left the emulator broken, a new one
/// is started.
///
/// # Errors
/// As [`Emulator::start`] and [`DnsServer::start`].
pub fn acquire() -> Result<Stack, Error> {
    // A test that panicked while it held the lock leaves nothing that the reset does not clear.
    let mut slot = EMULATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = slot.take().filter(|emulator| emulator.control().reset().is_ok());
    let emulator = match kept {
        Some(emulator) => emulator,
        None => Arc::new(Emulator::start()?),
    };
    *slot = Some(Arc::clone(&emulator));
    Ok(Stack { dns: DnsServer::start()?, emulator, _turn: Some(slot) })
}

impl Stack {
    /// An emulator of the caller's own, reset, for tests that run several worlds side by side. Only one stack may be over
    /// it at a time.
    ///
    /// # Errors
    /// As [`DnsServer::start`], and when the emulator does not answer.
    pub fn over(emulator: &Arc<Emulator>) -> Result<Self, Error> {
        emulator.control().reset()?;
        Ok(Self { dns: DnsServer::start()?, emulator: Arc::clone(emulator), _turn: None })
    }

    /// The emulator's process.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Where it listens.
    pub fn endpoints(&self) -> &Endpoints {
        self.emulator.endpoints()
    }

    /// The variables that point a function at this stack: table, topic, DNS server, and a single pass for each invocation.
    pub fn environment(&self, made: &WorldMade) -> BTreeMap<String, String> {
        let pairs = [
            ("PILOTHOUSE_TABLE", made.table.clone()),
            ("PILOTHOUSE_TOPIC_ARN", made.topic_arn.clone()),
            ("PILOTHOUSE_RESOLVERS", self.dns.address().to_string()),
            ("PILOTHOUSE_PULSE_BUDGET_SECONDS", "0".to_owned()),
            ("AWS_REGION", made.region.clone()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Starts the function `name` with exactly these variables over Lambda's.
    ///
    /// # Errors
    /// [`Error::NotBuilt`], or as [`Function::start`].
    pub fn function(&self, name: &str, env: &BTreeMap<String, String>) -> Result<Function, Error> {
        self.function_named(name, name, env)
    }

    /// Starts the function whose program is `program` under another name: one of [`crate::GATEWAYS`], or of a function.
    ///
    /// # Errors
    /// As [`Stack::function`].
    pub fn function_named(&self, name: &str, program: &str, env: &BTreeMap<String, String>) -> Result<Function, Error> {
        Function::start(&Launch { name, binary: &binary(program)?, endpoints: self.endpoints(), env, log_file: None })
    }
}

impl Deref for Stack {
    type Target = Control;

    fn deref(&self) -> &Control {
        self.emulator.control()
    }
}
