//! The guest's errno, and the table that converts the host's Linux numbers to it.

use wasisocket_abi::Errno as HostErrno;

/// What every call here returns.
pub type Result<T> = core::result::Result<T, Errno>;

/// An error number of the guest's own libc: what `errno` holds and Python's `OSError.errno` shows.
///
/// An open newtype: a number without a name is still an `Errno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Errno(pub i32);

/// Pairs each named Linux number with libc's number of the same name on this target.
macro_rules! table {
    ($($name:ident)*) => {
        const TABLE: &[(HostErrno, i32)] = &[$((HostErrno::$name, libc::$name),)*];
    };
}

table! {
    EPERM ENOENT EINTR EIO ENXIO EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV ENOTDIR EISDIR
    EINVAL ENFILE EMFILE ENOSPC EROFS EPIPE EDOM ERANGE ENAMETOOLONG ENOSYS ELOOP EPROTO EBADMSG EOVERFLOW
    EILSEQ ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT EOPNOTSUPP
    EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
    ENOLCK ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY EINPROGRESS EDQUOT ECANCELED
}

impl Errno {
    /// The host broke the ABI, or returned a number that this libc has no name for.
    pub const EIO: Self = Self(libc::EIO);
    /// Unsupported address family.
    pub const EAFNOSUPPORT: Self = Self(libc::EAFNOSUPPORT);
    /// Invalid argument.
    pub const EINVAL: Self = Self(libc::EINVAL);
    /// It would block.
    pub const EAGAIN: Self = Self(libc::EAGAIN);
    /// Busy.
    pub const EBUSY: Self = Self(libc::EBUSY);

    /// The error for a file's descriptor, where a call has another one than ENOTSOCK.
    pub(crate) fn for_file(self, errno: i32) -> Self {
        match self {
            Self(libc::ENOTSOCK) => Self(errno),
            other => other,
        }
    }
}

impl From<HostErrno> for Errno {
    fn from(host: HostErrno) -> Self {
        TABLE
            .iter()
            .find(|(linux, _)| *linux == host)
            .map_or(Self::EIO, |(_, guest)| Self(*guest))
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, HostErrno, TABLE};

    #[test]
    fn every_named_host_error_has_a_guest_number() {
        for (host, name) in HostErrno::NAMED {
            assert!(TABLE.iter().any(|(linux, _)| linux == host), "{name}");
        }
        assert_eq!(TABLE.len(), HostErrno::NAMED.len());
    }

    #[test]
    fn linux_numbers_are_linux_numbers() {
        // Native tests run where libc's own numbers are Linux's: the table must be the identity.
        for (host, _) in HostErrno::NAMED {
            assert_eq!(Errno::from(*host), Errno(host.0 as i32));
        }
    }

    #[test]
    fn unknown_host_error_is_an_input_output_error() {
        assert_eq!(Errno::from(HostErrno(4095)), Errno::EIO);
    }
}
