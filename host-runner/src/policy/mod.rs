//! What a guest may reach. No sockets in here.

mod address;
mod denial;
mod error;
mod listen;
mod looked_up;
mod name;
mod rule;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::slice;
use std::time::Instant;

pub use denial::{Denial, Operation, Reason};
pub use error::RuleError;
pub(crate) use looked_up::LookedUp;
pub(crate) use name::{HostName, canonical};
pub use rule::Protocol;

use crate::list::List;
pub(crate) use address::destination;
use address::reachable_by_name;
use looked_up::Coverage;
use rule::Rule;
#[cfg(feature = "dns")]
pub(crate) use rule::with_a_port;

/// Allow and deny rules. Without any, nothing is allowed. Deny beats allow.
///
/// A rule is `HOST[:PORT[-PORT]][/PROTOCOL]`, after Deno's `--allow-net` and with the protocol as Docker
/// writes it: `example.com:443/tcp`, `192.0.2.53:53/udp`, `*:8000-8010`. Without a port it is for every port,
/// without a protocol for both: `tcp`, and `udp` with UDP-Lite.
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
/// A name rule covers an address for as long as the answer's time to live says, but for five minutes at
/// least and seven days at most, counted from when the answer came. The system's resolver reports no time to
/// live: its answers are covered for five minutes. After that a guest has to look the name up again before it connects or
/// sends. Open connections stay open.
///
/// A name rule never covers addresses that are not public: loopback, private, link-local, shared,
/// metadata, multicast and others of the IANA special-purpose registries, also where IPv6 has them mapped,
/// translated (NAT64) or tunnelled. Whoever answers for a name could otherwise point it at the host's own
/// network (DNS rebinding). Such an address needs a rule that names it.
///
/// Names are compared without their final dot and in lower case, names in other scripts as IDNA writes them
/// in ASCII (RFC 5891): one that only looks alike is another. The system's resolver is asked without the dot:
/// a search list in its configuration applies, as for any program on the host.
///
/// A deny rule for a name refuses its look-up, unless it is for some ports or one protocol only, and the
/// addresses that look-ups of it ever returned: unlike for allow rules, that does not end. (The last 4,096
/// addresses under deny rules are known.) It does not know an address under another name: deny the address
/// itself if it must not be reached. A deny rule also keeps peers away: their connections are not
/// accepted and their datagrams not received, with a port in the rule compared to the peer's.
///
/// Looking up alone is [`Policy::allow_lookup`], and what a guest may listen at [`Policy::allow_listen`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The rules of each list, by its number: there are none for `resolve` and `dns`.
    rules: [Vec<Rule>; List::ALL.len()],
}

impl Policy {
    /// Nothing is allowed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an allow rule, `--allow-net` on the command line.
    ///
    /// # Errors
    /// The rule does not follow the grammar; the error names the column and suggests a fix.
    pub fn allow(self, rule: &str) -> Result<Self, RuleError> {
        self.with(List::AllowNet, rule)
    }

    /// Adds a deny rule, `--deny-net` on the command line.
    ///
    /// # Errors
    /// As for [`Policy::allow`].
    pub fn deny(self, rule: &str) -> Result<Self, RuleError> {
        self.with(List::DenyNet, rule)
    }

    /// Adds a rule for what may be looked up without being reached: HOST alone, `--allow-lookup` on the command
    /// line. A name, `*.name` or `*` allows looking that up; an address or a network allows looking up the names
    /// of its addresses.
    ///
    /// # Errors
    /// As for [`Policy::allow`].
    pub fn allow_lookup(self, rule: &str) -> Result<Self, RuleError> {
        self.with(List::AllowLookup, rule)
    }

    /// Adds a rule for what must not be looked up, in the grammar of [`Policy::allow_lookup`]: `--deny-lookup` on
    /// the command line. It has no effect on addresses that are connected to.
    ///
    /// # Errors
    /// As for [`Policy::allow`].
    pub fn deny_lookup(self, rule: &str) -> Result<Self, RuleError> {
        self.with(List::DenyLookup, rule)
    }

    fn with(mut self, list: List, rule: &str) -> Result<Self, RuleError> {
        self.add(list, rule)?;
        Ok(self)
    }

    /// Adds a rule to a list.
    pub(crate) fn add(&mut self, list: List, rule: &str) -> Result<(), RuleError> {
        let rule = Rule::parse(list, rule)?;
        self.rules[list as usize].push(rule);
        Ok(())
    }

    fn list(&self, list: List) -> slice::Iter<'_, Rule> {
        self.rules[list as usize].iter()
    }

    /// The rules, list by list and in the order they were added in.
    pub fn rules(&self) -> impl Iterator<Item = (List, String)> {
        List::ALL.iter().flat_map(move |list| {
            let rules = self.list(*list);
            rules.map(move |rule| (*list, rule.to_string()))
        })
    }

    /// May this name be looked up? `name` is in the form of [`HostName::Name`].
    pub(crate) fn check_resolve(&self, name: &str) -> Result<(), Reason> {
        let covers = |rule: &Rule| rule.covers_name(name);
        // Not the narrower --allow-lookup: programs that look a name up want to reach it.
        self.check_lookup(covers, covers, || {
            Reason::not_granted(List::AllowNet, name.to_owned())
        })
    }

    /// May the name that an address has be looked up? Where a rule covers the address, with any port.
    pub(crate) fn check_reverse_lookup(&self, address: IpAddr) -> Result<(), Reason> {
        let ip = address.to_canonical();
        let forbids = |rule: &Rule| rule.leads_to(ip);
        let grants = |rule: &Rule| rule.covers_ip(ip);
        self.check_lookup(forbids, grants, || {
            Reason::not_granted(List::AllowLookup, in_a_rule(ip))
        })
    }

    fn check_lookup(
        &self,
        forbids: impl Fn(&Rule) -> bool,
        grants: impl Fn(&Rule) -> bool,
        missing: impl FnOnce() -> Reason,
    ) -> Result<(), Reason> {
        // A deny rule for one port leaves the other ports, and with them the look-up.
        let for_all = |rule: &&Rule| rule.covers_every_service() && forbids(rule);
        Reason::check_deny(List::DenyNet, self.list(List::DenyNet).find(for_all))?;
        let deny_lookup = self.list(List::DenyLookup).find(|rule| forbids(rule));
        Reason::check_deny(List::DenyLookup, deny_lookup)?;
        let mut granting = self
            .list(List::AllowNet)
            .chain(self.list(List::AllowLookup));
        match granting.any(grants) {
            true => Ok(()),
            false => Err(missing()),
        }
    }

    /// Does a deny rule keep this peer from the guest, whoever began?
    pub(crate) fn forbids_peer(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        looked_up: &LookedUp,
    ) -> bool {
        self.forbidding(protocol, address, looked_up).is_some()
    }

    /// Is there a deny rule for peers at all?
    pub(crate) fn forbids_any(&self) -> bool {
        self.list(List::DenyNet).next().is_some()
    }

    /// May it connect and send to every address, but for deny rules?
    pub(crate) fn allows_all(&self) -> bool {
        self.list(List::AllowNet).any(Rule::covers_all)
    }

    /// Is there an allow rule at all, to connect or to listen?
    pub(crate) fn grants_any(&self) -> bool {
        self.list(List::AllowNet).next().is_some() || self.list(List::AllowListen).next().is_some()
    }

    fn forbidding(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        looked_up: &LookedUp,
    ) -> Option<&Rule> {
        let ip = address.ip().to_canonical();
        self.list(List::DenyNet).find(|rule| {
            rule.covers_service(protocol, address.port())
                && (rule.leads_to(ip) || looked_up.forbids(rule, ip))
        })
    }

    /// May this address be connected or sent to, by a guest that looked these names up, and until when does that
    /// hold? Without end where a rule covers the address itself. `address` is what [`destination`] returned.
    pub(crate) fn check_connect(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        looked_up: &LookedUp,
    ) -> Result<Option<Instant>, Reason> {
        self.check_connect_at(protocol, address, looked_up, Instant::now())
    }

    fn check_connect_at(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        looked_up: &LookedUp,
        now: Instant,
    ) -> Result<Option<Instant>, Reason> {
        // IPv4 out of its IPv6 mapping (RFC 4291, 2.5.5.2): rules are compared in that form.
        let ip = address.ip().to_canonical();
        let port = address.port();
        Reason::check_deny(List::DenyNet, self.forbidding(protocol, address, looked_up))?;

        let candidates = self
            .list(List::AllowNet)
            .filter(|rule| rule.covers_service(protocol, port));
        if candidates.clone().any(|rule| rule.covers_ip(ip)) {
            return Ok(None);
        }
        // A rule cannot name port 0; without a port it is for every one.
        let host = match port {
            0 => in_a_rule(ip),
            _ => SocketAddr::new(ip, port).to_string(),
        };
        let missing = of_protocol(host, protocol);
        match looked_up.coverage(candidates, ip, now) {
            Coverage::No => Err(Reason::not_granted(List::AllowNet, missing)),
            Coverage::Expired { rule, .. } | Coverage::Until { rule, .. }
                if !reachable_by_name(ip) =>
            {
                Err(Reason::NotPublic {
                    rule: rule.to_string(),
                    missing,
                })
            }
            Coverage::Expired { rule, name } => Err(Reason::AnswerExpired {
                rule: rule.to_string(),
                name: name.to_owned(),
            }),
            Coverage::Until { until, .. } => Ok(Some(until)),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules()).finish()
    }
}

/// A rule for that protocol alone. What is for TCP is written without: rules without a protocol are what most
/// guests are given, and few have a server of the other protocol at the same port to keep from.
fn of_protocol(rule: String, protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => rule,
        Protocol::Udp => format!("{rule}/{protocol}"),
    }
}

/// An address as a rule without a port writes it.
fn in_a_rule(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests;
