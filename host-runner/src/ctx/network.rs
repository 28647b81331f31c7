//! Connecting, binding, listening and accepting; names, options and groups.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::{AddressFamily, SocketAddrAny};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{Interface, SHUT_READ, SHUT_WRITE, SocketOption};

use super::handles::Open;
use super::limits::{check_connect_rate, check_handles, connect_counted, is_counted};
use super::self_connect::canonical;
use super::{Address, Name, NotDone, SocketsCtx};
use crate::limits::Counted;
use crate::policy::{Operation, Protocol, Reason, destination};
use crate::sockets::{Connection, Family, Inbound, Kind, Socket, interfaces};

/// How many connections may wait at all listeners together, as a multiple of the sockets that may be open, which is
/// the maximum for one listener. Each listener has room for this many in any case.
const BACKLOGS: usize = 4;

/// One call of connect(2) by the guest: the policy is asked once for all of its attempts.
#[derive(Debug, Default)]
pub(crate) struct ConnectCall {
    is_allowed: bool,
}

impl SocketsCtx {
    pub(crate) fn bind(&mut self, handle: u32, address: Address) -> Result<(), Errno> {
        let socket = self.handles.socket(handle)?;
        match address {
            Address::Unspecified => Err(Errno::EAFNOSUPPORT),
            Address::Unix(address) => self.bind_unix(handle, &address),
            Address::Ip(_) if socket.family() == Family::Unix => Err(Errno::EINVAL),
            Address::Ip(address) => {
                // For a stream this reserves nothing and chooses no route: programs bind so before they connect, and
                // to find out whether there is IPv6. Listening is checked by `listen`.
                let nowhere = address.ip().is_unspecified() || address.ip().is_loopback();
                if socket.kind() == Kind::Datagram || address.port() != 0 || !nowhere {
                    self.allowed(self.check_listen(socket, address), || Operation::Bind {
                        address,
                        protocol: protocol_of(socket),
                    })?;
                }
                socket.bind_ip(address)?;
                if socket.kind() == Kind::Datagram {
                    self.report_listening(socket);
                }
                Ok(())
            }
        }
    }

    pub(crate) fn listen(&mut self, handle: u32, backlog: u32) -> Result<(), Errno> {
        let socket = self.handles.socket(handle)?;
        let wildcard: IpAddr = match socket.family() {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
            Family::Unix => return self.start_listening(socket, backlog),
        };
        if socket.kind() == Kind::Stream {
            // An unbound socket would be bound by the kernel to any address and a port of its choice. A choice that
            // it made before, for a connect that failed, is no grant either. A socket bound to port 0 may have lost
            // the port that the kernel chose, and gets another now; in that case a failed bind has also taken its
            // address (inet_bind).
            let ip = socket.local()?.ip();
            let bound = socket.state().grant.bound.filter(|bound| bound.ip() == ip);
            let bound = bound.unwrap_or(SocketAddr::new(wildcard, 0));
            let verdict = self.check_listen(socket, bound);
            let own = verdict.is_err() && self.may_listen_to_itself(bound);
            self.allowed(if own { Ok(()) } else { verdict }, || Operation::Bind {
                address: bound,
                protocol: Protocol::Tcp,
            })?;
            socket.state().grant.self_connect = own;
        }
        self.start_listening(socket, backlog)
    }

    fn start_listening(&self, socket: &Socket, backlog: u32) -> Result<(), Errno> {
        let listened = socket.state().connection == Connection::Listening;
        socket.listen(self.room_to_wait(socket).min(backlog as usize))?;
        if !listened {
            self.report_listening(socket);
        }
        Ok(())
    }

    /// How many connections may wait to be accepted here: each is a socket of the kernel already, with the data that
    /// was sent over it.
    fn room_to_wait(&self, listener: &Socket) -> usize {
        let limit = self.handles.limit();
        // The guest's connections to itself are its sockets too.
        let times = if listener.state().grant.self_connect {
            1
        } else {
            BACKLOGS
        };
        let others = self
            .handles
            .sockets()
            .filter(|other| !other.is_same(listener));
        let waiting: HashMap<usize, usize> = others
            .map(|other| (other.identity(), other.state().counts.backlog))
            .collect();
        let waiting = waiting.values().sum::<usize>() + self.sent_backlog;
        let room = limit.saturating_mul(times).saturating_sub(waiting);
        room.clamp(times.min(limit), limit)
    }

    fn check_listen(&self, socket: &Socket, address: SocketAddr) -> Result<(), Reason> {
        let both_families =
            socket.family() == Family::V6 && socket.option(SocketOption::IPV6_V6ONLY) != Ok(1);
        self.policy
            .check_listen(protocol_of(socket), address, both_families)
    }

    /// Accepts a connection: its handle and its peer. Connections of peers that a deny rule forbids are closed.
    pub(crate) fn accept(&mut self, handle: u32) -> Result<(u32, Name), Errno> {
        let socket = self.handles.socket(handle)?;
        check_handles(&self.handles, &mut self.usage, 1)?;
        let counts = is_counted(socket);
        if counts {
            // accept(2) has no EDQUOT, at which a server would try again at once. asyncio pauses at ENOBUFS.
            let room = self.usage.room(Counted::Connections, true);
            room.map_err(|_| Errno::ENOBUFS)?;
        }
        let own = socket.state().grant.self_connect;
        let connected = LazyCell::new(|| self.connected_to_itself(socket));
        let admits = |peer| match own {
            true => connected.contains(&canonical(peer)),
            false => !self
                .policy
                .forbids_peer(Protocol::Tcp, peer, &self.looked_up),
        };
        let is_asked = own || socket.family() != Family::Unix && self.policy.forbids_any();
        let (accepted, peer) = socket.accept(is_asked.then_some(&admits))?;
        if counts {
            self.usage.came(Counted::Connections, 1);
        }
        self.report_accepted(&accepted, self.handles.socket(handle)?, peer.as_ref());
        let peer = self.name_of(peer);
        let handle = self.handles.insert(Open::Socket(accepted))?;
        Ok((handle, peer))
    }

    /// An attempt that takes time is EINPROGRESS, and EALREADY when asked again: see [`Socket::connect`]. `call` is
    /// the guest's call, which may take several attempts.
    pub(crate) fn connect(
        &mut self,
        handle: u32,
        address: Address,
        call: &mut ConnectCall,
    ) -> Result<(), NotDone> {
        let socket = self.handles.socket(handle)?;
        check_connect_rate(socket, &mut self.usage)?;
        let result = match address {
            Address::Unspecified if socket.kind() == Kind::Datagram => socket.disconnect(),
            Address::Unspecified => Err(Errno::EAFNOSUPPORT),
            Address::Unix(address) => {
                let place = self.unix_place(socket, &address)?;
                let result = socket.connect(&place.address);
                self.report_unix_connect(socket, &address, result);
                result
            }
            Address::Ip(_) if socket.family() == Family::Unix => Err(Errno::EINVAL),
            Address::Ip(address) => {
                let address = destination(address);
                if !call.is_allowed {
                    self.may_connect(socket, address)?;
                    call.is_allowed = true;
                }
                let before = socket.state().connection;
                let result = match socket.inbound() {
                    Inbound::Kernel => connect_counted(socket, address, &mut self.usage)?,
                    _ => socket.connect_datagram(address),
                };
                self.report_connect(socket, address, before, result);
                result
            }
        };
        result.map_err(NotDone::Errno)
    }

    fn may_connect(&self, socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
        let protocol = protocol_of(socket);
        let verdict = self
            .policy
            .check_connect(protocol, address, &self.looked_up);
        let own = verdict.is_err() && self.may_connect_to_itself(socket, address);
        let doing = || Operation::Connect { address, protocol };
        self.allowed(if own { Ok(None) } else { verdict }, doing)?;
        if own {
            socket.state().grant.self_connect = true;
        }
        Ok(())
    }

    pub(crate) fn shutdown(&mut self, handle: u32, how: u32) -> Result<(), Errno> {
        let socket = self.handles.socket(handle)?;
        if how == 0 || how & !(SHUT_READ | SHUT_WRITE) != 0 {
            return Err(Errno::EINVAL);
        }
        // Linux ends an attempt to connect (inet_shutdown): the next attempt counts.
        self.report_given_up(socket);
        socket.end_connect();
        self.stops_listening(socket);
        socket.shutdown(how & SHUT_READ != 0, how & SHUT_WRITE != 0)
    }

    pub(crate) fn sockname(&self, handle: u32) -> Result<Name, Errno> {
        let socket = self.handles.socket(handle)?;
        match socket.family() {
            Family::Unix => Ok(Name::unix(socket.state().path.as_deref())),
            _ => Ok(self.name_of(Some(socket.name()?))),
        }
    }

    pub(crate) fn peername(&self, handle: u32) -> Result<Name, Errno> {
        let socket = self.handles.socket(handle)?;
        Ok(self.name_of(socket.peer_name()?))
    }

    /// A name of the kernel as the guest may see it.
    pub(super) fn name_of(&self, name: Option<SocketAddrAny>) -> Name {
        match name {
            None => Name::None,
            Some(name) if name.address_family() == AddressFamily::UNIX => self.unix_name_of(&name),
            Some(name) => SocketAddr::try_from(name).map_or(Name::None, Name::Ip),
        }
    }

    pub(crate) fn option(&self, handle: u32, option: SocketOption) -> Result<i64, Errno> {
        let socket = self.handles.socket(handle)?;
        if option == SocketOption::READABLE && !self.discard_strangers(socket) {
            return Ok(0);
        }
        let value = socket.option(option)?;
        if option == SocketOption::ERROR {
            // 0 also says that the outcome is not known yet.
            let error = u32::try_from(value).ok().filter(|error| *error != 0);
            self.report_outcome(socket, error.map(Errno));
        }
        Ok(value)
    }

    pub(crate) fn set_option(
        &mut self,
        handle: u32,
        option: SocketOption,
        value: i64,
    ) -> Result<(), Errno> {
        self.handles.socket(handle)?.set_option(option, value)
    }

    pub(crate) fn membership(
        &mut self,
        handle: u32,
        join: bool,
        group: SocketAddr,
        interface: SocketAddr,
    ) -> Result<(), Errno> {
        let socket = self.handles.socket(handle)?;
        if join {
            let doing = || Operation::Join { group: group.ip() };
            self.allowed(self.policy.check_join(group.ip()), doing)?;
        }
        socket.membership(join, group, interface)
    }

    /// The host's network interfaces; none for a guest that has no allow rule.
    pub(crate) fn interfaces(&self) -> Result<Vec<Interface>, Errno> {
        match self.policy.grants_any() {
            true => interfaces(),
            false => Ok(Vec::new()),
        }
    }
}

/// The protocol of an IP socket. UDP-Lite is UDP to a policy.
fn protocol_of(socket: &Socket) -> Protocol {
    match socket.kind() {
        Kind::Stream => Protocol::Tcp,
        Kind::Datagram => Protocol::Udp,
    }
}
