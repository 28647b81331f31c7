//! Sending and receiving sockets and files: what may leave this guest, and what may come to it.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{RecvFlags, SendFlags};
use wasisocket_abi::v1::{AF_UNIX, RIGHT_FILE, RIGHT_SOCKET, ReceivedRight, Right};
use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};

use super::handles::{Handles, Open};
use super::message::may_be_out_of_band;
use super::{Address, Name, SocketsCtx};
use crate::limits::Limit;
use crate::sockets::{
    Buffers, Data, Destination, Family, Incoming, Kind, Socket, Sort, cookie_of, sort_of,
};

/// A guest's files, of which this library knows nothing: whoever embeds it may give them to it, so that they
/// can be sent through Unix sockets. See [`add_files_to_linker`](crate::add_files_to_linker).
pub trait Files {
    /// A descriptor of the regular file that the guest has under this preview1 number, with the access mode
    /// that the guest has and the offset where the guest is. `None` if there is none that may be sent.
    fn file(&mut self, number: u32) -> Option<OwnedFd>;

    /// Gives the guest a regular file under a new preview1 number, for no more than the access mode of
    /// `file` and from its offset on. `None`, and it is closed, if there is no room.
    fn adopt(&mut self, file: OwnedFd) -> Option<u32>;
}

/// Of an embedder that gives none.
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
    /// There were more, or others; they are closed.
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
        may_be_out_of_band(socket, flags.contains(SendFlags::OOB))?;
        let to = match to {
            None => Destination::Peer,
            Some(to) => self.destination(socket, to)?,
        };
        // While they are under way they count for the user of the host's process, who has as many as it has
        // descriptors, and it may be up to this guest to take them out again.
        let given = self.given.saturating_add(rights.len());
        if given > self.handles.limit() {
            self.usage.reached(Limit::MaxSockets);
            return Err(Errno::ENOBUFS);
        }
        let mut opened = Vec::new();
        for right in rights.iter().filter(|right| right.kind == RIGHT_FILE) {
            let file = files.as_mut().and_then(|files| files.file(right.number));
            let file = file.filter(|file| sort_of(file.as_fd()) == Some(Sort::File));
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
        let sent = socket.send_rights(data, &to, &fds, flags)?;
        self.count_sent(socket, sent);
        self.given = given;
        Ok(sent)
    }

    fn unix_socket(&self, handle: u32) -> Result<&Socket, Errno> {
        let socket = self.handles.socket(handle)?;
        match socket.family() {
            Family::Unix => Ok(socket),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A socket that may be sent.
    fn socket_to_send(&self, handle: u32) -> Result<&Socket, Errno> {
        let socket = self.handles.socket(handle)?;
        // Unix sockets that are under way inside each other are the kernel's to find and collect. That code
        // had flaws, too (CVE-2021-0920): as with UDP-Lite, not for those that have no use for it.
        let has_folder = || self.unix_folders.iter().any(|folder| !folder.read_only);
        if socket.family() == Family::Unix && !self.policy.grants_any() && !has_folder() {
            return Err(Errno::EOPNOTSUPP);
        }
        socket.state().grant.is_shared = true;
        // Whoever gets it can set SO_LINGER too, for which closing it would wait.
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
        may_be_out_of_band(socket, flags.contains(RecvFlags::OOB))?;
        // The kernel would make a copy of each at every look.
        let max = match flags.contains(RecvFlags::PEEK) {
            true => 0,
            false => max,
        };
        let received = socket.recv_rights(buffers, max, flags)?;
        if !flags.contains(RecvFlags::PEEK) {
            self.count_received(socket, received.incoming.length);
        }
        self.given = self.given.saturating_sub(received.fds.len());
        if self.given == 0 {
            self.given_backlog = 0;
        }
        let mut incoming = received.incoming;
        let name = match incoming.from.take() {
            Some(name) => self.name_of(Some(name)),
            None => Name::None,
        };
        let mut cut = received.cut;
        let mut rights = Vec::with_capacity(received.fds.len());
        let mut own = OwnSockets::default();
        for fd in received.fds {
            // Those behind it are closed with the iterator: net/core/scm.c, scm_detach_fds.
            let Some(right) = self.admit(files.as_deref_mut(), fd, &mut own) else {
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

    /// Takes in what came with a message, or closes it.
    fn admit<F: Files>(
        &mut self,
        files: Option<&mut F>,
        fd: OwnedFd,
        own: &mut OwnSockets,
    ) -> Option<ReceivedRight> {
        let (family, kind) = match sort_of(fd.as_fd())? {
            Sort::File => {
                let number = files?.adopt(fd)?;
                let kind = RIGHT_FILE;
                return Some(ReceivedRight {
                    right: Right { kind, number },
                    ..ReceivedRight::default()
                });
            }
            Sort::Socket(family, kind) => (family, kind),
        };
        self.handles.room_for(1).ok()?;
        let cookie = cookie_of(fd.as_fd())?;
        let dup_of = own.of(&self.handles).get(&cookie).copied();
        let known = dup_of.and_then(|handle| self.handles.socket(handle).ok());
        let socket = match (known, family) {
            // What the policy has said of it holds for all of its handles.
            (Some(known), _) => known.by(fd),
            (None, Family::Unix) => Socket::received(fd, kind).ok()?,
            // No policy was asked whom it is connected to, or could be.
            (None, Family::V4 | Family::V6) => return None,
        };
        let number = self.handles.insert(Open::Socket(socket)).ok()?;
        own.of(&self.handles).entry(cookie).or_insert(number);
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

/// The guest's sockets by what the kernel calls them, once somebody asks.
#[derive(Default)]
struct OwnSockets(Option<HashMap<u64, u32>>);

impl OwnSockets {
    fn of(&mut self, handles: &Handles) -> &mut HashMap<u64, u32> {
        self.0.get_or_insert_with(|| {
            let cookie =
                |(handle, socket): (u32, &Socket)| Some((cookie_of(socket.as_fd())?, handle));
            handles.numbered_sockets().filter_map(cookie).collect()
        })
    }
}
