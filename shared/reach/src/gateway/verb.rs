//! The closed list of what a gateway does.

use serde::{Deserialize, Serialize};

/// What a gateway can be asked to do, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Looks names up.
    Resolve,
    /// Asks PostgreSQL servers what they are.
    Probe,
    /// Asks a node's Patroni what it knows.
    PatroniGet,
    /// Asks a node's Patroni to hand the leadership to another node.
    PatroniSwitchover,
    /// Asks a node's Patroni to throw its data away and to copy the leader's.
    PatroniReinitialize,
    /// Asks an etcd member for its state and the list of members.
    EtcdMembers,
    /// Adds a learner to an etcd cluster.
    EtcdAddLearner,
    /// Makes a learner a voter.
    EtcdPromote,
    /// Removes a member from an etcd cluster.
    EtcdRemove,
    /// Hands the leadership of an etcd cluster to another member.
    EtcdMoveLeader,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 10] = [
        Self::Resolve,
        Self::Probe,
        Self::PatroniGet,
        Self::PatroniSwitchover,
        Self::PatroniReinitialize,
        Self::EtcdMembers,
        Self::EtcdAddLearner,
        Self::EtcdPromote,
        Self::EtcdRemove,
        Self::EtcdMoveLeader,
    ];

    /// As requests and `PILOTHOUSE_VERBS` have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Probe => "probe",
            Self::PatroniGet => "patroni_get",
            Self::PatroniSwitchover => "patroni_switchover",
            Self::PatroniReinitialize => "patroni_reinitialize",
            Self::EtcdMembers => "etcd_members",
            Self::EtcdAddLearner => "etcd_add_learner",
            Self::EtcdPromote => "etcd_promote",
            Self::EtcdRemove => "etcd_remove",
            Self::EtcdMoveLeader => "etcd_move_leader",
        }
    }

    /// The verb of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.word() == word)
    }

    /// Whether it changes something in the cluster that is asked. What only reads may be asked twice.
    #[must_use]
    pub fn changes(self) -> bool {
        match self {
            Self::Resolve | Self::Probe | Self::PatroniGet | Self::EtcdMembers => false,
            Self::PatroniSwitchover
            | Self::PatroniReinitialize
            | Self::EtcdAddLearner
            | Self::EtcdPromote
            | Self::EtcdRemove
            | Self::EtcdMoveLeader => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_listed_and_has_the_word_that_requests_have() {
        for verb in Verb::ALL {
            assert_eq!(serde_json::to_value(verb).unwrap(), verb.word());
            assert_eq!(Verb::of(verb.word()), Some(verb));
        }
        // The last of the list: one that is added and not listed shows here.
        assert_eq!(Verb::EtcdMoveLeader as usize + 1, Verb::ALL.len());
        assert_eq!(Verb::of("etcd_drop"), None);
    }
}
