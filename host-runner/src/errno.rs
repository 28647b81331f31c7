//! Translates the system's error numbers to the ABI's: the one table on this side.

use rustix::io::Errno as SystemErrno;
use wasisocket_abi::Errno;

/// Pairs the system's names with the ABI's. The numbers are the same on Linux only.
macro_rules! table {
    ($($system:ident $abi:ident)*) => {
        const TABLE: &[(SystemErrno, Errno)] = &[$((SystemErrno::$system, Errno::$abi),)*];
    };
}

table! {
    PERM EPERM  NOENT ENOENT  INTR EINTR  IO EIO  NXIO ENXIO  BADF EBADF  AGAIN EAGAIN  NOMEM ENOMEM
    ACCESS EACCES  FAULT EFAULT  BUSY EBUSY  EXIST EEXIST  NODEV ENODEV  NOTDIR ENOTDIR  ISDIR EISDIR
    INVAL EINVAL  NFILE ENFILE  MFILE EMFILE  NOSPC ENOSPC  ROFS EROFS  PIPE EPIPE  DOM EDOM
    RANGE ERANGE  NAMETOOLONG ENAMETOOLONG  NOSYS ENOSYS  LOOP ELOOP  PROTO EPROTO  BADMSG EBADMSG
    OVERFLOW EOVERFLOW  NOLCK ENOLCK
    ILSEQ EILSEQ  NOTSOCK ENOTSOCK  DESTADDRREQ EDESTADDRREQ  MSGSIZE EMSGSIZE  PROTOTYPE EPROTOTYPE
    NOPROTOOPT ENOPROTOOPT  PROTONOSUPPORT EPROTONOSUPPORT  OPNOTSUPP EOPNOTSUPP
    AFNOSUPPORT EAFNOSUPPORT  ADDRINUSE EADDRINUSE  ADDRNOTAVAIL EADDRNOTAVAIL  NETDOWN ENETDOWN
    NETUNREACH ENETUNREACH  NETRESET ENETRESET  CONNABORTED ECONNABORTED  CONNRESET ECONNRESET
    NOBUFS ENOBUFS  ISCONN EISCONN  NOTCONN ENOTCONN  TIMEDOUT ETIMEDOUT  CONNREFUSED ECONNREFUSED
    HOSTUNREACH EHOSTUNREACH  ALREADY EALREADY  INPROGRESS EINPROGRESS  DQUOT EDQUOT
    CANCELED ECANCELED
}

/// The ABI's number for the system's, or EIO where the ABI has no name for it.
pub(crate) fn from_system(errno: SystemErrno) -> Errno {
    TABLE
        .iter()
        .find(|(system, _)| *system == errno)
        .map_or(Errno::EIO, |(_, abi)| *abi)
}

/// The name of an error number, for people: `ECONNREFUSED`.
pub(crate) fn name_of(errno: Errno) -> String {
    let named = Errno::NAMED.iter().find(|(known, _)| *known == errno);
    named.map_or_else(|| format!("error {}", errno.0), |(_, name)| (*name).into())
}

/// nix's number as rustix has it; EIO for numbers that nix has no name for, and did not store.
pub(crate) fn from_nix(errno: nix::errno::Errno) -> SystemErrno {
    match errno {
        nix::errno::Errno::UnknownErrno => SystemErrno::IO,
        errno => SystemErrno::from_raw_os_error(errno as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, SystemErrno, TABLE, from_system};

    #[test]
    fn every_named_error_can_be_answered() {
        for (errno, name) in Errno::NAMED {
            assert!(TABLE.iter().any(|(_, abi)| abi == errno), "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_abi_has_linux_numbers() {
        for (system, abi) in TABLE {
            assert_eq!(system.raw_os_error(), abi.0 as i32);
        }
    }

    #[test]
    fn unnamed_error_is_an_input_output_error() {
        assert_eq!(from_system(SystemErrno::CHILD), Errno::EIO);
    }
}
