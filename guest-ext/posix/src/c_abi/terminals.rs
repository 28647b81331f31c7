//! termios.h. No descriptor is a terminal: ENOTTY.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::c_int;

use super::c_unit;
use crate::descriptors::is_open;
use crate::sys::*;
use crate::{Errno, Result};

/// ENOTTY, or EBADF where there is no descriptor.
fn no_terminal(fd: c_int) -> Result<()> {
    match is_open(fd) {
        true => Err(Errno(libc::ENOTTY)),
        false => Err(Errno(libc::EBADF)),
    }
}

/// EINVAL for an action above the last one.
fn no_terminal_for(fd: c_int, action: c_int, last: c_int) -> Result<()> {
    match (0..=last).contains(&action) {
        true => no_terminal(fd),
        false => Err(Errno::EINVAL),
    }
}

/// tcgetattr(3).
#[unsafe(no_mangle)]
extern "C" fn tcgetattr(fd: c_int, _attributes: *mut termios) -> c_int {
    c_unit(no_terminal(fd))
}

/// tcsetattr(3).
#[unsafe(no_mangle)]
extern "C" fn tcsetattr(fd: c_int, action: c_int, _attributes: *const termios) -> c_int {
    c_unit(no_terminal_for(fd, action, TCSAFLUSH))
}

/// tcsendbreak(3).
#[unsafe(no_mangle)]
extern "C" fn tcsendbreak(fd: c_int, _duration: c_int) -> c_int {
    c_unit(no_terminal(fd))
}

/// tcdrain(3).
#[unsafe(no_mangle)]
extern "C" fn tcdrain(fd: c_int) -> c_int {
    c_unit(no_terminal(fd))
}

/// tcflush(3).
#[unsafe(no_mangle)]
extern "C" fn tcflush(fd: c_int, queue: c_int) -> c_int {
    c_unit(no_terminal_for(fd, queue, TCIOFLUSH))
}

/// tcflow(3).
#[unsafe(no_mangle)]
extern "C" fn tcflow(fd: c_int, action: c_int) -> c_int {
    c_unit(no_terminal_for(fd, action, TCION))
}

/// cfgetospeed(3): the bits of c_cflag, as Linux keeps them.
///
/// # Safety
/// Points to attributes.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfgetospeed(attributes: *const termios) -> u32 {
    // SAFETY: attributes.
    unsafe { (*attributes).c_cflag & CBAUD }
}

/// cfgetispeed(3): as for output.
///
/// # Safety
/// Points to attributes.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfgetispeed(attributes: *const termios) -> u32 {
    // SAFETY: passed on.
    unsafe { cfgetospeed(attributes) }
}

/// cfsetospeed(3).
///
/// # Safety
/// Points to attributes.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfsetospeed(attributes: *mut termios, speed: u32) -> c_int {
    if speed & !CBAUD != 0 {
        return c_unit(Err(Errno::EINVAL));
    }
    // SAFETY: attributes.
    let attributes = unsafe { &mut *attributes };
    attributes.c_cflag = attributes.c_cflag & !CBAUD | speed;
    0
}

/// cfsetispeed(3): 0 stands for the speed of output.
///
/// # Safety
/// Points to attributes.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfsetispeed(attributes: *mut termios, speed: u32) -> c_int {
    match speed {
        0 => 0,
        // SAFETY: passed on.
        _ => unsafe { cfsetospeed(attributes, speed) },
    }
}

/// cfmakeraw(3).
///
/// # Safety
/// Points to attributes.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfmakeraw(attributes: *mut termios) {
    // SAFETY: attributes.
    let attributes = unsafe { &mut *attributes };
    attributes.c_iflag &= !(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    attributes.c_oflag &= !OPOST;
    attributes.c_lflag &= !(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    attributes.c_cflag = attributes.c_cflag & !(CSIZE | PARENB) | CS8;
    for (index, value) in [(VMIN, 1), (VTIME, 0)] {
        if let Some(place) = attributes.c_cc.get_mut(index as usize) {
            *place = value;
        }
    }
}
