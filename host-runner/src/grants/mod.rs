//! Grants in writing: as flags of a command line and as keys of a policy file.

#[cfg(feature = "policy-file")]
mod file;
mod resolve;

#[cfg(feature = "policy-file")]
pub use file::GrantsError;

use crate::limits::Limits;
use crate::list::List;
use crate::names::Resolver;
use crate::policy::{Policy, RuleError};
use crate::{SocketsCtx, SocketsCtxBuilder};

/// What a guest may reach, how much it may use, and who is asked for names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {
    /// What it may reach.
    pub policy: Policy,
    /// How much it may use.
    pub limits: Limits,
    /// Who is asked for what it may look up.
    pub resolver: Resolver,
}

impl Grants {
    /// Adds a rule to the policy, or an entry or a server to the resolver.
    ///
    /// # Errors
    /// The text does not follow the grammar of its list.
    pub fn add(&mut self, list: List, text: &str) -> Result<(), RuleError> {
        match list {
            List::Resolve => self.resolver.add_entry(text),
            List::Dns => self.resolver.add_server(text),
            list => self.policy.add(list, text),
        }
    }

    /// Starts a guest's sockets with all of it.
    #[must_use]
    pub fn builder(self) -> SocketsCtxBuilder {
        SocketsCtx::builder(self.policy)
            .limits(self.limits)
            .resolver(self.resolver)
    }
}
