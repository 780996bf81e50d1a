//! A process, as the world sees it: whose calls they are, how long they take, what goes wrong, and when it dies.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use ports::{CallLog, PortError};

use crate::calls::{Happened, Record};
use crate::fault::Fault;
use crate::world::{State, World};

/// How long a call that nobody answers takes: our clients give up before the ten seconds that a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(9);

/// The call at which a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doom {
    /// How many calls it makes before.
    pub after_calls: u32,
    /// Whether that call still takes effect.
    pub takes_effect: bool,
}

/// A process's way into the world. Clones are the same process.
#[derive(Debug, Clone)]
pub struct Client {
    world: World,
    name: Arc<str>,
    dead: Arc<AtomicBool>,
    doom: Arc<Mutex<Option<Doom>>>,
    calls: CallLog,
}

/// When a call takes effect, and when what it reads was true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    /// `now`, or earlier where the read lags behind.
    pub(crate) seen: Timestamp,
}

/// The kinds of calls, as far as faults go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A read that may lag behind by up to this.
    Lagging(Duration),
    /// A read of what was written last.
    Consistent,
    /// A change.
    Change,
}

impl Client {
    pub(crate) fn new(world: World, name: &str) -> Self {
        Self {
            world,
            name: name.into(),
            dead: Arc::new(AtomicBool::new(false)),
            doom: Arc::new(Mutex::new(None)),
            calls: CallLog::default(),
        }
    }

    /// The world.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The process's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was sent.
    #[must_use]
    pub fn calls(&self) -> &CallLog {
        &self.calls
    }

    /// When this process is to die; `None`: not at a call.
    pub fn doom(&self, doom: Option<Doom>) {
        *self.doom.lock().unwrap_or_else(PoisonError::into_inner) = doom;
    }

    /// Runs what the process does, until it is done (`Some`) or the process dies (`None`), which drops it where it stands.
    pub async fn live<T>(&self, life: impl Future<Output = T>) -> Option<T> {
        Life { dead: &self.dead, life: pin!(life) }.await
    }

    fn fate(&self) -> Option<Fault> {
        let mut doom = self.doom.lock().unwrap_or_else(PoisonError::into_inner);
        let due = doom.as_mut()?;
        if due.after_calls > 0 {
            due.after_calls -= 1;
            return None;
        }
        let fault = if due.takes_effect { Fault::KillAfter } else { Fault::KillBefore };
        *doom = None;
        Some(fault)
    }

    async fn die<T>(&self) -> T {
        self.dead.store(true, Ordering::SeqCst);
        std::future::pending().await
    }

    /// One call: it travels, takes effect (or does not), and the reply travels back (or is lost).
    pub(crate) async fn call<T>(
        &self,
        call: &'static str,
        kind: Kind,
        mut effect: impl FnMut(&mut State, Moment) -> (Result<T, PortError>, Happened) + Send,
    ) -> Result<T, PortError> {
        let time = self.world.time();
        let doom = self.fate();
        let (fault, there, back, coin, lag) = self.world.with(|state| {
            let odds = state.weather().odds(call);
            let rng = state.rng();
            let fault = doom.or_else(|| odds.draw(rng)).filter(|fault| match fault {
                Fault::Stale => matches!(kind, Kind::Lagging(_)),
                Fault::Repeated => kind == Kind::Change,
                _ => true,
            });
            let milliseconds = |rng: &mut fastrand::Rng| {
                // Mostly quick; sometimes slow enough for others to come between.
                let most = if rng.u8(..10) == 0 { 1500 } else { 60 };
                Duration::from_millis(rng.u64(2..most))
            };
            let (there, back, coin) = (milliseconds(rng), milliseconds(rng), rng.bool());
            let lag = match kind {
                Kind::Lagging(most) if fault == Some(Fault::Stale) => most.mul_f64(rng.f64()),
                _ => Duration::ZERO,
            };
            (fault, there, back, coin, lag)
        });
        if fault == Some(Fault::KillBefore) {
            self.record(call, fault, false, Happened::Nothing);
            return self.die().await;
        }
        self.calls.record(call.to_owned());
        let arrives = match fault {
            Some(Fault::Throttle | Fault::Reset) => false,
            Some(Fault::Failure | Fault::Timeout) => kind == Kind::Change && coin,
            _ => true,
        };
        time.sleep(there).await;
        let mut answer = None;
        if arrives {
            let attempts = if fault == Some(Fault::Repeated) { 2 } else { 1 };
            for attempt in 1..=attempts {
                let (result, happened) = self.world.with(|state| {
                    let now = time.now();
                    state.advance(now);
                    let moment = Moment { now, seen: now.checked_sub(lag).unwrap_or(now) };
                    effect(state, moment)
                });
                let heard = match fault {
                    None | Some(Fault::Stale) => true,
                    Some(Fault::Repeated) => attempt == attempts,
                    Some(_) => false,
                };
                self.record(call, fault, heard, happened);
                answer = Some(result);
                if attempt < attempts {
                    time.sleep(back).await;
                }
            }
        } else {
            self.record(call, fault, false, Happened::Nothing);
        }
        match fault {
            Some(Fault::KillAfter) => self.die().await,
            Some(Fault::Timeout) => {
                time.sleep(CALL_LIMIT.saturating_sub(there)).await;
                Err(Fault::Timeout.error(call))
            }
            Some(fault @ (Fault::Throttle | Fault::Failure | Fault::Reset | Fault::LostReply)) => {
                time.sleep(back).await;
                Err(fault.error(call))
            }
            _ => {
                time.sleep(back).await;
                answer.unwrap_or_else(|| Err(Fault::Reset.error(call)))
            }
        }
    }

    fn record(&self, call: &'static str, fault: Option<Fault>, answered: bool, happened: Happened) {
        let at = self.world.time().now();
        self.world.record(Record { at, process: Arc::clone(&self.name), call, fault, answered, happened });
    }
}

struct Life<'a, F> {
    dead: &'a AtomicBool,
    life: Pin<&'a mut F>,
}

impl<F: Future> Future for Life<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        match self.life.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.dead.load(Ordering::SeqCst) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
