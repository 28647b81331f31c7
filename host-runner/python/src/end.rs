//! How a guest ended.

use wasisocket_host::{Limit, LimitReached};
use wasmtime_wasi::I32Exit;

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It exited with this status. As with waitpid(2), only the low eight bits of what it passed count.
    Exit(u8),
    /// It was ended because it reached this limit: `timeout` or `max-cpu`.
    Limit(Limit),
    /// It did something that WebAssembly does not allow, such as to call `abort()` or to exhaust its stack. The
    /// text says what, with the functions that were running, on several lines.
    Trap(String),
}

impl End {
    /// The exit status of a process that ended in this way: 124 after a limit, as timeout(1) has it, and 134 after
    /// a trap, as after abort(3).
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Exit(status) => *status,
            Self::Limit(_) => 124,
            Self::Trap(_) => 134,
        }
    }

    /// From the result of a call to `_start`.
    pub(crate) fn of(called: wasmtime::Result<()>) -> Self {
        let Err(error) = called else {
            return Self::Exit(0);
        };
        if let Some(I32Exit(status)) = error.downcast_ref() {
            Self::Exit((status & 0xff) as u8)
        } else if let Some(reached) = error.downcast_ref::<LimitReached>() {
            Self::Limit(reached.limit())
        } else {
            Self::Trap(format!("{error:?}"))
        }
    }
}
