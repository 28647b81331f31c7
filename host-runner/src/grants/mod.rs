//! Grants in writing: by the names of the command's flags, on its command line and in a file.

mod file;
mod limits;
mod resolve;

pub use file::GrantsError;
pub use limits::LimitError;

use crate::limits::Limits;
use crate::policy::{Policy, RuleError};
use crate::sockets::Resolver;
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
    /// The names of what is a list: the flags of the command that can be given more than once, and the keys
    /// of a policy file.
    pub const LISTS: [&str; 8] = [
        "allow-net",
        "deny-net",
        "allow-listen",
        "deny-listen",
        "allow-lookup",
        "deny-lookup",
        "resolve",
        "dns",
    ];

    /// Adds a rule to the policy, or an entry or a server to the resolver, by the name of its list in
    /// [`Grants::LISTS`].
    ///
    /// # Errors
    /// It does not follow the grammar of its list, or there is no such list.
    pub fn add(&mut self, list: &str, text: &str) -> Result<(), RuleError> {
        let rule: fn(Policy, &str) -> Result<Policy, RuleError> = match list {
            "allow-net" => Policy::allow,
            "deny-net" => Policy::deny,
            "allow-listen" => Policy::allow_listen,
            "deny-listen" => Policy::deny_listen,
            "allow-lookup" => Policy::allow_lookup,
            "deny-lookup" => Policy::deny_lookup,
            "resolve" | "dns" => {
                let resolver = self.resolver.clone();
                self.resolver = match list {
                    "dns" => resolver.dns(text)?,
                    _ => resolver.resolve(text)?,
                };
                return Ok(());
            }
            _ => {
                let message = format!("there is no list {list}: {}", Self::LISTS.join(", "));
                return Err(RuleError::new(text, 0, message));
            }
        };
        self.policy = rule(self.policy.clone(), text)?;
        Ok(())
    }

    /// Starts a guest's sockets with all of it.
    #[must_use]
    pub fn builder(self) -> SocketsCtxBuilder {
        SocketsCtx::builder(self.policy)
            .limits(self.limits)
            .resolver(self.resolver)
    }
}

/// The name that was meant, if one is like it.
fn similar<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    /// Two letters in exchange are one mistake; three mistakes are another name.
    const MISTAKES_MAX: usize = 2;
    let name = name.to_lowercase().replace('_', "-");
    names
        .iter()
        .map(|known| (strsim::osa_distance(&name, known), *known))
        .filter(|(distance, _)| *distance <= MISTAKES_MAX)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
