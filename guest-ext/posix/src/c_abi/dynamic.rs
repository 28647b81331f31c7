//! dlfcn.h. No library can be loaded, and the program's own functions cannot be looked up: WebAssembly has neither their
//! names nor a way to call functions of any type.
//!
//! # Safety
//!
//! See the parent module.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null_mut;

use super::string;

thread_local! {
    /// The text of the last error, and whether dlerror(3) has yet to return it.
    static ERROR: RefCell<(CString, bool)> = RefCell::default();
}

/// What dlopen(3) returns for the program itself: its address.
static PROGRAM: u8 = 0;

fn fail(name: &[u8], what: &str) {
    let text = [name, b": ", what.as_bytes()].concat();
    ERROR.set((CString::new(text).unwrap_or_default(), true));
}

/// dlopen(3).
///
/// # Safety
/// Null or a string.
#[unsafe(no_mangle)]
unsafe extern "C" fn dlopen(path: *const c_char, _flags: c_int) -> *mut c_void {
    // SAFETY: passed on.
    match unsafe { string(path) } {
        None | Some(b"") => (&raw const PROGRAM).cast_mut().cast(),
        Some(path) => {
            fail(path, "libraries of C cannot be loaded in WebAssembly");
            null_mut()
        }
    }
}

/// dlsym(3).
///
/// # Safety
/// A string.
#[unsafe(no_mangle)]
unsafe extern "C" fn dlsym(_handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: passed on.
    let name = unsafe { string(name) }.unwrap_or_default();
    fail(name, "functions of C cannot be looked up in WebAssembly");
    null_mut()
}

/// dlclose(3).
#[unsafe(no_mangle)]
extern "C" fn dlclose(handle: *const u8) -> c_int {
    match std::ptr::eq(handle, &raw const PROGRAM) {
        true => 0,
        false => {
            fail(b"dlclose", "invalid handle");
            -1
        }
    }
}

/// dlerror(3): a null pointer if there was no error since the last call.
#[unsafe(no_mangle)]
extern "C" fn dlerror() -> *const c_char {
    ERROR.with_borrow_mut(|(text, is_new)| match std::mem::take(is_new) {
        true => text.as_ptr(),
        false => std::ptr::null(),
    })
}
