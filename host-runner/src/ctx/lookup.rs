//! Name look-up.

use std::net::IpAddr;
use std::time::Instant;

use wasisocket_abi::{AF_INET, AF_INET6, Errno, RESOLVE_MAX};

use super::SocketsCtx;
use crate::policy::{HostName, Operation};
use crate::sockets::{Answer, Family, Open, Question, Timeout, resolve};

impl SocketsCtx {
    /// The addresses of a name, at most [`RESOLVE_MAX`]. A name grant covers what comes back. Blocks.
    pub(crate) fn resolve(&mut self, name: &[u8]) -> Result<Vec<IpAddr>, Errno> {
        let name = match HostName::parse(name)? {
            HostName::Literal(ip) => return Ok(vec![ip]),
            HostName::Name(name) => name,
        };
        self.allowed(self.policy.check_resolve(&name), || Operation::Resolve {
            name: name.clone(),
        })?;
        let mut addresses = resolve(&name)?;
        addresses.truncate(RESOLVE_MAX);
        self.looked_up
            .record(&self.policy, &name, &addresses, Instant::now(), None);
        Ok(addresses)
    }

    /// Starts a look-up of a name, for one family or 0. One that no rule covers is asked of nobody.
    pub(crate) fn lookup_name(&mut self, name: &[u8], family: u32) -> Result<u32, Errno> {
        let family = match family {
            0 => None,
            AF_INET => Some(Family::V4),
            AF_INET6 => Some(Family::V6),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        self.handles.room_for(1)?;
        let lookup = match HostName::parse(name)? {
            HostName::Literal(ip) => {
                let name = ip.to_string();
                let fits = match family {
                    None => true,
                    Some(Family::V4) => ip.is_ipv4(),
                    Some(_) => ip.is_ipv6(),
                };
                // glibc's EAI_ADDRFAMILY.
                let answer = fits.then(|| Answer {
                    addresses: vec![ip],
                    ..Answer::now(name.clone())
                });
                let question = Question::Name { name, family };
                self.lookups.known(question, answer.ok_or(Errno::ENOENT))?
            }
            HostName::Name(name) => {
                self.allowed(self.policy.check_resolve(&name), || Operation::Resolve {
                    name: name.clone(),
                })?;
                self.lookups.start(Question::Name { name, family })?
            }
        };
        self.handles.insert(Open::Lookup(lookup))
    }

    /// Starts a look-up of the name that an address has.
    pub(crate) fn lookup_addr(&mut self, address: IpAddr) -> Result<u32, Errno> {
        self.handles.room_for(1)?;
        let doing = || Operation::ReverseLookup { address };
        self.allowed(self.policy.check_reverse_lookup(address), doing)?;
        let lookup = self.lookups.start(Question::Address(address))?;
        self.handles.insert(Open::Lookup(lookup))
    }

    /// The addresses that a look-up found. A name grant covers them from now on.
    pub(crate) fn lookup_addrs(
        &mut self,
        handle: u32,
        timeout: Timeout,
    ) -> Result<&[IpAddr], Errno> {
        let lookup = self.handles.lookup(handle)?;
        let Question::Name { name, .. } = lookup.question() else {
            return Err(Errno::EINVAL);
        };
        let answer = lookup.answer(timeout)?;
        self.looked_up.record(
            &self.policy,
            name,
            &answer.addresses,
            answer.came,
            answer.ttl,
        );
        Ok(&answer.addresses)
    }

    /// The name that a look-up found.
    pub(crate) fn lookup_host(&self, handle: u32, timeout: Timeout) -> Result<&str, Errno> {
        let lookup = self.handles.lookup(handle)?;
        lookup.answer(timeout).map(|answer| answer.host.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Errno, IpAddr, Open, Question, SocketsCtx, Timeout};
    use crate::ctx::Address;
    use crate::policy::{Policy, Protocol};
    use crate::sockets::Data;
    use rustix::net::SendFlags;
    use std::net::{Ipv4Addr, UdpSocket};
    use wasisocket_abi::v1::Ancillary;
    use wasisocket_abi::{AF_INET, SOCK_DGRAM};

    /// A look-up of a name that is over, without asking anybody.
    fn looked_up(sockets: &mut SocketsCtx, name: &str, address: IpAddr) -> u32 {
        let question = Question::Name {
            name: name.into(),
            family: None,
        };
        let answer = Answer {
            addresses: vec![address],
            ..Answer::now(name.into())
        };
        let lookup = sockets.lookups.known(question, Ok(answer)).unwrap();
        sockets.handles.insert(Open::Lookup(lookup)).unwrap()
    }

    #[test]
    fn what_is_collected_is_what_rules_for_the_name_cover() {
        let policy = Policy::new()
            .allow("example.com:443")
            .and_then(|policy| policy.allow("other.test"))
            .unwrap();
        let mut sockets = SocketsCtx::builder(policy).on_denial(|_| ()).build();
        let public: IpAddr = [1, 2, 3, 4].into();
        let lookup = looked_up(&mut sockets, "example.com", public);
        let allowed = |sockets: &SocketsCtx| {
            let address = (public, 443).into();
            let verdict = sockets
                .policy
                .check_connect(Protocol::Tcp, address, &sockets.looked_up);
            verdict.is_ok()
        };
        assert!(!allowed(&sockets));
        for _ in 0..2 {
            assert_eq!(
                sockets.lookup_addrs(lookup, Timeout::NONE).unwrap(),
                [public]
            );
            assert!(allowed(&sockets));
        }
    }

    #[test]
    fn later_lookup_is_heeded_where_sending_was_allowed_before() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let policy = Policy::new().allow("*").unwrap();
        let policy = policy
            .deny(&format!("evil.test:{}", address.port()))
            .unwrap();
        let mut sockets = SocketsCtx::builder(policy).on_denial(|_| ()).build();
        let handle = sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap();
        let send = |sockets: &mut SocketsCtx| {
            let to = Some(Address::Ip(address));
            let flags = SendFlags::empty();
            let nothing = Ancillary::default();
            sockets.sendmsg(handle, Data::One(b"x"), to, &nothing, flags, Timeout::NONE)
        };
        assert_eq!(send(&mut sockets), Ok(1));
        assert_eq!(send(&mut sockets), Ok(1));
        let lookup = looked_up(&mut sockets, "evil.test", Ipv4Addr::LOCALHOST.into());
        sockets.lookup_addrs(lookup, Timeout::NONE).unwrap();
        assert_eq!(send(&mut sockets), Err(Errno::EACCES));
    }
}
