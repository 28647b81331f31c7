//! Names: netdb.h and net/if.h.

mod addrinfo;
mod hosts;
mod interfaces;
mod lookup;
mod nameinfo;
mod services;

pub use addrinfo::{AddrInfo, Hints, getaddrinfo};
pub use hosts::{HostEntry, gethostbyaddr, gethostbyname, gethostname};
pub use interfaces::{if_indextoname, if_nameindex, if_nametoindex};
pub use lookup::{addresses_found, name_found, resolve, start_lookup_addr, start_lookup_name};
pub use nameinfo::getnameinfo;
pub use services::{Protocol, Service, Transport, getprotobyname, getservbyname, getservbyport};

use crate::Errno;
use crate::sys::{EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_NONAME, EAI_SYSTEM};

/// Why a look-up failed: a code of getaddrinfo(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An `EAI_` code other than EAI_SYSTEM.
    Code(i32),
    /// EAI_SYSTEM, with this errno.
    System(Errno),
}

impl Failure {
    pub(crate) const NONAME: Self = Self::Code(EAI_NONAME);

    /// The `EAI_` code.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::System(_) => EAI_SYSTEM,
        }
    }
}

/// The host pairs errno and `EAI_` codes as glibc's NSS modules do (see `wasisocket_abi`).
impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        match errno.0 {
            libc::ENOENT | libc::ENAMETOOLONG => Self::NONAME,
            libc::EAGAIN | libc::EBUSY => Self::Code(EAI_AGAIN),
            libc::EIO => Self::Code(EAI_FAIL),
            libc::ENOMEM => Self::Code(EAI_MEMORY),
            _ => Self::System(errno),
        }
    }
}

impl From<wasisocket_abi::Errno> for Failure {
    fn from(errno: wasisocket_abi::Errno) -> Self {
        Errno::from(errno).into()
    }
}

/// The reverse conversion.
impl From<Failure> for Errno {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::System(errno) => errno,
            Failure::Code(EAI_AGAIN) => Self(libc::EAGAIN),
            Failure::Code(EAI_MEMORY) => Self(libc::ENOMEM),
            Failure::Code(EAI_NONAME) => Self(libc::ENOENT),
            Failure::Code(_) => Self(libc::EIO),
        }
    }
}

/// The message for an `EAI_` code: gai_strerror(3).
#[must_use]
pub fn gai_strerror(code: i32) -> &'static core::ffi::CStr {
    use crate::sys::{
        EAI_ADDRFAMILY, EAI_BADFLAGS, EAI_FAMILY, EAI_OVERFLOW, EAI_SERVICE, EAI_SOCKTYPE,
    };
    match code {
        EAI_BADFLAGS => c"Bad value for ai_flags",
        EAI_NONAME => c"Name or service not known",
        EAI_AGAIN => c"Temporary failure in name resolution",
        EAI_FAIL => c"Non-recoverable failure in name resolution",
        EAI_FAMILY => c"ai_family not supported",
        EAI_SOCKTYPE => c"ai_socktype not supported",
        EAI_SERVICE => c"Servname not supported for ai_socktype",
        EAI_MEMORY => c"Memory allocation failure",
        EAI_SYSTEM => c"System error",
        EAI_OVERFLOW => c"Argument buffer overflow",
        EAI_ADDRFAMILY => c"Address family for hostname not supported",
        _ => c"Unknown error",
    }
}
