//! What goes from the table when a function is done with a cluster.

use ports::Write;

use super::{Acknowledgement, ClaimRecord, ClusterRecord, Tombstone};

impl ClusterRecord {
    /// Gives up those claims of an older generation that `free` says nothing is left of.
    pub fn release_claims(&self, free: impl Fn(&str) -> bool) -> Vec<Write> {
        let (free, releasing): (Vec<String>, Vec<String>) =
            self.releasing.iter().cloned().partition(|claim| free(claim));
        if free.is_empty() {
            return Vec::new();
        }
        let mut writes: Vec<Write> = free.iter().map(|claim| ClaimRecord::release(claim)).collect();
        writes.push(Self { releasing, ..self.clone() }.put());
        writes
    }

    /// The part of `function` in a cluster that asks nothing of it any more goes: its state, by the write that removes it, and
    /// what an older generation claimed with the prefix that is the function's. Of a deleted cluster the function is awaited no
    /// longer; with the last that was, the record goes, its claims and its acknowledgements.
    #[must_use]
    pub fn forgotten_by(
        &self,
        function: &str,
        claims: &str,
        acknowledged: &[Acknowledgement],
        state: Option<Write>,
    ) -> Vec<Write> {
        let mut writes: Vec<Write> = state.into_iter().collect();
        let Some(tombstone) = &self.tombstone else {
            writes.extend(self.release_claims(|claim| claim.starts_with(claims)));
            return writes;
        };
        let awaiting: Vec<String> = tombstone.awaiting.iter().filter(|f| *f != function).cloned().collect();
        if awaiting.is_empty() {
            writes.push(self.delete());
            writes.extend(self.claims.iter().chain(&self.releasing).map(|claim| ClaimRecord::release(claim)));
            writes.extend(acknowledged.iter().map(Acknowledgement::used));
        } else if awaiting.len() < tombstone.awaiting.len() {
            let tombstone = Some(Tombstone { awaiting, ..tombstone.clone() });
            writes.push(Self { tombstone, ..self.clone() }.put());
        }
        writes
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ports::{Expect, Key};
    use serde_json::Value;

    use super::*;

    fn record(awaiting: Option<&[&str]>) -> ClusterRecord {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        ClusterRecord {
            name: "acme".to_owned(),
            generation: 3,
            spec: Value::Null,
            owner: None,
            claims: owned(&["asg#new", "target-group#new"]),
            releasing: owned(&["asg#old", "target-group#old"]),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            tombstone: awaiting.map(|list| Tombstone { at: Timestamp::UNIX_EPOCH, awaiting: owned(list) }),
            version: 7,
        }
    }

    fn acknowledgement() -> Acknowledgement {
        Acknowledgement {
            cluster: "acme".to_owned(),
            what: "FleetBrake".to_owned(),
            by: "a person".to_owned(),
            reason: String::new(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn state() -> Write {
        Write::Delete { key: Key::new("state#f", "acme"), expect: Expect::Version(2) }
    }

    fn forgotten(record: &ClusterRecord) -> Vec<Write> {
        record.forgotten_by("f", "asg#", &[acknowledgement()], Some(state()))
    }

    #[test]
    fn a_cluster_that_stays_keeps_what_is_not_this_functions() {
        let known = record(None);
        let left = ClusterRecord { releasing: vec!["target-group#old".to_owned()], ..known.clone() };
        assert_eq!(forgotten(&known), [state(), ClaimRecord::release("asg#old"), left.put()]);
        assert_eq!(left.forgotten_by("f", "asg#", &[acknowledgement()], None), []);
    }

    #[test]
    fn a_deleted_clusters_record_waits_for_every_function_and_goes_with_the_last() {
        let both = record(Some(&["g", "f"]));
        assert_eq!(forgotten(&both), [state(), record(Some(&["g"])).put()]);
        // It was awaited no longer: its second word changes nothing.
        assert_eq!(forgotten(&record(Some(&["g"]))), [state()]);
        let last = record(Some(&["f"]));
        let mut gone = vec![state(), last.delete()];
        gone.extend(["asg#new", "target-group#new", "asg#old", "target-group#old"].map(ClaimRecord::release));
        gone.push(acknowledgement().used());
        assert_eq!(forgotten(&last), gone);
    }
}
