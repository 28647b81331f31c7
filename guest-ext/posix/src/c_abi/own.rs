//! Variables that are each thread's own: `errno`, and thread-local ones of C code.
//!
//! # Safety
//!
//! See the parent module.

use std::cell::RefCell;

use super::{errno, set_errno};
use crate::Errno;

thread_local! {
    /// Variables of C code that each thread has for itself.
    static WORDS: RefCell<Vec<*mut usize>> = const { RefCell::new(Vec::new()) };
}

/// The most of them: CPython has four.
const WORDS_MAX: usize = 4;

/// What the current thread has in the variables that are each thread's own: `errno`, and those of C code. To compiled
/// code they are like any other, because the module has one instance.
pub(crate) struct Own {
    errno: Errno,
    words: [usize; WORDS_MAX],
}

impl Own {
    /// Those of a thread that begins.
    pub(super) const fn new() -> Self {
        Self {
            errno: Errno(0),
            words: [0; WORDS_MAX],
        }
    }

    /// Those of the current thread.
    pub(crate) fn save() -> Self {
        let mut saved = [0; WORDS_MAX];
        WORDS.with_borrow(|words| {
            for (word, place) in words.iter().zip(&mut saved) {
                // SAFETY: variables that live as long as the module.
                *place = unsafe { word.read() };
            }
        });
        Self {
            errno: errno(),
            words: saved,
        }
    }

    /// The current thread goes on.
    pub(crate) fn restore(self) {
        set_errno(self.errno);
        WORDS.with_borrow(|words| {
            for (word, value) in words.iter().zip(self.words) {
                // SAFETY: as in `save`.
                unsafe { word.write(value) };
            }
        });
    }
}

/// Makes a variable of C code each thread's own: one of the size of a pointer, declared `_Thread_local`, which the
/// compiler takes for one of the module where it has no threads. It is 0 where a thread begins. There can be four.
///
/// # Safety
/// It lives as long as the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasisocket_thread_local(word: *mut usize) {
    WORDS.with_borrow_mut(|words| {
        if !words.contains(&word) && words.len() < WORDS_MAX {
            words.push(word);
        }
    });
}
