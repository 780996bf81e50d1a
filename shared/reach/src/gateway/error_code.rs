//! The codes of everything that can go wrong, in one list.

/// Why a request, an item or a probe has no result. The codes of names that do not resolve are those of
/// [`ports::NameAnswer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// The request as a whole is none.
    BadRequest,
    /// The asker is more than one version older or newer.
    UnsupportedVersion,
    /// A verb that this version does not have.
    UnknownVerb,
    /// A verb that this gateway may not do (`PILOTHOUSE_VERBS`).
    VerbNotAllowed,
    /// More items than one request may have.
    TooManyItems,
    /// Made by the asker: what came back is no answer.
    BadAnswer,
    /// The item itself is wrong. Nothing was sent for it.
    BadItem,
    /// No host of a customer can have this address. Nothing was sent to it.
    AddressRefused,
    /// The invocation's time was up before this item's turn: it says nothing about the host.
    OutOfTime,
    /// Nothing came in time; the message says at which step.
    TimedOut,
    /// The host has nothing listening on the port, or rejects us.
    ConnectionRefused,
    /// There is no way to the host.
    Unreachable,
    /// The server ended the connection; the message says at which step.
    ConnectionClosed,
    /// What answers does not keep to PostgreSQL's protocol.
    NotPostgres,
    /// The server has no TLS.
    TlsNotOffered,
    /// TLS could not be made, or the server's certificate does not hold.
    TlsFailed,
    /// The server wants a proof that would give the password away, or that we do not have.
    AuthMethodRefused,
    /// The server did not prove that it knows the role's password itself, as SCRAM wants it to.
    ServerNotProven,
    /// The server refused the role: password, `pg_hba.conf`, client certificate.
    AuthenticationFailed,
    /// No connection is left, on the server or for the role.
    TooManyConnections,
    /// The server is starting up, shutting down or recovering, and takes no connection.
    StartingUp,
    /// Another error of the server's.
    ServerError,
    /// What answers does not keep to HTTP/1.1.
    NotHttp,
    /// The answer is longer than one may be.
    AnswerTooLong,
    /// What answers is no etcd with its JSON gateway.
    NotEtcd,
    /// etcd wants a login that it was not given, or refused the one that it was.
    EtcdLoginFailed,
    /// etcd has no authentication, and was asked for a login. Never an item's own error: it is asked without.
    EtcdLoginNotNeeded,
    /// etcd did not take the token that it gave itself, twice.
    EtcdTokenInvalid,
    /// The user may not do this in etcd: members are changed by the role `root`.
    EtcdPermissionDenied,
    /// etcd has no leader or no quorum, or did not get an agreement in time. A change that was asked for may have been
    /// made.
    EtcdUnavailable,
    /// The asked member does not lead, and only the leader can do this.
    EtcdNotLeader,
    /// The asked member is a learner, and answers only about itself.
    EtcdAskedLearner,
    /// No member has this id. After a removal that is what was wanted.
    EtcdMemberNotFound,
    /// A member with this peer URL is there already. After an addition that is what was wanted.
    EtcdMemberExists,
    /// The member has its vote already. After a promotion that is what was wanted.
    EtcdNotLearner,
    /// etcd refuses this change for now: the learner is not in sync, there are too many learners, or too few members
    /// are started. Nothing was changed.
    EtcdNotReady,
    /// Another error of etcd's.
    EtcdError,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 37] = [
        Self::BadRequest,
        Self::UnsupportedVersion,
        Self::UnknownVerb,
        Self::VerbNotAllowed,
        Self::TooManyItems,
        Self::BadAnswer,
        Self::BadItem,
        Self::AddressRefused,
        Self::OutOfTime,
        Self::TimedOut,
        Self::ConnectionRefused,
        Self::Unreachable,
        Self::ConnectionClosed,
        Self::NotPostgres,
        Self::TlsNotOffered,
        Self::TlsFailed,
        Self::AuthMethodRefused,
        Self::ServerNotProven,
        Self::AuthenticationFailed,
        Self::TooManyConnections,
        Self::StartingUp,
        Self::ServerError,
        Self::NotHttp,
        Self::AnswerTooLong,
        Self::NotEtcd,
        Self::EtcdLoginFailed,
        Self::EtcdLoginNotNeeded,
        Self::EtcdTokenInvalid,
        Self::EtcdPermissionDenied,
        Self::EtcdUnavailable,
        Self::EtcdNotLeader,
        Self::EtcdAskedLearner,
        Self::EtcdMemberNotFound,
        Self::EtcdMemberExists,
        Self::EtcdNotLearner,
        Self::EtcdNotReady,
        Self::EtcdError,
    ];

    /// As it crosses the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::UnsupportedVersion => "UnsupportedVersion",
            Self::UnknownVerb => "UnknownVerb",
            Self::VerbNotAllowed => "VerbNotAllowed",
            Self::TooManyItems => "TooManyItems",
            Self::BadAnswer => "BadAnswer",
            Self::BadItem => "BadItem",
            Self::AddressRefused => "AddressRefused",
            Self::OutOfTime => "OutOfTime",
            Self::TimedOut => "TimedOut",
            Self::ConnectionRefused => "ConnectionRefused",
            Self::Unreachable => "Unreachable",
            Self::ConnectionClosed => "ConnectionClosed",
            Self::NotPostgres => "NotPostgres",
            Self::TlsNotOffered => "TlsNotOffered",
            Self::TlsFailed => "TlsFailed",
            Self::AuthMethodRefused => "AuthMethodRefused",
            Self::ServerNotProven => "ServerNotProven",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::TooManyConnections => "TooManyConnections",
            Self::StartingUp => "StartingUp",
            Self::ServerError => "ServerError",
            Self::NotHttp => "NotHttp",
            Self::AnswerTooLong => "AnswerTooLong",
            Self::NotEtcd => "NotEtcd",
            Self::EtcdLoginFailed => "EtcdLoginFailed",
            Self::EtcdLoginNotNeeded => "EtcdLoginNotNeeded",
            Self::EtcdTokenInvalid => "EtcdTokenInvalid",
            Self::EtcdPermissionDenied => "EtcdPermissionDenied",
            Self::EtcdUnavailable => "EtcdUnavailable",
            Self::EtcdNotLeader => "EtcdNotLeader",
            Self::EtcdAskedLearner => "EtcdAskedLearner",
            Self::EtcdMemberNotFound => "EtcdMemberNotFound",
            Self::EtcdMemberExists => "EtcdMemberExists",
            Self::EtcdNotLearner => "EtcdNotLearner",
            Self::EtcdNotReady => "EtcdNotReady",
            Self::EtcdError => "EtcdError",
        }
    }

    /// The code of that name; `None` for one that a newer gateway has, and for those of names.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_and_found_again() {
        for code in ErrorCode::ALL {
            assert_eq!(code.code(), format!("{code:?}"));
            assert_eq!(ErrorCode::of(code.code()), Some(code));
        }
        // The last of the list: one that is added and not listed shows here.
        assert_eq!(ErrorCode::EtcdError as usize + 1, ErrorCode::ALL.len());
        assert_eq!(ErrorCode::of("FromTheFuture"), None);
    }
}
