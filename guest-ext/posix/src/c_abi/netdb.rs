//! netdb.h, and `gethostname` of unistd.h.
//!
//! # Safety
//!
//! See the parent module. The result of a `get...` function is valid until the next call of the same kind, as in POSIX,
//! and belongs to this library.

use core::ptr;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::net::IpAddr;
use std::thread::LocalKey;

use super::{bytes, c_unit, set_errno, string};
use crate::address::SOCKADDR_MAX;
use crate::netdb::{self, AddrInfo, Failure, Hints, HostEntry, Protocol, Service, Transport};
use crate::sys::*;
use crate::{Address, Errno, Family};

/// One entry of getaddrinfo's list with all that it points to, in one allocation.
#[repr(C, align(16))]
struct AddrInfoEntry {
    /// The first field, so that a pointer to it is a pointer to the entry.
    info: addrinfo,
    address: [u8; SOCKADDR_MAX],
    canonical_name: Option<CString>,
}

fn fail(failure: Failure) -> c_int {
    if let Failure::System(errno) = failure {
        set_errno(errno);
    }
    failure.code()
}

/// Converts answers to C's list, and returns its first entry.
fn to_list(answers: Vec<AddrInfo>) -> *mut addrinfo {
    let mut next = ptr::null_mut();
    for answer in answers.into_iter().rev() {
        let (address, length) = Address::Inet(answer.address).to_sockaddr();
        let family = match answer.address.is_ipv4() {
            true => AF_INET,
            false => AF_INET6,
        };
        let mut entry = Box::new(AddrInfoEntry {
            info: addrinfo {
                ai_flags: 0,
                ai_family: family,
                ai_socktype: answer.socktype,
                ai_protocol: answer.protocol,
                ai_addrlen: length as socklen_t,
                ai_addr: ptr::null_mut(),
                ai_canonname: ptr::null_mut(),
                ai_next: next,
            },
            address,
            // C cannot represent a name that contains a NUL.
            canonical_name: answer
                .canonical_name
                .and_then(|name| CString::new(name).ok()),
        });
        entry.info.ai_addr = entry.address.as_mut_ptr().cast();
        if let Some(name) = &entry.canonical_name {
            entry.info.ai_canonname = name.as_ptr().cast_mut();
        }
        next = Box::into_raw(entry).cast();
    }
    next
}

/// getaddrinfo(3).
///
/// # Safety
/// Strings are null or NUL-terminated, `hints` null or readable, `list` writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    host: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    list: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: null or hints.
    let hints = unsafe { hints.as_ref() }.map_or_else(Hints::default, |hints| Hints {
        flags: hints.ai_flags,
        family: hints.ai_family,
        socktype: hints.ai_socktype,
        protocol: hints.ai_protocol,
    });
    // SAFETY: passed on.
    let host = unsafe { string(host) };
    // SAFETY: passed on.
    let service = unsafe { string(service) };
    match netdb::getaddrinfo(host, service, hints) {
        Ok(answers) => {
            // SAFETY: the caller is responsible for it.
            unsafe { list.write(to_list(answers)) };
            0
        }
        Err(failure) => fail(failure),
    }
}

/// freeaddrinfo(3).
///
/// # Safety
/// `list` is null or what getaddrinfo returned, and not freed yet.
#[unsafe(no_mangle)]
unsafe extern "C" fn freeaddrinfo(mut list: *mut addrinfo) {
    while !list.is_null() {
        // SAFETY: each entry came from a Box of this type, of which it is the first field.
        let entry = unsafe { Box::from_raw(list.cast::<AddrInfoEntry>()) };
        list = entry.info.ai_next;
    }
}

/// gai_strerror(3).
#[unsafe(no_mangle)]
extern "C" fn gai_strerror(code: c_int) -> *const c_char {
    netdb::gai_strerror(code).as_ptr()
}

/// Copies a text and its NUL. EAI_OVERFLOW if it does not fit.
///
/// # Safety
/// `room` has `length` writable bytes.
pub(super) unsafe fn put_text(
    text: &[u8],
    room: *mut c_char,
    length: usize,
) -> Result<(), Failure> {
    if room.is_null() || length == 0 {
        return Ok(());
    }
    if text.len() >= length {
        return Err(Failure::Code(EAI_OVERFLOW));
    }
    // SAFETY: shorter than the room.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), room, text.len()) };
    // SAFETY: one more fits.
    unsafe { room.wrapping_add(text.len()).write(0) };
    Ok(())
}

/// getnameinfo(3).
///
/// # Safety
/// `address` points to `length` readable bytes, `host` and `service` to as many writable ones as they say.
#[unsafe(no_mangle)]
unsafe extern "C" fn getnameinfo(
    address: *const u8,
    length: socklen_t,
    host: *mut c_char,
    host_length: socklen_t,
    service: *mut c_char,
    service_length: socklen_t,
    flags: c_int,
) -> c_int {
    let flags = match host.is_null() || host_length == 0 {
        true => flags | NI_NUMERICHOST,
        false => flags,
    };
    // SAFETY: passed on.
    let address = unsafe { bytes(address, length as usize) }.and_then(Address::from_sockaddr);
    let Ok(Address::Inet(address)) = address else {
        return EAI_FAMILY;
    };
    let answer = netdb::getnameinfo(&address, flags).and_then(|(name, port)| {
        // SAFETY: passed on.
        unsafe { put_text(&name, host, host_length as usize) }?;
        // SAFETY: passed on.
        unsafe { put_text(&port, service, service_length as usize) }
    });
    match answer {
        Ok(()) => 0,
        Err(failure) => fail(failure),
    }
}

/// A `struct hostent` and what it points to.
#[repr(C)]
struct HostStorage {
    _entry: hostent,
    // In boxes and vectors, so that what the entry points to stays in place when this moves.
    _name: CString,
    _addresses: Vec<[u8; 16]>,
    _list: Vec<*mut c_char>,
}

/// The last result of a function.
type Last<T> = RefCell<Option<T>>;

thread_local! {
    static HOST: Last<HostStorage> = const { RefCell::new(None) };
    static SERVICE: Last<servent> = const { RefCell::new(None) };
    static PROTOCOL: Last<protoent> = const { RefCell::new(None) };
    static H_ERRNO: RefCell<c_int> = const { RefCell::new(0) };
}

/// Replaces the last result.
fn replace<T>(last: &'static LocalKey<Last<T>>, result: T) -> *mut T {
    last.with_borrow_mut(|last| ptr::from_mut(last.insert(result)))
}

/// The end of a list without entries.
struct NoAliases([*mut c_char; 1]);
// SAFETY: a null pointer that nothing writes to.
unsafe impl Sync for NoAliases {}
static NO_ALIASES: NoAliases = NoAliases([ptr::null_mut()]);

fn no_aliases() -> *mut *mut c_char {
    (&raw const NO_ALIASES.0).cast_mut().cast()
}

/// The location of `h_errno`.
#[unsafe(no_mangle)]
extern "C" fn __h_errno_location() -> *mut c_int {
    H_ERRNO.with(RefCell::as_ptr)
}

fn to_hostent(found: Result<HostEntry, Failure>) -> *mut hostent {
    let entry = match found {
        Ok(entry) => entry,
        Err(failure) => {
            let code = match failure {
                Failure::NONAME => HOST_NOT_FOUND,
                Failure::Code(EAI_AGAIN) => TRY_AGAIN,
                Failure::Code(EAI_ADDRFAMILY) => NO_DATA,
                _ => NO_RECOVERY,
            };
            H_ERRNO.with(|place| place.replace(code));
            fail(failure);
            return ptr::null_mut();
        }
    };
    let length = match entry.family {
        Family::Inet => 4,
        _ => 16,
    };
    let octets = |ip| match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    };
    let mut addresses: Vec<[u8; 16]> = entry.addresses.into_iter().map(octets).collect();
    let name = CString::new(entry.name).unwrap_or_default();
    let mut list: Vec<*mut c_char> = addresses
        .iter_mut()
        .map(|address| address.as_mut_ptr().cast())
        .collect();
    list.push(ptr::null_mut());
    let storage = HostStorage {
        _entry: hostent {
            h_name: name.as_ptr().cast_mut(),
            h_aliases: no_aliases(),
            h_addrtype: entry.family.to_c(),
            h_length: length,
            h_addr_list: list.as_mut_ptr(),
        },
        _name: name,
        _addresses: addresses,
        _list: list,
    };
    // The entry is the first field.
    replace(&HOST, storage).cast()
}

/// gethostbyname(3).
///
/// # Safety
/// `name` is null or NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    // SAFETY: passed on.
    let name = unsafe { string(name) }.unwrap_or_default();
    to_hostent(netdb::gethostbyname(name))
}

/// gethostbyaddr(3).
///
/// # Safety
/// `address` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr(
    address: *const c_void,
    length: socklen_t,
    family: c_int,
) -> *mut hostent {
    // SAFETY: passed on.
    let address = unsafe { bytes(address.cast(), length as usize) }.unwrap_or_default();
    let ip = match family {
        AF_INET => <[u8; 4]>::try_from(address).map(IpAddr::from).ok(),
        AF_INET6 => <[u8; 16]>::try_from(address).map(IpAddr::from).ok(),
        _ => None,
    };
    to_hostent(match ip {
        Some(ip) => netdb::gethostbyaddr(ip),
        None => Err(Failure::System(Errno(libc::EAFNOSUPPORT))),
    })
}

/// hstrerror(3).
#[unsafe(no_mangle)]
extern "C" fn hstrerror(code: c_int) -> *const c_char {
    let text: &CStr = match code {
        HOST_NOT_FOUND => c"Unknown host",
        TRY_AGAIN => c"Host name lookup failure",
        NO_RECOVERY => c"Unknown server error",
        NO_DATA => c"No address associated with name",
        _ => c"Resolver internal error",
    };
    text.as_ptr()
}

/// gethostname(2).
///
/// # Safety
/// `room` has `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostname(room: *mut c_char, length: usize) -> c_int {
    // SAFETY: passed on.
    let put = unsafe { put_text(netdb::gethostname(), room, length) };
    c_unit(put.map_err(|_| Errno(libc::ENAMETOOLONG)))
}

fn to_servent(found: Option<Service>) -> *mut servent {
    let Some(service) = found else {
        return ptr::null_mut();
    };
    let entry = servent {
        s_name: service.name.as_ptr().cast_mut(),
        s_aliases: no_aliases(),
        s_port: c_int::from(service.port.to_be()),
        s_proto: service.transport.name().as_ptr().cast_mut(),
    };
    replace(&SERVICE, entry)
}

/// The protocol with this name. A null pointer matches any protocol, an unknown name matches none.
///
/// # Safety
/// `name` is null or NUL-terminated.
unsafe fn transport(name: *const c_char) -> Option<Option<Transport>> {
    // SAFETY: passed on.
    match unsafe { string(name) } {
        None => Some(None),
        Some(name) => Transport::from_name(name).map(Some),
    }
}

/// getservbyname(3).
///
/// # Safety
/// Strings are null or NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C" fn getservbyname(name: *const c_char, protocol: *const c_char) -> *mut servent {
    // SAFETY: passed on.
    let name = unsafe { string(name) }.unwrap_or_default();
    // SAFETY: passed on.
    let transport = unsafe { transport(protocol) };
    to_servent(transport.and_then(|transport| netdb::getservbyname(name, transport)))
}

/// getservbyport(3). The port is in network order.
///
/// # Safety
/// `protocol` is null or NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C" fn getservbyport(port: c_int, protocol: *const c_char) -> *mut servent {
    // SAFETY: passed on.
    let transport = unsafe { transport(protocol) };
    let port = u16::from_be(port as u16);
    to_servent(transport.and_then(|transport| netdb::getservbyport(port, transport)))
}

/// getprotobyname(3).
///
/// # Safety
/// `name` is null or NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C" fn getprotobyname(name: *const c_char) -> *mut protoent {
    // SAFETY: passed on.
    let name = unsafe { string(name) }.unwrap_or_default();
    let Some(Protocol { name, number }) = netdb::getprotobyname(name) else {
        return ptr::null_mut();
    };
    let entry = protoent {
        p_name: name.as_ptr().cast_mut(),
        p_aliases: no_aliases(),
        p_proto: number,
    };
    replace(&PROTOCOL, entry)
}
