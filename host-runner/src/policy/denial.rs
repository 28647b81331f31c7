//! Why something was refused, in words for whoever grants.

use std::fmt;
use std::net::SocketAddr;

/// One refused operation. The guest sees EACCES; this is for the host.
///
/// `Display` is one line without control characters, whatever the guest asked for, and says which
/// grant is missing: `connect to 127.0.0.1:8000 denied: needs --allow-net=127.0.0.1:8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub(crate) operation: Operation,
    pub(crate) reason: Reason,
}

/// What a guest wanted to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Look a name up.
    #[non_exhaustive]
    Resolve {
        /// The name, ASCII, in lower case and without a final dot.
        name: String,
    },
    /// Connect a socket, TCP or UDP.
    #[non_exhaustive]
    Connect {
        /// The address as the guest gave it.
        address: SocketAddr,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No allow rule covers it.
    NotGranted { missing: String },
    /// A deny rule covers it.
    Forbidden { rule: String },
    /// A name rule covers it, but the address is not public.
    NotByName { rule: String, missing: String },
}

impl Denial {
    /// What was refused.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The narrowest rule that would allow it; `None` where a deny rule stands against it.
    #[must_use]
    pub fn missing_grant(&self) -> Option<&str> {
        match &self.reason {
            Reason::NotGranted { missing } | Reason::NotByName { missing, .. } => Some(missing),
            Reason::Forbidden { .. } => None,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operation {
            Operation::Resolve { name } => write!(f, "look-up of {name}")?,
            Operation::Connect { address } => write!(f, "connect to {address}")?,
        }
        match &self.reason {
            Reason::NotGranted { missing } => write!(f, " denied: needs --allow-net={missing}"),
            Reason::Forbidden { rule } => write!(f, " denied: --deny-net={rule} forbids it"),
            Reason::NotByName { rule, missing } => write!(
                f,
                " denied: --allow-net={rule} covers public addresses only; needs --allow-net={missing}"
            ),
        }
    }
}
