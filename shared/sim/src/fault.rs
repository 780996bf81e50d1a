//! What goes wrong with a call.

use ports::{Class, PortError};

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The service asks to slow down. No effect.
    Throttle,
    /// The service fails, before or after the effect.
    Failure,
    /// The connection breaks before the request arrives. No effect.
    Reset,
    /// No answer in time; the request may have arrived.
    Timeout,
    /// The call takes effect, and the connection breaks before the reply.
    LostReply,
    /// The reply of the first attempt is lost, and the client's library sends the request again.
    Repeated,
    /// An eventually consistent read that lags behind.
    Stale,
    /// The process ends before the request is sent.
    KillBefore,
    /// The process ends after the call took effect, before it sees the reply.
    KillAfter,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Throttle,
        Self::Failure,
        Self::Reset,
        Self::Timeout,
        Self::LostReply,
        Self::Repeated,
        Self::Stale,
        Self::KillBefore,
        Self::KillAfter,
    ];

    /// What the caller sees of a fault that it sees as a failure.
    pub(crate) fn error(self, call: &'static str) -> PortError {
        let (class, code) = match self {
            Self::Throttle => (Class::Throttled, "Throttling"),
            Self::Failure => (Class::Unavailable, "InternalFailure"),
            Self::Timeout => (Class::TimedOut, "TimedOut"),
            _ => (Class::Disconnected, "ConnectionFailed"),
        };
        PortError { call, class, code: code.to_owned(), message: "injected".to_owned() }
    }
}

/// How likely each fault is at a call, of 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Odds {
    /// [`Fault::Throttle`]
    pub throttle: f64,
    /// [`Fault::Failure`]
    pub failure: f64,
    /// [`Fault::Reset`]
    pub reset: f64,
    /// [`Fault::Timeout`]
    pub timeout: f64,
    /// [`Fault::LostReply`]
    pub lost_reply: f64,
    /// [`Fault::Repeated`]
    pub repeated: f64,
    /// [`Fault::Stale`]
    pub stale: f64,
}

impl Odds {
    pub(crate) fn draw(&self, rng: &mut fastrand::Rng) -> Option<Fault> {
        let mut left = rng.f64();
        let kinds = [
            (self.throttle, Fault::Throttle),
            (self.failure, Fault::Failure),
            (self.reset, Fault::Reset),
            (self.timeout, Fault::Timeout),
            (self.lost_reply, Fault::LostReply),
            (self.repeated, Fault::Repeated),
            (self.stale, Fault::Stale),
        ];
        kinds.into_iter().find_map(|(odds, fault)| {
            left -= odds;
            (left < 0.0).then_some(fault)
        })
    }
}

/// What goes wrong at present. Without any, calls are quick and right.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weather {
    /// Everywhere.
    pub everywhere: Odds,
    /// At the services whose calls begin with this (`ec2:`), in the place of `everywhere`.
    pub at: Option<(&'static str, Odds)>,
}

impl Weather {
    pub(crate) fn odds(&self, call: &str) -> Odds {
        match &self.at {
            Some((service, odds)) if call.starts_with(service) => *odds,
            _ => self.everywhere,
        }
    }
}
