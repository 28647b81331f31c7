//! Name look-up.

use std::net::IpAddr;

use wasisocket_abi::{AF_INET, AF_INET6, Errno};

use super::SocketsCtx;
use super::handles::Open;
use super::limits::check_handles;
use crate::limits::Counted;
use crate::names::{Answer, IpFamily, Question};
use crate::policy::{HostName, Operation};

impl SocketsCtx {
    /// Starts a look-up of a name, for one address family or, with 0, for both. Names that no rule covers are
    /// never sent to a resolver.
    pub(crate) fn lookup_name(&mut self, name: &[u8], family: u32) -> Result<u32, Errno> {
        let family = match family {
            0 => None,
            AF_INET => Some(IpFamily::V4),
            AF_INET6 => Some(IpFamily::V6),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        check_handles(&self.handles, &mut self.usage, 1)?;
        let lookup = match HostName::parse(name)? {
            HostName::Literal(ip) => {
                let name = ip.to_string();
                let fits = family.is_none_or(|family| family == IpFamily::of(ip));
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
                let question = Question::Name { name, family };
                self.count(&question)?;
                self.lookups.start(question)?
            }
        };
        self.handles.insert(Open::Lookup(lookup))
    }

    /// Starts the look-up of the core six's `sock_resolve`. One that an abandoned call left open is closed.
    pub(crate) fn resolve_name(&mut self, name: &[u8]) -> Result<u32, Errno> {
        self.resolved();
        let lookup = self.lookup_name(name, 0)?;
        self.resolving = Some(lookup);
        Ok(lookup)
    }

    /// Closes the look-up of `sock_resolve`.
    pub(crate) fn resolved(&mut self) {
        if let Some(handle) = self.resolving.take()
            && self.handles.lookup(handle).is_ok()
        {
            // It was found just now.
            let _ = self.close(handle);
        }
    }

    /// Starts a look-up of the name of an address.
    pub(crate) fn lookup_addr(&mut self, address: IpAddr) -> Result<u32, Errno> {
        check_handles(&self.handles, &mut self.usage, 1)?;
        let doing = || Operation::ReverseLookup { address };
        self.allowed(self.policy.check_reverse_lookup(address), doing)?;
        let question = Question::Address(address);
        self.count(&question)?;
        let lookup = self.lookups.start(question)?;
        self.handles.insert(Open::Lookup(lookup))
    }

    /// Counts a look-up. Two consecutive look-ups for the two families of a name count as one, as a look-up of both
    /// does: a program that makes two need not wait for the slower answer (RFC 8305, section 3).
    fn count(&mut self, question: &Question) -> Result<(), Errno> {
        let last = self.last_counted.take();
        if last.is_some_and(|last| last.is_other_half_of(question)) {
            return Ok(());
        }
        self.usage.take_one(Counted::Lookups)?;
        self.last_counted = Some(question.clone());
        Ok(())
    }

    /// The addresses that a look-up found. Rules for the name cover them from now on.
    pub(crate) fn lookup_addrs(&mut self, handle: u32) -> Result<&[IpAddr], Errno> {
        let lookup = self.handles.lookup(handle)?;
        let Question::Name { name, .. } = lookup.question() else {
            return Err(Errno::EINVAL);
        };
        let Answer {
            addresses,
            came,
            ttl,
            ..
        } = lookup.answer()?;
        // The time to live counts from when the answer came, not from now: a guest may collect it late and repeatedly.
        self.looked_up
            .record(&self.policy, name, addresses, *came, *ttl);
        Ok(addresses)
    }

    /// The name that a look-up found.
    pub(crate) fn lookup_host(&self, handle: u32) -> Result<&str, Errno> {
        let lookup = self.handles.lookup(handle)?;
        lookup.answer().map(|answer| answer.host.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Errno, IpAddr, Open, Question, SocketsCtx};
    use crate::ctx::{Address, ConnectCall, NotDone, Outgoing};
    use crate::policy::{Policy, Protocol};
    use crate::sockets::{AllowedDestination, Patience};
    use crate::{Limits, Resolver};
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::{Duration, Instant};
    use wasisocket_abi::{AF_INET, AF_INET6, SOCK_DGRAM};

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
    fn two_lookups_in_a_row_for_the_families_of_a_name_count_as_one() {
        let limits = Limits {
            max_lookups: Some(2),
            ..Limits::default()
        };
        let resolver = Resolver::new().resolve("a.test:1.2.3.4").unwrap();
        let resolver = resolver.resolve("b.test:1.2.3.4").unwrap();
        let policy = Policy::new().allow("*").unwrap();
        let (a, b) = (b"a.test", b"b.test");
        for (lookups, allowed) in [
            (
                [(a, AF_INET6), (a, AF_INET), (b, AF_INET), (b, AF_INET6)],
                4,
            ),
            // Not a third one, not the same again, not with one between them, and not one for both.
            (
                [(a, AF_INET6), (a, AF_INET), (a, AF_INET6), (b, AF_INET)],
                3,
            ),
            ([(a, AF_INET), (a, AF_INET), (b, AF_INET), (b, AF_INET6)], 2),
            (
                [(a, AF_INET6), (b, AF_INET), (a, AF_INET), (b, AF_INET6)],
                2,
            ),
            ([(a, AF_INET6), (a, 0), (a, AF_INET), (a, AF_INET6)], 2),
        ] {
            let sockets = SocketsCtx::builder(policy.clone()).limits(limits.clone());
            let sockets = sockets.resolver(resolver.clone()).on_event(|_| ());
            let mut sockets = sockets.build();
            for (at, (name, family)) in lookups.into_iter().enumerate() {
                let lookup = sockets.lookup_name(name, family);
                let expected = if at < allowed {
                    Ok(())
                } else {
                    Err(Errno::EDQUOT)
                };
                assert_eq!(lookup.map(|_| ()), expected, "{lookups:?} {at}");
            }
        }
    }

    #[test]
    fn lookup_that_a_call_left_behind_is_given_up_by_the_next() {
        let resolver = Resolver::new().resolve("a.test:1.2.3.4").unwrap();
        let policy = Policy::new().allow("*").unwrap();
        let sockets = SocketsCtx::builder(policy).resolver(resolver);
        let mut sockets = sockets.max_sockets(2).build();
        for _ in 0..5 {
            sockets.resolve_name(b"a.test").unwrap();
            assert_eq!(sockets.handles.count(), 1);
        }
        sockets.resolved();
        assert_eq!(sockets.handles.count(), 0);
    }

    #[test]
    fn what_is_collected_is_what_rules_for_the_name_cover() {
        let policy = Policy::new()
            .allow("example.com:443")
            .and_then(|policy| policy.allow("other.test"))
            .unwrap();
        let mut sockets = SocketsCtx::builder(policy).on_event(|_| ()).build();
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
            assert_eq!(sockets.lookup_addrs(lookup).unwrap(), [public]);
            assert!(allowed(&sockets));
        }
    }

    #[test]
    fn old_answer_is_not_covered_by_collecting_it_again() {
        let policy = Policy::new().allow("example.com").unwrap();
        let mut sockets = SocketsCtx::builder(policy).on_event(|_| ()).build();
        let public: IpAddr = [1, 2, 3, 4].into();
        let question = Question::Name {
            name: "example.com".into(),
            family: None,
        };
        let hour = Duration::from_secs(3600);
        // Linux's clock may also be before the machine's start.
        let came = Instant::now().checked_sub(hour).unwrap();
        let answer = Answer {
            addresses: vec![public],
            came,
            ..Answer::now("example.com".into())
        };
        let lookup = sockets.lookups.known(question, Ok(answer)).unwrap();
        let lookup = sockets.handles.insert(Open::Lookup(lookup)).unwrap();
        let handle = sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap();
        for _ in 0..2 {
            sockets.lookup_addrs(lookup).unwrap();
            let to = Address::Ip((public, 53).into());
            let connected = sockets.connect(handle, to, &mut ConnectCall::default());
            assert_eq!(connected, Err(NotDone::Errno(Errno::EACCES)));
        }
    }

    #[test]
    fn verdict_that_is_remembered_for_sending_ends_with_the_answer() {
        let policy = Policy::new().allow("example.com").unwrap();
        let mut sockets = SocketsCtx::builder(policy).on_event(|_| ()).build();
        let handle = sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut send = |until| {
            let socket = sockets.handles.socket(handle).unwrap();
            socket.state().grant.destination = Some(AllowedDestination {
                address,
                changes: sockets.looked_up.changes(),
                until,
            });
            let to = Some(Address::Ip(address));
            let message = Outgoing {
                to,
                ..Outgoing::to_peer(b"x")
            };
            sockets.send(handle, message, Patience::NONE)
        };
        assert_eq!(send(None), Ok(1));
        let now = Instant::now();
        assert_eq!(send(Some(now + Duration::from_secs(60))), Ok(1));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(send(Some(now)), Err(NotDone::Errno(Errno::EACCES)));
    }

    #[test]
    fn later_lookup_is_heeded_where_sending_was_allowed_before() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let policy = Policy::new().allow("*").unwrap();
        let policy = policy
            .deny(&format!("evil.test:{}", address.port()))
            .unwrap();
        let mut sockets = SocketsCtx::builder(policy).on_event(|_| ()).build();
        let handle = sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap();
        let send = |sockets: &mut SocketsCtx| {
            let to = Some(Address::Ip(address));
            let message = Outgoing {
                to,
                ..Outgoing::to_peer(b"x")
            };
            sockets.send(handle, message, Patience::NONE)
        };
        assert_eq!(send(&mut sockets), Ok(1));
        assert_eq!(send(&mut sockets), Ok(1));
        let lookup = looked_up(&mut sockets, "evil.test", Ipv4Addr::LOCALHOST.into());
        sockets.lookup_addrs(lookup).unwrap();
        assert_eq!(send(&mut sockets), Err(NotDone::Errno(Errno::EACCES)));
    }
}
