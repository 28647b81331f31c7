//! What the unit tests share.

use tokio::runtime::{Builder, Runtime};

/// A runtime for asynchronous stores, on the thread of the test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
