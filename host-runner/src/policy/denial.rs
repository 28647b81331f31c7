//! Why something was refused, in words for whoever grants.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::rule::{Protocol, Rule};

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No allow rule covers it.
    NotGranted { missing: String },
    /// A deny rule covers it: one of that flag.
    Forbidden { flag: &'static str, rule: String },
    /// A name rule covers it, but the address is not public.
    NotByName { rule: String, missing: String },
    /// A name rule covered it, but the answer is too old.
    LookedUpLongAgo { rule: String, name: String },
    /// No rule covers the address whose name is asked for.
    NotGrantedToLookUp { missing: String },
    /// The rules allow it, and the host does not.
    NotApproved,
    /// No listen rule covers it.
    NotGrantedToListen { missing: String },
    /// No folder that the guest has holds the path.
    NoFolder { missing: String },
    /// The folder that holds the path is granted to read only.
    ReadOnly { folder: String, missing: String },
    /// The path leads out of the folder that it begins in.
    LeavesFolder { folder: String },
}

impl Reason {
    pub(super) fn forbidden(flag: &'static str, rule: &Rule) -> Self {
        Self::Forbidden {
            flag,
            rule: rule.to_string(),
        }
    }
}

impl Denial {
    /// What was refused.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The narrowest grant that would allow it, as the command's flag with its value; HOST in
    /// `--dir=HOST::GUEST` stands for a folder that the host has to choose. It is for one address, port and
    /// protocol, where TCP is not written; for the look-up of a name it is what also lets the guest connect.
    /// `None` where a grant is not what is missing: a deny rule stands against it, the name has to be looked
    /// up again, the host did not approve it, or a path leads out of its folder.
    #[must_use]
    pub fn missing_grant(&self) -> Option<String> {
        match &self.reason {
            Reason::NotGranted { missing } | Reason::NotByName { missing, .. } => {
                Some(format!("--allow-net={missing}"))
            }
            Reason::NotGrantedToListen { missing } => Some(format!("--allow-listen={missing}")),
            Reason::NotGrantedToLookUp { missing } => Some(format!("--allow-lookup={missing}")),
            Reason::NoFolder { missing } | Reason::ReadOnly { missing, .. } => {
                Some(format!("--dir=HOST::{missing}"))
            }
            Reason::Forbidden { .. }
            | Reason::LookedUpLongAgo { .. }
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
            Reason::NotGranted { missing } => write!(f, "needs --allow-net={missing}"),
            Reason::Forbidden { flag, rule } => write!(f, "--{flag}={rule} forbids it"),
            Reason::NotByName { rule, missing } => write!(
                f,
                "--allow-net={rule} covers public addresses only; needs --allow-net={missing}"
            ),
            Reason::LookedUpLongAgo { rule, name } => write!(
                f,
                "the look-up of {name} is too old for --allow-net={rule}; look it up again"
            ),
            Reason::NotApproved => f.write_str("the host does not approve it"),
            Reason::NotGrantedToLookUp { missing } => write!(f, "needs --allow-lookup={missing}"),
            Reason::NotGrantedToListen { missing } => write!(f, "needs --allow-listen={missing}"),
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
