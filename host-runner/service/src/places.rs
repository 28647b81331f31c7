//! What requests take: places for guests, and the descriptors that those may have open.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasisocket_host::Limits;
use wasisocket_service::FILES_MAX;
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::clients::CLIENTS_MAX;

/// Descriptors of the service itself, its clients, and 512 look-ups by name servers at a time.
const RESERVED: u64 = CLIENTS_MAX as u64 + 512 * 5 + 512;

/// Where this system has no limit.
const UNLIMITED: u64 = 1 << 20;

/// What all requests share.
pub(crate) struct Places {
    guests: Arc<Semaphore>,
    descriptors: Arc<Semaphore>,
    /// How many of these there are in all.
    most: u32,
}

/// What one tenant's requests share.
pub(crate) struct Share {
    guests: Arc<Semaphore>,
    /// Of each guest.
    descriptors: u32,
}

/// Held for as long as a request takes anything. What it has is given back when it is dropped.
pub(crate) struct Place {
    _held: [OwnedSemaphorePermit; 3],
}

impl Places {
    /// For so many guests, and as many descriptors as this process may have: its limit is raised as far as it can be.
    ///
    /// # Errors
    /// The limit is lower than the service's own needs.
    pub(crate) fn new(guests: u32) -> Result<Self> {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let limit = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        };
        let left = limit.unwrap_or(UNLIMITED).checked_sub(RESERVED);
        let most =
            left.with_context(|| format!("needs {RESERVED} open files and more (ulimit -n)"))?;
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Ok(Self {
            guests: semaphore(guests),
            descriptors: semaphore(most),
            most,
        })
    }

    /// A tenant's share: so many guests, or as many as a quarter of all descriptors is enough for.
    ///
    /// # Errors
    /// It is not enough for one.
    pub(crate) fn share(&self, guests: u32, limits: &Limits) -> Result<Share> {
        let descriptors = u32::try_from(limits.max_sockets.saturating_add(FILES_MAX));
        let descriptors = descriptors.unwrap_or(u32::MAX);
        let enough = (self.most / 4).checked_div(descriptors).unwrap_or_default();
        if enough < guests {
            tracing::warn!(
                "{descriptors} open files for each guest are enough for {enough} at a time, not {guests}: \
                 lower max-sockets, or raise the limit of open files (ulimit -n)"
            );
        }
        wasmtime::ensure!(enough > 0, "max-sockets: there are not so many open files");
        Ok(Share {
            guests: semaphore(guests.min(enough)),
            descriptors,
        })
    }

    /// A place for a guest of this share, if there is one.
    pub(crate) fn take(&self, share: &Share) -> Option<Place> {
        let [mine, all] =
            [&share.guests, &self.guests].map(|guests| Arc::clone(guests).try_acquire_owned());
        let descriptors = Arc::clone(&self.descriptors).try_acquire_many_owned(share.descriptors);
        Some(Place {
            _held: [mine.ok()?, all.ok()?, descriptors.ok()?],
        })
    }
}

fn semaphore(count: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count as usize))
}
