//! Unix sockets by path, below folders that paths cannot leave.
//!
//! bind(2) and connect(2) take a path, not a descriptor, and a path can change between a check and its use. So each
//! path is first resolved below its folder (openat2(2), RESOLVE_BENEATH), and the result is then named by its
//! descriptor in /proc/self/fd.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, openat, openat2, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno as SystemErrno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};
use wasisocket_abi::Errno;

use super::socket::Socket;
use crate::errno::from_system;

/// A folder of the host in which a guest may have its Unix sockets.
#[derive(Debug)]
pub(crate) struct UnixFolder {
    root: OwnedFd,
    /// The path on the host, to translate the names of peers.
    host: Vec<u8>,
    /// The path as the guest sees it, part by part.
    guest: Vec<Vec<u8>>,
    pub(crate) read_only: bool,
}

/// The file of a socket. The address is valid as long as this lives.
#[derive(Debug)]
pub(crate) struct UnixPlace {
    pub(crate) address: SocketAddrUnix,
    _file: OwnedFd,
}

/// Why a path cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// The path leads out of its folder.
    Leaves,
    Errno(Errno),
}

impl From<SystemErrno> for PathError {
    fn from(errno: SystemErrno) -> Self {
        match errno {
            SystemErrno::XDEV => Self::Leaves,
            errno => Self::Errno(from_system(errno)),
        }
    }
}

impl From<Errno> for PathError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// The parts of a path, without empty parts and `.`.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !matches!(part, [] | [b'.']))
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    match parts {
        [] => b".".to_vec(),
        parts => parts.join(&b'/'),
    }
}

impl UnixFolder {
    pub(crate) fn open(host: &Path, guest: &str, read_only: bool) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            root: openat(CWD, host, flags, Mode::empty())?,
            host: fs::canonicalize(host)?.as_os_str().as_bytes().to_vec(),
            guest: parts(guest.as_bytes()).map(<[u8]>::to_vec).collect(),
            read_only,
        })
    }

    /// The path as the guest sees it.
    pub(crate) fn guest_path(&self) -> Vec<u8> {
        [b"/", self.guest.join(&b'/').as_slice()].concat()
    }

    /// The parts of a guest's path below this folder, and how many parts the folder has. `None` if the path is not in
    /// it.
    pub(crate) fn beneath<'p>(&self, path: &'p [u8]) -> Option<(usize, Vec<&'p [u8]>)> {
        let mut rest = parts(path);
        let covers = self.guest.iter().all(|part| rest.next() == Some(part));
        covers.then(|| (self.guest.len(), rest.collect()))
    }

    /// The guest's path for a path of the host; `None` if it is not below this folder.
    pub(crate) fn guest_path_of(&self, host: &[u8]) -> Option<Vec<u8>> {
        let rest = host.strip_prefix(self.host.as_slice())?;
        // The name of a sibling may begin with the folder's name.
        let is_below = rest.starts_with(b"/") || self.host == b"/";
        let stays = parts(rest).all(|part| part != b"..");
        (is_below && stays).then(|| {
            let mut path = Vec::new();
            for part in self.guest.iter().map(Vec::as_slice).chain(parts(rest)) {
                path.push(b'/');
                path.extend_from_slice(part);
            }
            path
        })
    }

    fn resolve(&self, path: &[&[u8]], flags: OFlags) -> Result<OwnedFd, PathError> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        Ok(openat2(
            &self.root,
            joined(path),
            flags,
            Mode::empty(),
            resolve,
        )?)
    }

    /// The socket at a path below this folder, to connect or send to.
    pub(crate) fn find(&self, path: &[&[u8]]) -> Result<UnixPlace, PathError> {
        let file = self.resolve(path, OFlags::empty())?;
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        Ok(UnixPlace {
            address,
            _file: file,
        })
    }

    /// Binds a socket to a path below this folder. Returns the name that its peers see.
    ///
    /// The socket is bound under a unique name and then renamed: so no two sockets have the same name in the kernel,
    /// whatever descriptor their folder had, and paths can have any length.
    pub(crate) fn bind(&self, socket: &Socket, path: &[&[u8]]) -> Result<Vec<u8>, PathError> {
        let Some((name, folders)) = path.split_last() else {
            return Err(Errno::EADDRINUSE.into());
        };
        if *name == b".." {
            return Err(Errno::EADDRINUSE.into());
        }
        let folder = self.resolve(folders, OFlags::DIRECTORY)?;
        // A socket can be bound only once, so errors that can be foreseen are found before.
        match statat(&folder, *name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => return Err(Errno::EADDRINUSE.into()),
            Err(SystemErrno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let first_name = format!(".wasisocket-{:016x}", RandomState::new().hash_one(0));
        let bound = format!("/proc/self/fd/{}/{first_name}", folder.as_raw_fd());
        socket.bind(&SocketAddrUnix::new(bound.as_str())?)?;
        let renamed = renameat_with(
            &folder,
            first_name.as_str(),
            &folder,
            *name,
            RenameFlags::NOREPLACE,
        );
        renamed.map_err(|errno| {
            let _ = unlinkat(&folder, first_name.as_str(), AtFlags::empty());
            match errno {
                SystemErrno::EXIST => Errno::EADDRINUSE.into(),
                errno => PathError::from(errno),
            }
        })?;
        Ok(bound.into_bytes())
    }
}

/// The path in a name of the kernel, if it is that of a Unix socket with a path.
pub(crate) fn path_of(name: &SocketAddrAny) -> Option<Vec<u8>> {
    /// Family, path and final zero. The kernel has names that are one byte longer, without a zero, and rustix panics
    /// at them.
    const NAME_MAX: usize = 2 + 108;
    if name.address_family() != AddressFamily::UNIX || name.addr_len() as usize > NAME_MAX {
        return None;
    }
    let name = SocketAddrUnix::try_from(name.clone()).ok()?;
    name.path_bytes().map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::{PathError, UnixFolder};
    use crate::sockets::Socket;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use wasisocket_abi::v1::AF_UNIX;
    use wasisocket_abi::{Errno, SOCK_STREAM};

    fn beneath<'p>(folder: &UnixFolder, path: &'p str) -> Option<Vec<&'p [u8]>> {
        folder.beneath(path.as_bytes()).map(|(_, rest)| rest)
    }

    #[test]
    fn guest_paths_are_compared_part_by_part() {
        let host = tempfile::tempdir().unwrap();
        for guest in ["/data", "data", "/data/", "//./data"] {
            let folder = UnixFolder::open(host.path(), guest, false).unwrap();
            assert_eq!(folder.guest_path(), b"/data");
            assert_eq!(beneath(&folder, "/data/a/b"), Some(vec![&b"a"[..], b"b"]));
            assert_eq!(beneath(&folder, "/./data//a/"), Some(vec![&b"a"[..]]));
            assert_eq!(beneath(&folder, "/data"), Some(vec![]));
            assert_eq!(beneath(&folder, "/database/a"), None);
            assert_eq!(beneath(&folder, "/"), None);
        }
        let root = UnixFolder::open(host.path(), "/", false).unwrap();
        assert_eq!(beneath(&root, "/a"), Some(vec![&b"a"[..]]));
        assert_eq!(root.guest_path(), b"/");
    }

    #[test]
    fn host_paths_are_told_beneath_the_folder_only() {
        let host = tempfile::tempdir().unwrap();
        let folder = UnixFolder::open(host.path(), "/data", false).unwrap();
        let real = host.path().canonicalize().unwrap();
        let told = |rest: &str| {
            let path = format!("{}{rest}", real.display());
            folder.guest_path_of(path.as_bytes())
        };
        assert_eq!(told("/a/b"), Some(b"/data/a/b".to_vec()));
        assert_eq!(told("side/a"), None);
        assert_eq!(told("/../x"), None);
        assert_eq!(folder.guest_path_of(b"/run/secret.sock"), None);
    }

    #[test]
    fn paths_do_not_leave_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("inside");
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        let _listener = UnixListener::bind(outside.path().join("secret.sock")).unwrap();
        symlink(outside.path(), inside.join("absolute")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("sub", inside.join("stays")).unwrap();
        symlink("../secret.sock", inside.join("socket")).unwrap();
        let folder = UnixFolder::open(&inside, "/", false).unwrap();
        let (parent, name) = (&b".."[..], &b"secret.sock"[..]);
        for path in [
            &[parent, name][..],
            &[b"absolute", name],
            &[b"up", name],
            &[b"sub", parent, parent, name],
            &[b"socket"],
        ] {
            assert_eq!(folder.find(path).err(), Some(PathError::Leaves), "{path:?}");
        }
        for path in [
            &[parent, &b"new"[..]][..],
            &[b"absolute", b"new"],
            &[b"up", b"new"],
        ] {
            let socket = Socket::open(AF_UNIX, SOCK_STREAM, 0).unwrap();
            assert_eq!(folder.bind(&socket, path), Err(PathError::Leaves));
        }
        assert!(!outside.path().join("new").exists());
        let socket = Socket::open(AF_UNIX, SOCK_STREAM, 0).unwrap();
        assert_eq!(
            folder.bind(&socket, &[b"socket"]),
            Err(PathError::Errno(Errno::EADDRINUSE))
        );
        // What failed did not bind it.
        folder.bind(&socket, &[b"stays", b"new"]).unwrap();
        let left: Vec<_> = std::fs::read_dir(inside.join("sub"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["new"]);
        assert!(folder.find(&[b"stays", b"new"]).is_ok());
    }
}
