//! Unix sockets: which folder a path is in, and what the guest may do there.

use std::sync::{Arc, Weak};

use rustix::net::SocketAddrAny;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::UnixAddr;

use super::{Name, SocketsCtx};
use crate::limits::DiskQuota;
use crate::policy::{Operation, Reason};
use crate::sockets::{Family, Kind, PathError, Socket, UnixFolder, UnixPlace, path_of};

impl SocketsCtx {
    pub(super) fn bind_unix(&mut self, handle: u32, address: &UnixAddr) -> Result<(), Errno> {
        let socket = self.handles.socket(handle)?;
        let path = unix_path(socket, address)?;
        let doing = || Operation::BindUnix { path: text(path) };
        let (folder, rest) = self.allowed(self.folder(path), doing)?;
        if !self.usage.disk.has(DiskQuota::NAME) {
            return Err(Errno::ENOSPC);
        }
        let kernel_name = self.stays(folder, folder.bind(socket, &rest), doing)?;
        self.usage.disk.take(DiskQuota::NAME);
        let path: Arc<[u8]> = path.into();
        socket.state().path = Some(Arc::clone(&path));
        // Names of closed sockets make room for new ones.
        if self.unix_names.len() >= self.handles.limit() {
            self.unix_names.retain(|_, path| path.strong_count() > 0);
        }
        self.unix_names.insert(kernel_name, Arc::downgrade(&path));
        if socket.kind() == Kind::Datagram {
            self.report_listening(socket);
        }
        Ok(())
    }

    /// The socket to connect or send to.
    pub(super) fn unix_place(
        &self,
        socket: &Socket,
        address: &UnixAddr,
    ) -> Result<UnixPlace, Errno> {
        let path = unix_path(socket, address)?;
        let doing = || Operation::ConnectUnix { path: text(path) };
        let (folder, rest) = self.allowed(self.folder(path), doing)?;
        self.stays(folder, folder.find(&rest), doing)
    }

    /// The innermost folder that holds a path, and the rest of the path.
    fn folder<'p>(&self, path: &'p [u8]) -> Result<(&UnixFolder, Vec<&'p [u8]>), Reason> {
        let covering = self
            .unix_folders
            .iter()
            .filter_map(|folder| Some((folder, folder.beneath(path)?)));
        // Of two folders with the same path, the last counts, as in wasi-libc.
        let innermost = covering.max_by_key(|(_, (depth, _))| *depth);
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let missing = || text(path.get(..end.max(1)).unwrap_or_default());
        match innermost {
            None => Err(Reason::NoFolder { missing: missing() }),
            Some((folder, _)) if folder.read_only => Err(Reason::ReadOnly {
                folder: text(&folder.guest_path()),
                missing: missing(),
            }),
            Some((folder, (_, rest))) => Ok((folder, rest)),
        }
    }

    /// A path that leads out of its folder is denied.
    fn stays<T>(
        &self,
        folder: &UnixFolder,
        found: Result<T, PathError>,
        doing: impl FnOnce() -> Operation,
    ) -> Result<T, Errno> {
        found.or_else(|error| match error {
            PathError::Errno(errno) => Err(errno),
            PathError::Leaves => {
                let folder = text(&folder.guest_path());
                self.allowed(Err(Reason::LeavesFolder { folder }), doing)
            }
        })
    }

    /// The name of a Unix socket as the guest may see it: paths that this guest bound, and paths in its folders. All
    /// others are unnamed: the host's paths are none of the guest's business.
    pub(super) fn unix_name_of(&self, name: &SocketAddrAny) -> Name {
        let guest_path = path_of(name).and_then(|path| {
            let own = self.unix_names.get(&path).and_then(Weak::upgrade);
            own.map(|path| path.to_vec()).or_else(|| {
                self.unix_folders
                    .iter()
                    .find_map(|folder| folder.guest_path_of(&path))
            })
        });
        Name::unix(guest_path.as_deref())
    }
}

/// The path of an address. Paths have to be absolute, and Linux's abstract names are not available.
fn unix_path<'a>(socket: &Socket, address: &'a UnixAddr) -> Result<&'a [u8], Errno> {
    if socket.family() != Family::Unix {
        return Err(Errno::EAFNOSUPPORT);
    }
    let path = address.path()?;
    if !path.starts_with(b"/") || path.contains(&0) {
        return Err(Errno::EINVAL);
    }
    Ok(path)
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
