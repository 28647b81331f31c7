//! Unix sockets: which folder a path is in, and what the guest may do there.

use std::sync::{Arc, Weak};

use rustix::net::SocketAddrAny;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::UnixAddr;

use super::{Name, SocketsCtx};
use crate::policy::{Denial, Operation, Reason};
use crate::sockets::{Family, Kind, PathError, Socket, UnixFolder, UnixPlace, path_of};

/// Makes the operation of a denial from a path.
type Doing = fn(String) -> Operation;

impl SocketsCtx {
    pub(super) fn bind_unix(&mut self, handle: u32, address: &UnixAddr) -> Result<(), Errno> {
        let socket = self.handles.socket(handle)?;
        let path = unix_path(socket, address)?;
        let doing = |path| Operation::BindUnix { path };
        let (folder, rest) = self.folder(path, doing)?;
        let kernel_name = folder
            .bind(socket, &rest)
            .map_err(|error| self.path_errno(error, folder, path, doing))?;
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
        let doing = |path| Operation::ConnectUnix { path };
        let (folder, rest) = self.folder(path, doing)?;
        folder
            .find(&rest)
            .map_err(|error| self.path_errno(error, folder, path, doing))
    }

    /// The innermost folder that holds a path, and the rest of the path.
    fn folder<'p>(
        &self,
        path: &'p [u8],
        doing: Doing,
    ) -> Result<(&UnixFolder, Vec<&'p [u8]>), Errno> {
        let covering = self
            .unix_folders
            .iter()
            .filter_map(|folder| Some((folder, folder.beneath(path)?)));
        // Of two folders with the same path, the last counts, as in wasi-libc.
        let innermost = covering.max_by_key(|(_, (depth, _))| *depth);
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let missing = || text(path.get(..end.max(1)).unwrap_or_default());
        let Some((folder, (_, rest))) = innermost else {
            let missing = missing();
            return Err(self.denied(doing(text(path)), Reason::NoFolder { missing }));
        };
        if folder.read_only {
            return Err(self.denied(
                doing(text(path)),
                Reason::ReadOnly {
                    folder: text(&folder.guest_path()),
                    missing: missing(),
                },
            ));
        }
        self.allowed(Ok((folder, rest)), || doing(text(path)))
    }

    fn path_errno(
        &self,
        error: PathError,
        folder: &UnixFolder,
        path: &[u8],
        doing: Doing,
    ) -> Errno {
        match error {
            PathError::Errno(errno) => errno,
            PathError::Leaves => self.denied(
                doing(text(path)),
                Reason::LeavesFolder {
                    folder: text(&folder.guest_path()),
                },
            ),
        }
    }

    fn denied(&self, operation: Operation, reason: Reason) -> Errno {
        self.refused(Denial { operation, reason })
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
