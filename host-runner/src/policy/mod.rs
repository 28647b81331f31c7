//! What a guest may reach. No sockets in here.

mod address;
mod denial;
mod listen;
mod name;
mod rule;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

pub use denial::{Denial, Operation};
pub(crate) use name::HostName;
pub use rule::RuleError;

pub(crate) use address::destination;
use address::reachable_by_name;
pub(crate) use denial::Reason;
use rule::Rule;

/// Allow and deny rules. Without any, nothing is allowed. Deny beats allow.
///
/// A rule is `HOST[:PORT]`, after Deno's `--allow-net`. Without a port it is for every port.
///
/// | HOST | covers |
/// |---|---|
/// | `*` | every address and every name |
/// | `192.0.2.1`, `[2001:db8::1]` | that address |
/// | `192.0.2.0/24`, `[2001:db8::/32]` | the addresses of that network |
/// | `example.com` | looking that name up, and the addresses that this guest's own look-up returned |
/// | `*.example.com` | the same for every name below `example.com`, not for `example.com` itself |
/// | `localhost` | looking that name up, and the loopback addresses 127.0.0.0/8 and ::1 |
///
/// A name rule never covers addresses that are not public: loopback, private, link-local, shared,
/// metadata, multicast and others of the IANA special-purpose registries. Whoever answers for a name
/// could otherwise point it at the host's own network (DNS rebinding). Such an address needs a rule
/// that names it.
///
/// Names are compared without their final dot, and the system's resolver is asked without it: a search
/// list in its configuration applies, as for any program on the host.
///
/// A deny rule for a name refuses its look-up, and the addresses that it was looked up to. It cannot
/// know that address under another name: deny the address where it must not be reached. A deny rule
/// also keeps peers away: their connections are not accepted and their datagrams not received, with a
/// port in the rule compared to the peer's.
///
/// What a guest may listen at is apart from all this: [`Policy::allow_listen`].
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    listen: Vec<Rule>,
}

impl Policy {
    /// Nothing is allowed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an allow rule.
    ///
    /// # Errors
    /// The rule does not follow the grammar; the error names the place and the mend.
    pub fn allow(mut self, rule: &str) -> Result<Self, RuleError> {
        self.allow.push(Rule::parse(rule)?);
        Ok(self)
    }

    /// Adds a deny rule.
    ///
    /// # Errors
    /// As for [`Policy::allow`].
    pub fn deny(mut self, rule: &str) -> Result<Self, RuleError> {
        self.deny.push(Rule::parse(rule)?);
        Ok(self)
    }

    /// May this name be looked up? `name` is in the form of [`HostName::Name`].
    pub(crate) fn check_resolve(&self, name: &str) -> Result<(), Denial> {
        let denied = |reason| {
            Err(Denial {
                operation: Operation::Resolve {
                    name: name.to_owned(),
                },
                reason,
            })
        };
        // A deny rule for one port leaves the other ports, and with them the look-up.
        if let Some(rule) = self
            .deny
            .iter()
            .find(|rule| rule.port.is_none() && rule.covers_name(name))
        {
            return denied(Reason::Forbidden {
                rule: rule.to_string(),
            });
        }
        if self.allow.iter().any(|rule| rule.covers_name(name)) {
            return Ok(());
        }
        denied(Reason::NotGranted {
            missing: name.to_owned(),
        })
    }

    /// May a datagram be sent there? As for [`Policy::check_connect`].
    pub(crate) fn check_send(
        &self,
        address: SocketAddr,
        looked_up: &LookedUp,
    ) -> Result<(), Denial> {
        self.check_connect(address, looked_up)
            .map_err(|denial| Denial {
                operation: Operation::Send { address },
                ..denial
            })
    }

    /// May the name that an address has be looked up? Where a rule covers the address, with any port.
    pub(crate) fn check_reverse_lookup(&self, address: IpAddr) -> Result<(), Denial> {
        let ip = address.to_canonical();
        let denied = |reason| {
            Err(Denial {
                operation: Operation::ReverseLookup { address },
                reason,
            })
        };
        let forbids = |rule: &&Rule| rule.port.is_none() && rule.leads_to(ip);
        if let Some(rule) = self.deny.iter().find(forbids) {
            return denied(Reason::Forbidden {
                rule: rule.to_string(),
            });
        }
        if self.allow.iter().any(|rule| rule.covers_ip(ip)) {
            return Ok(());
        }
        denied(Reason::NotGranted {
            missing: in_a_rule(ip),
        })
    }

    /// Does a deny rule keep this peer from the guest, whoever began?
    pub(crate) fn forbids_peer(&self, address: SocketAddr, looked_up: &LookedUp) -> bool {
        self.forbidding(address, looked_up).is_some()
    }

    /// Is there a deny rule at all?
    pub(crate) fn forbids_any(&self) -> bool {
        !self.deny.is_empty()
    }

    /// May it connect and send to every address, but for deny rules?
    pub(crate) fn allows_all(&self) -> bool {
        self.allow.iter().any(Rule::covers_all)
    }

    /// Is there an allow rule at all, to connect or to listen?
    pub(crate) fn grants_any(&self) -> bool {
        !self.allow.is_empty() || !self.listen.is_empty()
    }

    fn forbidding(&self, address: SocketAddr, looked_up: &LookedUp) -> Option<&Rule> {
        let ip = address.ip().to_canonical();
        self.deny.iter().find(|rule| {
            rule.covers_port(address.port())
                && (rule.leads_to(ip) || looked_up.names_of(ip).any(|name| rule.covers_name(name)))
        })
    }

    /// May this address be connected to, by a guest that looked these names up? `address` is what
    /// [`destination`] returned.
    pub(crate) fn check_connect(
        &self,
        address: SocketAddr,
        looked_up: &LookedUp,
    ) -> Result<(), Denial> {
        // IPv4 out of its IPv6 mapping (RFC 4291, 2.5.5.2): rules are compared in that form.
        let ip = address.ip().to_canonical();
        let port = address.port();
        let denied = |reason| {
            Err(Denial {
                operation: Operation::Connect { address },
                reason,
            })
        };

        if let Some(rule) = self.forbidding(address, looked_up) {
            return denied(Reason::Forbidden {
                rule: rule.to_string(),
            });
        }

        let mut candidates = self.allow.iter().filter(|rule| rule.covers_port(port));
        if candidates.clone().any(|rule| rule.covers_ip(ip)) {
            return Ok(());
        }
        // A rule cannot name port 0; without a port it is for every one.
        let missing = match port {
            0 => in_a_rule(ip),
            _ => SocketAddr::new(ip, port).to_string(),
        };
        let by_name =
            candidates.find(|rule| looked_up.names_of(ip).any(|name| rule.covers_name(name)));
        match by_name {
            Some(_) if reachable_by_name(ip) => Ok(()),
            Some(rule) => denied(Reason::NotByName {
                rule: rule.to_string(),
                missing,
            }),
            None => denied(Reason::NotGranted { missing }),
        }
    }
}

/// An address as a rule without a port writes it.
fn in_a_rule(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Most answers that are remembered for one guest; the oldest are forgotten first.
const LOOKED_UP_MAX: usize = 4096;

/// What one guest's own look-ups returned: pairs of address and name.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    answers: VecDeque<(IpAddr, String)>,
    changes: u64,
}

impl LookedUp {
    /// Remembers an answer, if a rule speaks of the name: only then can it matter.
    pub(crate) fn record(&mut self, policy: &Policy, name: &str, addresses: &[IpAddr]) {
        if !policy
            .allow
            .iter()
            .chain(&policy.deny)
            .any(|rule| rule.names(name))
        {
            return;
        }
        for ip in addresses.iter().map(IpAddr::to_canonical) {
            self.answers
                .retain(|(known, of)| *known != ip || of != name);
            if self.answers.len() == LOOKED_UP_MAX {
                self.answers.pop_front();
            }
            self.answers.push_back((ip, name.to_owned()));
            self.changes += 1;
        }
    }

    /// Grows with every change: a verdict holds as long as this stays the same.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    fn names_of(&self, ip: IpAddr) -> impl Iterator<Item = &str> {
        self.answers
            .iter()
            .filter(move |(known, _)| *known == ip)
            .map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests;
