//! Sockets and files that go with messages of Unix sockets (unix(7), SCM_RIGHTS).

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::{Errno as SystemErrno, retry_on_intr};
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, sockopt,
};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::Ancillary;

use super::message::{Buffers, Data, Destination, Incoming};
use super::socket::{Family, Kind, Socket, close_at_once};
use crate::errno::from_system;

/// The kinds of descriptors in messages that a guest can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DescriptorKind {
    /// A regular file, open for reading, writing or both.
    File,
    Socket(Family, Kind),
}

/// `None` for what guests cannot have: folders, devices, pipes, epoll sets, sockets of other kinds.
pub(crate) fn descriptor_kind(fd: BorrowedFd<'_>) -> Option<DescriptorKind> {
    match FileType::from_raw_mode(fstat(fd).ok()?.st_mode) {
        // O_PATH only names a place in a file system: nothing can be read from it.
        FileType::RegularFile if !fcntl_getfl(fd).ok()?.contains(OFlags::PATH) => {
            Some(DescriptorKind::File)
        }
        FileType::Socket => {
            let family = match sockopt::socket_domain(fd).ok()? {
                AddressFamily::INET => Family::V4,
                AddressFamily::INET6 => Family::V6,
                AddressFamily::UNIX => Family::Unix,
                _ => return None,
            };
            let kind = match sockopt::socket_type(fd).ok()? {
                SocketType::STREAM => Kind::Stream,
                SocketType::DGRAM => Kind::Datagram,
                _ => return None,
            };
            Some(DescriptorKind::Socket(family, kind))
        }
        _ => None,
    }
}

/// The kernel's number for this socket, unique until the system is restarted: socket(7), SO_COOKIE.
pub(crate) fn cookie_of(socket: BorrowedFd<'_>) -> Option<u64> {
    sockopt::socket_cookie(socket).ok()
}

/// What was received with a message.
#[derive(Debug)]
pub(crate) struct IncomingRights {
    pub(crate) incoming: Incoming,
    pub(crate) fds: Vec<OwnedFd>,
    /// There were more rights. They are closed.
    pub(crate) cut: bool,
}

impl Socket {
    /// sendmsg(2), without waiting; how many bytes the kernel took. With 0 bytes of a stream, no rights were sent.
    pub(crate) fn send_rights(
        &self,
        data: Data<'_>,
        to: &Destination,
        rights: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        let flags = flags | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let message = || SendAncillaryMessage::ScmRights(rights);
        let mut room = vec![MaybeUninit::uninit(); message().size()];
        let sent = data.with_vector(|data| {
            retry_on_intr(|| {
                let mut control = SendAncillaryBuffer::new(&mut room);
                if !rights.is_empty() && !control.push(message()) {
                    return Err(SystemErrno::INVAL);
                }
                match to {
                    Destination::Peer => net::sendmsg(self, data, &mut control, flags),
                    Destination::Unix(to) => {
                        net::sendmsg_addr(self, &to.address, data, &mut control, flags)
                    }
                    Destination::Ip(to) => net::sendmsg_addr(self, to, data, &mut control, flags),
                }
            })
        });
        sent.map_err(|errno| match errno {
            // ETOOMANYREFS, which the ABI has no name for: too many descriptors of this user are under way.
            SystemErrno::TOOMANYREFS => Errno::ENOBUFS,
            errno => from_system(errno),
        })
    }

    /// recvmsg(2), without waiting, with up to `max` rights. SO_LINGER of received sockets is cleared: most of them are
    /// closed again, which would wait as long as the sender wants.
    pub(crate) fn recv_rights(
        &self,
        buffers: &mut Buffers<'_, '_>,
        max: usize,
        flags: RecvFlags,
    ) -> Result<IncomingRights, Errno> {
        let room = buffers.room();
        let mut flags = flags | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        if self.kind() == Kind::Datagram {
            flags |= RecvFlags::TRUNC;
        }
        let mut space = match max {
            0 => Vec::new(),
            max => vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(max))],
        };
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = retry_on_intr(|| {
            buffers.with_vector(|buffers| net::recvmsg(self, buffers, &mut control, flags))
        })
        .map_err(from_system)?;
        let mut fds = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = part {
                fds.extend(received.inspect(|fd| close_at_once(fd.as_fd())));
            }
        }
        // Headers are aligned, which leaves room for one or two more.
        let surplus = fds.len() > max;
        fds.truncate(max);
        Ok(IncomingRights {
            incoming: Incoming {
                length: message.bytes,
                truncated: self.kind() == Kind::Datagram && message.bytes > room,
                out_of_band: false,
                from: message.address,
                ancillary: Ancillary::default(),
            },
            fds,
            cut: surplus || message.flags.contains(ReturnFlags::CTRUNC),
        })
    }

    /// This socket under another descriptor, which has the same [`cookie_of`].
    pub(crate) fn by(&self, fd: OwnedFd) -> Self {
        Self {
            fd,
            shared: Arc::clone(&self.shared),
        }
    }

    /// A Unix socket of somebody else. EINVAL for a stream that is not connected: whoever else has it would decide
    /// whether accept(2) and connect(2) wait.
    pub(crate) fn received(fd: OwnedFd, kind: Kind) -> Result<Self, Errno> {
        let socket = Self::new(fd, Family::Unix, kind);
        if kind == Kind::Stream && socket.peer_name().is_err() {
            return Err(Errno::EINVAL);
        }
        Ok(socket)
    }
}
