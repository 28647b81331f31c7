//! pwd.h and grp.h, and those functions of unistd.h that are about users.
//!
//! `/etc/passwd` and `/etc/group` of the guest's own tree are read where there are such files. root and the user that the
//! guest runs as are there in any case: not every host has an `/etc` for it.
//!
//! # Safety
//!
//! See the parent module.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::ptr::null_mut;
use std::thread::LocalKey;
use std::vec;

use super::files::content;
use super::identity::USER;
use super::{c_errno, c_number, set_errno, slice_mut, string};
use crate::sys::{group, passwd};
use crate::users::{Group, Line, User};
use crate::{Errno, Result};

/// The most that is read of one of the files.
const FILE_MAX: usize = 1 << 20;

/// The room for one entry, for functions without a buffer of the caller's. It is doubled where it is too small.
const BUFFER: usize = 256;
const BUFFER_MAX: usize = 16 << 20;

/// A buffer in which texts and lists follow each other.
struct Room<'a>(&'a mut [u8]);

impl<'a> Room<'a> {
    /// So many bytes of what is left, aligned. ERANGE if there are too few.
    fn take(&mut self, length: usize, align: usize) -> Result<&'a mut [u8]> {
        let rest = std::mem::take(&mut self.0);
        let skipped = rest.as_ptr().align_offset(align);
        let (taken, rest) = rest
            .get_mut(skipped..)
            .and_then(|rest| rest.split_at_mut_checked(length))
            .ok_or(Errno(libc::ERANGE))?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self, text: &[u8]) -> Result<*mut c_char> {
        let place = self.take(text.len().saturating_add(1), 1)?;
        place.fill(0);
        for (byte, of_text) in place.iter_mut().zip(text) {
            *byte = *of_text;
        }
        Ok(place.as_mut_ptr().cast())
    }

    /// A list that ends with a null pointer.
    fn list(&mut self, texts: &[Vec<u8>]) -> Result<*mut *mut c_char> {
        let pointers = texts.iter().map(|text| self.text(text));
        let mut pointers = pointers.collect::<Result<Vec<_>>>()?;
        pointers.push(null_mut());
        let length = size_of_val(&*pointers);
        let list = self.take(length, align_of::<*mut c_char>())?.as_mut_ptr();
        // SAFETY: aligned room for so many pointers.
        unsafe { slice_mut(list.cast(), pointers.len()) }?.copy_from_slice(&pointers);
        Ok(list.cast())
    }
}

/// An entry as C has it.
trait Entry: Line + 'static {
    /// The struct of C.
    type C;
    const FILE: &CStr;
    /// The lines of those that there are in any case.
    const OWN: [&str; 2];

    fn to_c(&self, room: &mut Room<'_>) -> Result<Self::C>;
    fn last() -> &'static LocalKey<RefCell<Last<Self>>>;
}

/// The last result of a function without a buffer of the caller's, and what getpwent(3) or getgrent(3) has yet to return.
struct Last<E: Entry> {
    record: Option<Box<E::C>>,
    buffer: Vec<u8>,
    entries: Option<vec::IntoIter<E>>,
}

impl<E: Entry> Last<E> {
    const fn new() -> RefCell<Self> {
        RefCell::new(Self {
            record: None,
            buffer: Vec::new(),
            entries: None,
        })
    }
}

thread_local! {
    static LAST_USER: RefCell<Last<User>> = const { Last::new() };
    static LAST_GROUP: RefCell<Last<Group>> = const { Last::new() };
}

impl Entry for User {
    type C = passwd;
    const FILE: &CStr = c"/etc/passwd";
    const OWN: [&str; 2] = [
        "root:x:0:0::/root:/bin/sh",
        "user:x:1000:1000::/tmp/home:/bin/sh",
    ];

    fn to_c(&self, room: &mut Room<'_>) -> Result<passwd> {
        Ok(passwd {
            pw_name: room.text(&self.name)?,
            pw_passwd: room.text(&self.password)?,
            pw_uid: self.id,
            pw_gid: self.group,
            pw_gecos: room.text(&self.comment)?,
            pw_dir: room.text(&self.home)?,
            pw_shell: room.text(&self.shell)?,
        })
    }

    fn last() -> &'static LocalKey<RefCell<Last<Self>>> {
        &LAST_USER
    }
}

impl Entry for Group {
    type C = group;
    const FILE: &CStr = c"/etc/group";
    const OWN: [&str; 2] = ["root:x:0:", "user:x:1000:"];

    fn to_c(&self, room: &mut Room<'_>) -> Result<group> {
        Ok(group {
            gr_name: room.text(&self.name)?,
            gr_passwd: room.text(&self.password)?,
            gr_gid: self.id,
            gr_mem: room.list(&self.members)?,
        })
    }

    fn last() -> &'static LocalKey<RefCell<Last<Self>>> {
        &LAST_GROUP
    }
}

/// Those of the file, and the others that there are.
fn entries<E: Entry>() -> Vec<E> {
    let text = content(E::FILE, FILE_MAX).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    let mut entries: Vec<_> = lines.filter_map(E::parse).collect();
    for own in E::OWN.iter().filter_map(|line| E::parse(line.as_bytes())) {
        if !entries.iter().any(|entry| entry.id() == own.id()) {
            entries.push(own);
        }
    }
    entries
}

fn find_id<E: Entry>(id: u32) -> Option<E> {
    entries::<E>().into_iter().find(|entry| entry.id() == id)
}

/// # Safety
/// A string.
unsafe fn find_name<E: Entry>(name: *const c_char) -> Option<E> {
    // SAFETY: passed on.
    let name = unsafe { string(name) }?;
    entries::<E>()
        .into_iter()
        .find(|entry| entry.name() == name)
}

/// For the functions whose names end with `_r`. An entry that does not exist is a null pointer, and no error.
///
/// # Safety
/// Room for a record and for a pointer to it, and `length` writable bytes.
unsafe fn put<E: Entry>(
    entry: Option<E>,
    record: *mut E::C,
    buffer: *mut c_char,
    length: usize,
    result: *mut *mut E::C,
) -> c_int {
    // SAFETY: room for a pointer.
    unsafe { result.write(null_mut()) };
    let Some(entry) = entry else {
        return 0;
    };
    // SAFETY: so many bytes are writable.
    let room = unsafe { slice_mut(buffer.cast(), length) };
    c_errno(room.and_then(|room| entry.to_c(&mut Room(room))).map(|c| {
        // SAFETY: room for a record.
        unsafe { record.write(c) };
        // SAFETY: room for a pointer.
        unsafe { result.write(record) };
    }))
}

/// Keeps an entry until the next one is kept. A null pointer for none.
fn keep<E: Entry>(entry: Option<E>) -> *mut E::C {
    let Some(entry) = entry else {
        return null_mut();
    };
    E::last().with_borrow_mut(|last| {
        let mut length = BUFFER;
        while length <= BUFFER_MAX {
            last.buffer = vec![0; length];
            if let Ok(c) = entry.to_c(&mut Room(&mut last.buffer)) {
                return &raw mut **last.record.insert(Box::new(c));
            }
            length = length.saturating_mul(2);
        }
        set_errno(Errno(libc::ERANGE));
        null_mut()
    })
}

fn rewind<E: Entry>() {
    E::last().with_borrow_mut(|last| last.entries = None);
}

fn next<E: Entry>() -> *mut E::C {
    if E::last().with_borrow(|last| last.entries.is_none()) {
        let all = entries();
        E::last().with_borrow_mut(|last| last.entries = Some(all.into_iter()));
    }
    keep(E::last().with_borrow_mut(|last| last.entries.as_mut().and_then(Iterator::next)))
}

macro_rules! database {
    (
        $entry:ty, $c:ty, $by_name:ident, $by_id:ident, $by_name_r:ident, $by_id_r:ident,
        $rewind:ident, $next:ident, $end:ident
    ) => {
        #[doc = concat!(stringify!($by_name), "(3).")]
        ///
        /// # Safety
        /// A string.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $by_name(name: *const c_char) -> *mut $c {
            // SAFETY: passed on.
            keep(unsafe { find_name::<$entry>(name) })
        }

        #[doc = concat!(stringify!($by_id), "(3).")]
        #[unsafe(no_mangle)]
        extern "C" fn $by_id(id: u32) -> *mut $c {
            keep(find_id::<$entry>(id))
        }

        #[doc = concat!(stringify!($by_name_r), "(3).")]
        ///
        /// # Safety
        /// A string, and as for `put`.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $by_name_r(
            name: *const c_char,
            record: *mut $c,
            buffer: *mut c_char,
            length: usize,
            result: *mut *mut $c,
        ) -> c_int {
            // SAFETY: passed on.
            let found = unsafe { find_name::<$entry>(name) };
            // SAFETY: passed on.
            unsafe { put(found, record, buffer, length, result) }
        }

        #[doc = concat!(stringify!($by_id_r), "(3).")]
        ///
        /// # Safety
        /// As for `put`.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $by_id_r(
            id: u32,
            record: *mut $c,
            buffer: *mut c_char,
            length: usize,
            result: *mut *mut $c,
        ) -> c_int {
            // SAFETY: passed on.
            unsafe { put(find_id::<$entry>(id), record, buffer, length, result) }
        }

        #[doc = concat!(stringify!($rewind), "(3).")]
        #[unsafe(no_mangle)]
        extern "C" fn $rewind() {
            rewind::<$entry>();
        }

        #[doc = concat!(stringify!($next), "(3).")]
        #[unsafe(no_mangle)]
        extern "C" fn $next() -> *mut $c {
            next::<$entry>()
        }

        #[doc = concat!(stringify!($end), "(3).")]
        #[unsafe(no_mangle)]
        extern "C" fn $end() {
            rewind::<$entry>();
        }
    };
}

database! {
    User, passwd, getpwnam, getpwuid, getpwnam_r, getpwuid_r, setpwent, getpwent, endpwent
}
database! {
    Group, group, getgrnam, getgrgid, getgrnam_r, getgrgid_r, setgrent, getgrent, endgrent
}

/// getgroups(2): the user's own group.
///
/// # Safety
/// Room for `count` numbers.
#[unsafe(no_mangle)]
unsafe extern "C" fn getgroups(count: c_int, list: *mut u32) -> c_int {
    c_number(match count {
        ..0 => Err(Errno::EINVAL),
        0 => Ok(1),
        1.. => {
            // SAFETY: room for one at least.
            unsafe { list.write(USER) };
            Ok(1)
        }
    })
}

/// getlogin(3): the name of the guest's user.
#[unsafe(no_mangle)]
extern "C" fn getlogin() -> *mut c_char {
    // SAFETY: null or what was kept.
    let user = unsafe { getpwuid(USER).as_ref() };
    user.map_or(null_mut(), |user| user.pw_name)
}

/// getlogin_r(3).
///
/// # Safety
/// `buffer` has `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getlogin_r(buffer: *mut c_char, length: usize) -> c_int {
    c_errno(
        find_id::<User>(USER)
            .ok_or(Errno(libc::ENOENT))
            .and_then(|user| {
                // SAFETY: so many bytes are writable.
                let room = unsafe { slice_mut(buffer.cast(), length) }?;
                Room(room).text(&user.name).map(drop)
            }),
    )
}
