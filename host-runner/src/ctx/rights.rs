//! Sending and receiving sockets and files: what may leave a guest, and what may come to it.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{RecvFlags, SendFlags};
use wasisocket_abi::v1::{AF_UNIX, RIGHT_FILE, RIGHT_SOCKET, ReceivedRight, Right};
use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};

use super::handles::{Handles, Open};
use super::limits::{check_length, move_max};
use super::message::may_be_out_of_band;
use super::{Address, Name, SocketsCtx};
use crate::limits::Limit;
use crate::sockets::{
    Buffers, Data, DescriptorKind, Destination, Family, Incoming, Kind, Pieces, Socket, cookie_of,
    descriptor_kind,
};

/// A guest's files, which this library does not manage. An embedder implements this so that files can be sent through
/// Unix sockets: see [`add_files_to_linker`](crate::add_files_to_linker).
pub trait Files {
    /// A descriptor of the regular file that the guest has under this preview1 number, with the guest's access mode
    /// and offset. `None` if there is no file that may be sent.
    fn file(&mut self, number: u32) -> Option<OwnedFd>;

    /// Gives the guest a regular file under a new preview1 number, with no more than the access mode of `file` and at
    /// its offset. `None` if there is no room; the file is closed then.
    fn adopt(&mut self, file: OwnedFd) -> Option<u32>;

    /// A duplicate (dup(2)) of the descriptor of a regular file or a directory, for locks and questions: nothing is read,
    /// written or moved with it. The default has it for what may be sent.
    fn descriptor(&mut self, number: u32) -> Option<OwnedFd> {
        self.file(number)
    }
}

/// For an embedder that gives no files.
#[derive(Debug)]
pub(crate) enum NoFiles {}

impl Files for NoFiles {
    fn file(&mut self, _number: u32) -> Option<OwnedFd> {
        match *self {}
    }

    fn adopt(&mut self, _file: OwnedFd) -> Option<u32> {
        match *self {}
    }
}

/// What `sock_recv_rights` received.
pub(crate) struct Received {
    pub(crate) incoming: Incoming,
    pub(crate) name: Name,
    pub(crate) rights: Vec<ReceivedRight>,
    /// There were more rights, or such that a guest cannot have. They are closed.
    pub(crate) cut: bool,
}

impl SocketsCtx {
    pub(crate) fn send_rights<F: Files>(
        &mut self,
        mut files: Option<&mut F>,
        handle: u32,
        data: Data<'_>,
        to: Option<Address>,
        rights: &[Right],
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        let socket = self.unix_socket(handle)?;
        check_length(socket, data.len())?;
        let most = move_max(socket, self.stream_max());
        may_be_out_of_band(socket, flags.contains(SendFlags::OOB))?;
        let to = match to {
            None => Destination::Peer,
            Some(to) => self.destination(socket, to)?,
        };
        // Descriptors under way count for the user of the host's process, whose limit is that of open files, and it
        // may be up to this guest to receive them again.
        let sent_rights = self.sent_rights.saturating_add(rights.len());
        if sent_rights > self.handles.limit() {
            self.usage.reached(Limit::MaxSockets);
            return Err(Errno::ENOBUFS);
        }
        let mut opened = Vec::new();
        for right in rights.iter().filter(|right| right.kind == RIGHT_FILE) {
            let file = files.as_mut().and_then(|files| files.file(right.number));
            let file =
                file.filter(|file| descriptor_kind(file.as_fd()) == Some(DescriptorKind::File));
            opened.push(file.ok_or(Errno::EOPNOTSUPP)?);
        }
        let mut opened = opened.iter();
        let mut fds = Vec::with_capacity(rights.len());
        for right in rights {
            fds.push(match right.kind {
                RIGHT_FILE => opened.next().ok_or(Errno::EOPNOTSUPP)?.as_fd(),
                RIGHT_SOCKET => self.socket_to_send(right.number)?.as_fd(),
                _ => return Err(Errno::EINVAL),
            });
        }
        let mut pieces = Pieces::new();
        let data = data.first(most, &mut pieces);
        let sent = socket.send_rights(data, &to, &fds, flags)?;
        self.count_sent(socket, sent);
        self.sent_rights = sent_rights;
        Ok(sent)
    }

    fn unix_socket(&self, handle: u32) -> Result<&Socket, Errno> {
        let socket = self.handles.socket(handle)?;
        match socket.family() {
            Family::Unix => Ok(socket),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A socket of the guest that may be sent.
    fn socket_to_send(&self, handle: u32) -> Result<&Socket, Errno> {
        let socket = self.handles.socket(handle)?;
        // The kernel has to find and collect Unix sockets that are under way inside each other. That code had flaws
        // too (CVE-2021-0920): as with UDP-Lite, it is only for guests that have a use for it.
        let has_folder = || self.unix_folders.iter().any(|folder| !folder.read_only);
        if socket.family() == Family::Unix && !self.policy.grants_any() && !has_folder() {
            return Err(Errno::EOPNOTSUPP);
        }
        socket.state().grant.is_shared = true;
        // The receiver can set SO_LINGER too, and closing the socket would wait for that.
        socket.set_lingers();
        Ok(socket)
    }

    pub(crate) fn recv_rights<F: Files>(
        &mut self,
        mut files: Option<&mut F>,
        handle: u32,
        buffers: &mut Buffers<'_, '_>,
        max: usize,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        let socket = self.unix_socket(handle)?;
        let most = move_max(socket, self.stream_max());
        may_be_out_of_band(socket, flags.contains(RecvFlags::OOB))?;
        // The kernel would duplicate each of them at every look.
        let max = match flags.contains(RecvFlags::PEEK) {
            true => 0,
            false => max,
        };
        let received =
            buffers.with_first(most, |buffers| socket.recv_rights(buffers, max, flags))?;
        if !flags.contains(RecvFlags::PEEK) {
            self.count_received(socket, received.incoming.length);
        }
        self.sent_rights = self.sent_rights.saturating_sub(received.fds.len());
        if self.sent_rights == 0 {
            self.sent_backlog = 0;
        }
        let mut incoming = received.incoming;
        let name = match incoming.from.take() {
            Some(name) => self.name_of(Some(name)),
            None => Name::None,
        };
        let mut cut = received.cut;
        let mut rights = Vec::with_capacity(received.fds.len());
        let mut known = KnownSockets::default();
        for fd in received.fds {
            // The rest is closed with the iterator, as the kernel does (net/core/scm.c, scm_detach_fds).
            let Some(right) = self.admit(files.as_deref_mut(), fd, &mut known) else {
                cut = true;
                break;
            };
            rights.push(right);
        }
        Ok(Received {
            incoming,
            name,
            rights,
            cut,
        })
    }

    /// Gives the guest a descriptor that came with a message, or closes it.
    fn admit<F: Files>(
        &mut self,
        files: Option<&mut F>,
        fd: OwnedFd,
        known_sockets: &mut KnownSockets,
    ) -> Option<ReceivedRight> {
        let (family, kind) = match descriptor_kind(fd.as_fd())? {
            DescriptorKind::File => {
                let number = files?.adopt(fd)?;
                let kind = RIGHT_FILE;
                return Some(ReceivedRight {
                    right: Right { kind, number },
                    ..ReceivedRight::default()
                });
            }
            DescriptorKind::Socket(family, kind) => (family, kind),
        };
        self.handles.room_for(1).ok()?;
        let cookie = cookie_of(fd.as_fd())?;
        let dup_of = known_sockets.of(&self.handles).get(&cookie).copied();
        let known = dup_of.and_then(|handle| self.handles.socket(handle).ok());
        let socket = match (known, family) {
            // What the policy said about the socket holds for all of its handles.
            (Some(known), _) => known.by(fd),
            (None, Family::Unix) => Socket::received(fd, kind).ok()?,
            // The policy was not asked about its peer, and could not be.
            (None, Family::V4 | Family::V6) => return None,
        };
        let number = self.handles.insert(Open::Socket(socket)).ok()?;
        known_sockets
            .of(&self.handles)
            .entry(cookie)
            .or_insert(number);
        let kind_number = match kind {
            Kind::Stream => SOCK_STREAM,
            Kind::Datagram => SOCK_DGRAM,
        };
        let family_number = match family {
            Family::V4 => AF_INET,
            Family::V6 => AF_INET6,
            Family::Unix => AF_UNIX,
        };
        Some(ReceivedRight {
            right: Right {
                kind: RIGHT_SOCKET,
                number,
            },
            // One-digit and two-digit numbers.
            family: family_number as u16,
            ty: kind_number as u16,
            dup_of: dup_of.unwrap_or(0),
        })
    }
}

/// The guest's sockets by their cookies, listed when needed first.
#[derive(Default)]
struct KnownSockets(Option<HashMap<u64, u32>>);

impl KnownSockets {
    fn of(&mut self, handles: &Handles) -> &mut HashMap<u64, u32> {
        self.0.get_or_insert_with(|| {
            let cookie =
                |(handle, socket): (u32, &Socket)| Some((cookie_of(socket.as_fd())?, handle));
            handles.numbered_sockets().filter_map(cookie).collect()
        })
    }
}
