//! A bound on the guests that run at the same time: [`PythonBuilder::pool`](crate::PythonBuilder::pool).

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use wasmtime::{Result, bail};

use crate::engine::Shared;

/// How many guests may run, and with how much memory each.
pub(crate) struct Places {
    free: AtomicU32,
    pub(crate) memory: usize,
}

/// The place of a guest that runs.
pub(crate) struct Place(Arc<Shared>);

impl Places {
    pub(crate) fn new((guests, memory): (u32, usize)) -> Self {
        Self {
            free: AtomicU32::new(guests),
            memory,
        }
    }
}

impl Place {
    /// A place for one more guest.
    ///
    /// # Errors
    /// As many as may are running.
    pub(crate) fn take(shared: &Arc<Shared>) -> Result<Option<Self>> {
        let Some(places) = &shared.places else {
            return Ok(None);
        };
        let take = |free: u32| free.checked_sub(1);
        match places.free.fetch_update(Relaxed, Relaxed, take) {
            Ok(_) => Ok(Some(Self(Arc::clone(shared)))),
            Err(_) => bail!("as many guests are running as there are places for"),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = &self.0.places {
            places.free.fetch_add(1, Relaxed);
        }
    }
}
