//! net/if.h, arpa/inet.h.
//!
//! # Safety
//!
//! See the parent module.

use core::ptr;
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::net::{IpAddr, Ipv4Addr};

use super::netdb::put_text;
use super::{set_errno, string};
use crate::sys::{AF_INET, AF_INET6, if_nameindex, socklen_t};
use crate::{Errno, netdb};

/// IF_NAMESIZE of net/if.h.
const IF_NAMESIZE: usize = 16;

/// if_nameindex(3). Null and errno if it fails.
#[unsafe(no_mangle)]
extern "C" fn if_nameindex() -> *mut if_nameindex {
    let interfaces = match netdb::if_nameindex() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            set_errno(error);
            return ptr::null_mut();
        }
    };
    let entry = |(if_index, name)| if_nameindex {
        if_index,
        if_name: CString::new(name).unwrap_or_default().into_raw(),
    };
    let end = if_nameindex {
        if_index: 0,
        if_name: ptr::null_mut(),
    };
    let list: Box<[_]> = interfaces.into_iter().map(entry).chain([end]).collect();
    Box::into_raw(list).cast()
}

/// if_freenameindex(3).
///
/// # Safety
/// `list` is null or what if_nameindex returned, and not freed yet.
#[unsafe(no_mangle)]
unsafe extern "C" fn if_freenameindex(list: *mut if_nameindex) {
    if list.is_null() {
        return;
    }
    let mut length = 0;
    loop {
        let place = list.wrapping_add(length);
        length = length.wrapping_add(1);
        // SAFETY: the list ends with an entry without a name.
        let name = unsafe { (*place).if_name };
        if name.is_null() {
            break;
        }
        // SAFETY: it came from CString::into_raw.
        drop(unsafe { CString::from_raw(name) });
    }
    // SAFETY: the box that if_nameindex made, with the same length.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(list, length)) });
}

/// if_nametoindex(3). 0 and ENODEV for an unknown name.
///
/// # Safety
/// `name` is null or NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C" fn if_nametoindex(name: *const c_char) -> u32 {
    // SAFETY: passed on.
    let name = unsafe { string(name) }.unwrap_or_default();
    netdb::if_nametoindex(name).unwrap_or_else(|| {
        set_errno(Errno(libc::ENODEV));
        0
    })
}

/// if_indextoname(3). Null and ENXIO for an unknown index.
///
/// # Safety
/// `room` has IF_NAMESIZE writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn if_indextoname(index: u32, room: *mut c_char) -> *mut c_char {
    let name = netdb::if_indextoname(index);
    // SAFETY: passed on.
    let put = name.is_some_and(|name| unsafe { put_text(&name, room, IF_NAMESIZE) }.is_ok());
    match put {
        true => room,
        false => {
            set_errno(Errno(libc::ENXIO));
            ptr::null_mut()
        }
    }
}

/// inet_pton(3). wasi-libc's own function has other numbers for the families.
///
/// # Safety
/// `text` is NUL-terminated; `address` has room for an address of the family.
#[unsafe(no_mangle)]
unsafe extern "C" fn inet_pton(family: c_int, text: *const c_char, address: *mut u8) -> c_int {
    // SAFETY: passed on.
    let text = unsafe { string(text) }.and_then(|text| core::str::from_utf8(text).ok());
    let octets = match family {
        AF_INET => text.and_then(|text| text.parse().ok()).map(IpAddr::V4),
        AF_INET6 => text.and_then(|text| text.parse().ok()).map(IpAddr::V6),
        _ => {
            set_errno(Errno(libc::EAFNOSUPPORT));
            return -1;
        }
    };
    match octets {
        // SAFETY: the caller is responsible for the room.
        Some(IpAddr::V4(ip)) => unsafe { address.cast::<[u8; 4]>().write_unaligned(ip.octets()) },
        // SAFETY: as above.
        Some(IpAddr::V6(ip)) => unsafe { address.cast::<[u8; 16]>().write_unaligned(ip.octets()) },
        None => return 0,
    }
    1
}

/// inet_ntop(3).
///
/// # Safety
/// `address` points to an address of the family; `room` has `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn inet_ntop(
    family: c_int,
    address: *const u8,
    room: *mut c_char,
    length: socklen_t,
) -> *const c_char {
    let ip = match family {
        // SAFETY: the caller is responsible for it.
        AF_INET => IpAddr::from(unsafe { address.cast::<[u8; 4]>().read_unaligned() }),
        // SAFETY: as above.
        AF_INET6 => IpAddr::from(unsafe { address.cast::<[u8; 16]>().read_unaligned() }),
        _ => {
            set_errno(Errno(libc::EAFNOSUPPORT));
            return ptr::null();
        }
    };
    let text = ip.to_string();
    // SAFETY: passed on.
    match unsafe { put_text(text.as_bytes(), room, length as usize) } {
        Ok(()) if length > 0 => room,
        _ => {
            set_errno(Errno(libc::ENOSPC));
            ptr::null()
        }
    }
}

/// inet_ntoa(3).
#[unsafe(no_mangle)]
extern "C" fn inet_ntoa(address: u32) -> *mut c_char {
    thread_local! {
        static TEXT: RefCell<[u8; 16]> = const { RefCell::new([0; 16]) };
    }
    let text = Ipv4Addr::from(address.to_ne_bytes()).to_string();
    TEXT.with(|room| {
        let mut room = room.borrow_mut();
        room.fill(0);
        // 15 characters at most, and a NUL.
        for (to, from) in room.iter_mut().zip(text.as_bytes()) {
            *to = *from;
        }
        room.as_mut_ptr().cast()
    })
}
