//! Why something was refused, in words for whoever grants.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::rule::{Protocol, Rule};
use crate::list::List;

/// One refused operation. The guest sees EACCES; this is for the host.
///
/// `Display` is one line without control characters, whatever the guest asked for, and says which
/// grant is missing: `connect to 127.0.0.1:8000 denied: needs --allow-net=127.0.0.1:8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// What was refused.
    pub operation: Operation,
    /// Why. [`Denial::missing_grant`] says what to grant, where that is the answer.
    pub reason: Reason,
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
    /// Look up the name that an address has.
    #[non_exhaustive]
    ReverseLookup {
        /// The address as the guest gave it.
        address: IpAddr,
    },
    /// Connect a socket, TCP or UDP.
    #[non_exhaustive]
    Connect {
        /// The address as the guest gave it; loopback for the unspecified one.
        address: SocketAddr,
        /// What is spoken over it.
        protocol: Protocol,
    },
    /// Send a datagram.
    #[non_exhaustive]
    Send {
        /// As for `Connect`.
        address: SocketAddr,
    },
    /// Bind a socket, TCP or UDP, or listen with one that was not bound.
    #[non_exhaustive]
    Bind {
        /// The address as the guest gave it.
        address: SocketAddr,
        /// What is spoken over it.
        protocol: Protocol,
    },
    /// Join a multicast group.
    #[non_exhaustive]
    Join {
        /// The group's address.
        group: IpAddr,
    },
    /// Connect or send to a Unix socket.
    #[non_exhaustive]
    ConnectUnix {
        /// Its path as the guest gave it, where it is not UTF-8 with replacement characters.
        path: String,
    },
    /// Bind a Unix socket.
    #[non_exhaustive]
    BindUnix {
        /// As for `ConnectUnix`.
        path: String,
    },
}

/// Why an operation was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No allow rule covers it.
    #[non_exhaustive]
    NotGranted {
        /// The list that a rule is missing from.
        list: List,
        /// The narrowest rule that would allow it; two with a comma between them where both IP versions are
        /// needed.
        rule: String,
    },
    /// A deny rule covers it.
    #[non_exhaustive]
    Forbidden {
        /// The list that has the rule.
        list: List,
        /// The rule as it was written.
        rule: String,
    },
    /// A rule for a name covers it, but the address is not public (see [`Policy`](crate::Policy)).
    #[non_exhaustive]
    NotPublic {
        /// The rule for the name.
        rule: String,
        /// The narrowest rule for `--allow-net` that would allow it.
        missing: String,
    },
    /// A rule for a name covered it, but the look-up's answer is too old.
    #[non_exhaustive]
    AnswerExpired {
        /// The rule for the name.
        rule: String,
        /// The name to look up again.
        name: String,
    },
    /// The rules allow it, and [`SocketsCtxBuilder::approve`](crate::SocketsCtxBuilder::approve) does not.
    NotApproved,
    /// The path of a Unix socket is in none of the guest's folders.
    #[non_exhaustive]
    NoFolder {
        /// The folder to grant, by its path as the guest sees it.
        missing: String,
    },
    /// The folder of a Unix socket is read-only.
    #[non_exhaustive]
    ReadOnly {
        /// The folder that was granted, by its path as the guest sees it.
        folder: String,
        /// The folder to grant for writing.
        missing: String,
    },
    /// The path of a Unix socket leads out of its folder, by `..` or a symbolic link.
    #[non_exhaustive]
    LeavesFolder {
        /// The folder, by its path as the guest sees it.
        folder: String,
    },
}

impl Reason {
    /// An error if a deny rule in this list is against it.
    pub(super) fn check_deny(list: List, rule: Option<&Rule>) -> Result<(), Self> {
        rule.map_or(Ok(()), |rule| {
            let rule = rule.to_string();
            Err(Self::Forbidden { list, rule })
        })
    }

    pub(super) fn not_granted(list: List, rule: String) -> Self {
        Self::NotGranted { list, rule }
    }
}

impl Denial {
    /// The narrowest grant that would allow the operation, as the command's flag with its value. HOST in
    /// `--dir=HOST::GUEST` stands for a folder that the host has to choose. It covers one address, port and protocol,
    /// where TCP is not written; for the look-up of a name it also lets the guest connect.
    /// `None` if no grant is missing: a deny rule forbids the operation, the name has to be looked up again, the host
    /// did not approve it, or a path leads out of its folder.
    #[must_use]
    pub fn missing_grant(&self) -> Option<String> {
        match &self.reason {
            Reason::NotGranted { list, rule } => Some(format!("--{list}={rule}")),
            Reason::NotPublic { missing, .. } => Some(format!("--allow-net={missing}")),
            Reason::NoFolder { missing } | Reason::ReadOnly { missing, .. } => {
                Some(format!("--dir=HOST::{missing}"))
            }
            Reason::Forbidden { .. }
            | Reason::AnswerExpired { .. }
            | Reason::NotApproved
            | Reason::LeavesFolder { .. } => None,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operation {
            Operation::Resolve { name } => write!(f, "look-up of {name}")?,
            Operation::ReverseLookup { address } => write!(f, "look-up of address {address}")?,
            Operation::Connect { address, .. } => write!(f, "connect to {address}")?,
            Operation::Send { address } => write!(f, "send to {address}")?,
            Operation::Bind { address, .. } => write!(f, "bind to {address}")?,
            Operation::Join { group } => write!(f, "joining group {group}")?,
            Operation::ConnectUnix { path } => {
                write!(f, "connect to Unix socket {}", path.escape_debug())?;
            }
            Operation::BindUnix { path } => {
                write!(f, "bind to Unix socket {}", path.escape_debug())?;
            }
        }
        f.write_str(" denied: ")?;
        match &self.reason {
            Reason::NotGranted { list, rule } => write!(f, "needs --{list}={rule}"),
            Reason::Forbidden { list, rule } => write!(f, "--{list}={rule} forbids it"),
            Reason::NotPublic { rule, missing } => write!(
                f,
                "--allow-net={rule} covers public addresses only; needs --allow-net={missing}"
            ),
            Reason::AnswerExpired { rule, name } => write!(
                f,
                "the look-up of {name} is too old for --allow-net={rule}; look it up again"
            ),
            Reason::NotApproved => f.write_str("the host does not approve it"),
            Reason::NoFolder { missing } => {
                write!(f, "needs --dir HOST::{}", missing.escape_debug())
            }
            Reason::ReadOnly { folder, missing } => write!(
                f,
                "{} is granted to read only; needs --dir HOST::{}",
                folder.escape_debug(),
                missing.escape_debug()
            ),
            Reason::LeavesFolder { folder } => {
                write!(f, "it leads out of the folder {}", folder.escape_debug())
            }
        }
    }
}
