//! How much a guest may use. No wasmtime in here and no sockets.

mod bucket;
mod count;
mod cpu;
mod disk;
mod table;
mod usage;
mod value;

use std::fmt;

pub use count::CountLimit;
pub(crate) use cpu::CpuTime;
#[cfg(test)]
pub(crate) use cpu::thread_time;
pub use disk::DiskQuota;
pub(crate) use table::with_limits;
pub use table::{
    Limit, Limits, MAX_DISK_DEFAULT, MAX_FILES_DEFAULT, MAX_SOCKETS_DEFAULT, MAX_THREADS_DEFAULT,
};
pub(crate) use usage::{Counted, Usage};
pub use value::LimitError;

/// The error of a call into a guest that was ended because of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached(pub(crate) Limit);

impl LimitReached {
    /// Which limit it was.
    #[must_use]
    pub const fn limit(self) -> Limit {
        self.0
    }
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest was ended: it reached its limit {}", self.0)
    }
}

impl std::error::Error for LimitReached {}
