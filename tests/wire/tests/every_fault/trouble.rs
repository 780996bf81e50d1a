//! What may go wrong with a call, and where.

use std::fmt;

use stack::{Call, Fault, FaultKind};

/// A gateway is asked.
const INVOKE: &str = "lambda:Invoke";
/// A secret is read.
pub(crate) const SECRET: &str = "secretsmanager:GetSecretValue";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Throttle,
    Error500,
    Reset,
    TimeOut,
    /// The SDK's retry finds the call done already.
    LostOnce,
    /// And that answer is lost, too.
    Lost,
    Stale,
    KillBefore,
    KillAfter,
}

impl Trouble {
    pub(crate) const ALL: [Self; 9] = [
        Self::Throttle,
        Self::Error500,
        Self::Reset,
        Self::TimeOut,
        Self::LostOnce,
        Self::Lost,
        Self::Stale,
        Self::KillBefore,
        Self::KillAfter,
    ];

    /// For tables and the selection of one trial.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Error500 => "500",
            Self::Reset => "reset",
            Self::TimeOut => "time-out",
            Self::LostOnce => "lost-once",
            Self::Lost => "lost",
            Self::Stale => "stale",
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
        }
    }

    /// How many calls it hits. The SDK makes two attempts: one failure it mends by itself. A gateway is asked only once, and
    /// a secret is not waited for until its second attempt.
    pub(crate) fn times(self, call: &Name) -> i32 {
        match self {
            _ if call.operation == INVOKE => 1,
            Self::TimeOut if call.operation == SECRET => 1,
            Self::Throttle | Self::Error500 | Self::Reset | Self::TimeOut | Self::Lost => 2,
            Self::LostOnce | Self::Stale | Self::KillBefore | Self::KillAfter => 1,
        }
    }

    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }

    /// The emulator's fault.
    pub(crate) fn at(self, place: &Place) -> Fault {
        let (kind, seconds) = match self {
            Self::Throttle => (FaultKind::Throttle, None),
            Self::Error500 => (FaultKind::Error500, None),
            Self::Reset => (FaultKind::Reset, None),
            // A gateway has 9 s.
            Self::TimeOut if place.name.operation == INVOKE => (FaultKind::Timeout, Some(10.0)),
            // The SDK gives up an attempt after 4 s.
            Self::TimeOut => (FaultKind::Timeout, Some(5.0)),
            Self::LostOnce | Self::Lost => (FaultKind::LostReply, None),
            // How the world was before the minute that precedes each step.
            Self::Stale => (FaultKind::Stale, Some(30.0)),
            Self::KillBefore => (FaultKind::HoldBefore, None),
            Self::KillAfter => (FaultKind::HoldAfter, None),
        };
        let name = &place.name;
        let containing = (!name.on.is_empty()).then(|| format!("\"{}\"", name.on));
        Fault { seconds, containing, ..Fault::new(&name.operation, kind).times(self.times(name)).after(place.nth) }
    }
}

/// A call's name: what is asked, and of which partition where it is our table, which verb of a gateway, which secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) operation: String,
    pub(crate) on: String,
}

impl Name {
    pub(crate) fn of(call: &Call) -> Self {
        let pointers = [
            "/ExpressionAttributeValues/:pk/S",
            "/Key/pk/S",
            "/Item/pk/S",
            "/TransactItems/0/Put/Item/pk/S",
            "/Payload/verb",
            "/SecretId",
        ];
        let on = pointers.iter().find_map(|pointer| call.params.pointer(pointer)?.as_str()).unwrap_or_default();
        Self { operation: call.name(), on: on.to_owned() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.on.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}", self.operation, self.on)
    }
}

/// A call of an undisturbed step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) step: usize,
    pub(crate) name: Name,
    /// How many of that name come before it in the step.
    pub(crate) nth: u32,
    pub(crate) mutates: bool,
}

/// One trouble at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Trial {
    pub(crate) place: Place,
    pub(crate) trouble: Trouble,
}

impl Trial {
    /// Whether all that happens is that the customer's side cannot be seen: a gateway or a secret does not answer.
    pub(crate) fn blinds(&self) -> bool {
        let called = self.place.name.operation.as_str();
        [INVOKE, SECRET].contains(&called) && self.trouble != Trouble::Stale && !self.trouble.kills()
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { step, name, nth, .. } = &self.place;
        write!(f, "step {step}, {name} #{nth}, {}", self.trouble.name())
    }
}
