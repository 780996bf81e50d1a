//! Who may change a cluster.

use runtime::records::Owner;

/// Who asks for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requester {
    /// A person or a program, with a direct payload.
    Direct,
    /// A CloudFormation stack, through its custom resource.
    Stack(Owner),
}

impl Requester {
    /// The owner that a cluster gets which this requester makes.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Self::Direct => None,
            Self::Stack(owner) => Some(owner.clone()),
        }
    }

    /// Who it was, for the audit trail. A direct payload does not say.
    #[must_use]
    pub fn by(&self) -> Option<String> {
        self.owner().map(|owner| format!("{} ({})", owner.stack_id, owner.logical_id))
    }

    /// Why this requester may not change the cluster `name` that has `owner`; `None` where it may.
    ///
    /// A direct put over a stack's cluster is refused: the stack's next update would silently take it back.
    #[must_use]
    pub fn objection(&self, name: &str, owner: Option<&Owner>) -> Option<String> {
        match (self, owner) {
            (Self::Direct, None) => None,
            (Self::Stack(asking), Some(owner)) if asking == owner => None,
            (Self::Direct, Some(owner)) => {
                Some(format!("`{name}` is owned by CloudFormation stack {}; change it there", described(owner)))
            }
            (Self::Stack(_), Some(owner)) => {
                Some(format!("`{name}` is registered already by CloudFormation stack {}", described(owner)))
            }
            (Self::Stack(_), None) => Some(format!(
                "`{name}` is registered already by a direct put; delete it with the registry's `delete` first (with \
                 `deletion: retain` its targets and routes stay), then create it in the stack"
            )),
        }
    }
}

fn described(owner: &Owner) -> String {
    format!("`{}` (logical id `{}`)", owner.stack_id, owner.logical_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_changes_a_cluster() {
        let owner = |stack: &str, logical: &str| Owner { stack_id: stack.to_owned(), logical_id: logical.to_owned() };
        let stack = |s: &str, l: &str| Requester::Stack(owner(s, l));
        assert_eq!(Requester::Direct.objection("x", None), None);
        assert_eq!(stack("s", "l").objection("x", Some(&owner("s", "l"))), None);
        assert!(stack("s", "other").objection("x", Some(&owner("s", "l"))).is_some(), "another resource of the stack");
        assert!(stack("other", "l").objection("x", Some(&owner("s", "l"))).is_some());
        assert!(stack("s", "l").objection("x", None).is_some());
        assert!(Requester::Direct.objection("x", Some(&owner("s", "l"))).is_some());
    }
}
