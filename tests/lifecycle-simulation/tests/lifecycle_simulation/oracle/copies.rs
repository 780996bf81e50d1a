//! What throws a node's data away: never what others may need, never what comes forward, and once in a launch.

use jiff::SignedDuration;
use sim::NodeTruth;

use super::Oracle;

/// How long a node has stood still at the least. The function waits somewhat longer.
const STANDSTILL: SignedDuration = SignedDuration::from_mins(15);

impl Oracle {
    /// A node is asked to copy the leader anew. `refused`: it did not take that up.
    pub(super) fn copies(&mut self, instance: &str, refused: Option<&str>, before: &[NodeTruth]) {
        self.count("base backups asked for");
        let known = self.nodes.get(instance).cloned().unwrap_or_default();
        if !self.recent(known.waited) {
            self.violate("copies", format!("{instance} does not wait to join, and is to throw its data away"));
        }
        if self.recent(known.led) {
            self.violate("copies", format!("{instance} leads, and is to throw its data away"));
        }
        let leads = |other: &&NodeTruth| other.instance != instance && (other.leads || other.writable);
        let led_by = before.iter().find(leads).map(|node| node.instance.clone());
        let led = |(id, other): (&String, &super::Known)| id != instance && self.recent(other.led);
        if led_by.is_none() && !self.nodes.iter().any(led) {
            self.violate("copies", format!("{instance} is to throw its data away, and nobody else leads"));
        }
        let still = known.advanced.zip(self.now).map(|(at, now)| now.duration_since(at));
        if still.is_some_and(|still| still < STANDSTILL) {
            self.violate("copies", format!("{instance} is to throw its data away, and advanced {still:?} ago"));
        }
        if refused.is_some() {
            return self.count("base backups refused");
        }
        self.count("base backups begun");
        if !self.copied.insert(instance.to_owned()) {
            self.violate("copies", format!("{instance} throws its data away a second time"));
        }
    }
}
