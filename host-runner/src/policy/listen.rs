//! Where a guest may listen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::denial::Reason;
use super::error::RuleError;
use super::rule::{Protocol, Rule};
use super::{Policy, in_a_rule, of_protocol};
use crate::list::List;

impl Policy {
    /// Adds a rule for where the guest may listen: bind its sockets, TCP and UDP, and join groups. It is
    /// `--allow-listen` on the command line.
    ///
    /// A rule is `ADDR[:PORT[-PORT]][/PROTOCOL]`, where ADDR is an address, a network, `localhost` for the
    /// loopback addresses, or `*` for all. Without a port it is for every port; port 0 is for one that the
    /// system picks. The wildcard addresses 0.0.0.0 and :: stand for every address of the host: a rule
    /// for one of those does not cover them, only one that names them, a network that they are in, or
    /// `*`.
    ///
    /// A UDP socket bound under it may also answer: send to the last 256 whose datagrams it received,
    /// for two minutes after it did, without an allow rule for them. A deny rule still forbids it.
    ///
    /// # Errors
    /// The rule does not follow the grammar; the error names the column and suggests a fix.
    pub fn allow_listen(self, rule: &str) -> Result<Self, RuleError> {
        self.with(List::AllowListen, rule)
    }

    /// Adds a rule for where the guest must not listen, whatever is allowed: `--deny-listen` on the command
    /// line. In the grammar of [`Policy::allow_listen`].
    ///
    /// To listen at a wildcard address is to listen at every one of its family: a deny rule for any of those
    /// forbids it. So does one for a port from 32768 on, of which the system may pick any by default (ip(7),
    /// `ip_local_port_range`), forbid port 0. Groups are forbidden by rules without a port.
    ///
    /// # Errors
    /// As for [`Policy::allow_listen`].
    pub fn deny_listen(self, rule: &str) -> Result<Self, RuleError> {
        self.with(List::DenyListen, rule)
    }

    /// May a socket be bound to this address? `both_families`: it is an IPv6 socket that takes IPv4
    /// too (ipv6(7), IPV6_V6ONLY). Then the IPv6 wildcard is that of IPv4 as well, and needs both.
    pub(crate) fn check_listen(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        both_families: bool,
    ) -> Result<(), Reason> {
        let forbidding = self.forbidding_to_listen(protocol, address, both_families);
        Reason::check_deny(List::DenyListen, forbidding)?;
        let port = address.port();
        let granted = |ip: IpAddr| {
            let mut rules = self.list(List::AllowListen);
            rules.any(|rule| rule.covers_service(protocol, port) && rule.covers_ip(ip))
        };
        let missing: Vec<String> = bound(address, both_families)
            .filter(|ip| !granted(*ip))
            .map(|ip| of_protocol(SocketAddr::new(ip, port).to_string(), protocol))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Reason::not_granted(List::AllowListen, missing.join(","))),
        }
    }

    /// Does a deny rule keep the guest from listening there?
    pub(crate) fn forbids_listening(&self, protocol: Protocol, address: SocketAddr) -> bool {
        self.forbidding_to_listen(protocol, address, true).is_some()
    }

    fn forbidding_to_listen(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        both_families: bool,
    ) -> Option<&Rule> {
        self.list(List::DenyListen).find(|rule| {
            bound(address, both_families).any(|ip| rule.meets(protocol, ip, address.port()))
        })
    }

    /// May this multicast group be joined? Where a rule covers its address, with any port.
    pub(crate) fn check_join(&self, group: IpAddr) -> Result<(), Reason> {
        let ip = group.to_canonical();
        let covers = |rule: &&Rule| rule.covers_protocol(Protocol::Udp) && rule.covers_ip(ip);
        let forbids = |rule: &&Rule| rule.covers_every_port() && covers(rule);
        Reason::check_deny(List::DenyListen, self.list(List::DenyListen).find(forbids))?;
        match self.list(List::AllowListen).any(|rule| covers(&rule)) {
            true => Ok(()),
            false => Err(Reason::not_granted(List::AllowListen, in_a_rule(ip))),
        }
    }
}

/// The addresses that a socket is bound to: two, if it is at the wildcard of both families.
fn bound(address: SocketAddr, both_families: bool) -> impl Iterator<Item = IpAddr> {
    let ip = address.ip().to_canonical();
    let also = (both_families && ip.is_unspecified() && ip.is_ipv6())
        .then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    [Some(ip), also].into_iter().flatten()
}
