//! Where a guest may listen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::denial::Reason;
use super::rule::{Rule, RuleError};
use super::{Denial, Operation, Policy, in_a_rule};

impl Policy {
    /// Adds a rule for where the guest may listen: bind its sockets, TCP and UDP, and join groups.
    ///
    /// A rule is `ADDR[:PORT]`, where ADDR is an address, a network, `localhost` for the loopback
    /// addresses, or `*` for all. Without a port it is for every port; port 0 is for one that the
    /// system picks. The wildcard addresses 0.0.0.0 and :: stand for every address of the host: a rule
    /// for one of those does not cover them, only one that names them, a network that they are in, or
    /// `*`.
    ///
    /// A UDP socket bound under it may also answer: send to the last 256 whose datagrams it received,
    /// for two minutes after it did, without an allow rule for them. A deny rule still forbids it.
    ///
    /// # Errors
    /// The rule does not follow the grammar; the error names the place and the mend.
    pub fn allow_listen(mut self, rule: &str) -> Result<Self, RuleError> {
        self.listen.push(Rule::parse_listen(rule)?);
        Ok(self)
    }

    /// May a socket be bound to this address? `both_families`: it is an IPv6 socket that takes IPv4
    /// too (ipv6(7), IPV6_V6ONLY). Then the IPv6 wildcard is that of IPv4 as well, and needs both.
    pub(crate) fn check_listen(
        &self,
        address: SocketAddr,
        both_families: bool,
    ) -> Result<(), Denial> {
        let port = address.port();
        let ip = address.ip().to_canonical();
        let also = (both_families && ip.is_unspecified() && ip.is_ipv6())
            .then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let missing: Vec<String> = [Some(ip), also]
            .into_iter()
            .flatten()
            .filter(|ip| {
                !self
                    .listen
                    .iter()
                    .any(|rule| rule.covers_port(port) && rule.covers_ip(*ip))
            })
            .map(|ip| SocketAddr::new(ip, port).to_string())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Denial {
            operation: Operation::Bind { address },
            reason: Reason::NotGrantedToListen {
                missing: missing.join(","),
            },
        })
    }

    /// May this multicast group be joined? Where a rule covers its address, with any port.
    pub(crate) fn check_join(&self, group: IpAddr) -> Result<(), Denial> {
        let ip = group.to_canonical();
        if self.listen.iter().any(|rule| rule.covers_ip(ip)) {
            return Ok(());
        }
        Err(Denial {
            operation: Operation::Join { group },
            reason: Reason::NotGrantedToListen {
                missing: in_a_rule(ip),
            },
        })
    }
}
