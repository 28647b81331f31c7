//! What requests occupy: places for guests, and the descriptors that guests may have open.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasisocket_host::Limits;
use wasisocket_service::{FILES_MAX, FOLDERS_MAX};
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::clients::CLIENTS_MAX;

/// Descriptors for the service itself, its clients, and 512 concurrent queries to name servers.
const RESERVED: u64 = CLIENTS_MAX as u64 + 512 * 5 + 512;

/// The number of descriptors where this system has no limit.
const UNLIMITED: u64 = 1 << 20;

/// The places that all requests share.
pub(crate) struct Places {
    guests: Arc<Semaphore>,
    descriptors: Arc<Semaphore>,
    descriptors_max: u32,
}

/// The places that the requests of one tenant share.
pub(crate) struct Share {
    guests: Arc<Semaphore>,
    /// For each guest.
    descriptors: u32,
}

/// The place of one request, which is free again when this is dropped.
pub(crate) struct Place {
    _permits: [OwnedSemaphorePermit; 3],
}

impl Places {
    /// Places for this number of guests, and for as many descriptors as this process may open: raises its limit of
    /// open files as far as possible.
    ///
    /// # Errors
    /// The limit is lower than what the service itself needs.
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
        let left = left
            .with_context(|| format!("more than {RESERVED} open files are needed (ulimit -n)"))?;
        let descriptors_max = u32::try_from(left).unwrap_or(u32::MAX);
        Ok(Self {
            guests: semaphore(guests),
            descriptors: semaphore(descriptors_max),
            descriptors_max,
        })
    }

    /// The share of a tenant: this number of guests, or fewer if a quarter of all descriptors is not enough for them.
    ///
    /// # Errors
    /// A quarter of all descriptors is not enough for one guest.
    pub(crate) fn share(&self, guests: u32, limits: &Limits) -> Result<Share> {
        let descriptors = u32::try_from(limits.max_sockets.saturating_add(FILES_MAX + FOLDERS_MAX));
        let descriptors = descriptors.unwrap_or(u32::MAX);
        let enough = (self.descriptors_max / 4)
            .checked_div(descriptors)
            .unwrap_or_default();
        if enough < guests {
            tracing::warn!(
                "each guest may open {descriptors} files, which allows {enough} guests at a time and not {guests}: \
                 lower max-sockets, or raise the limit of open files (ulimit -n)"
            );
        }
        wasmtime::ensure!(
            enough > 0,
            "max-sockets: one guest could need more open files than its tenant's share (ulimit -n)"
        );
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
            _permits: [mine.ok()?, all.ok()?, descriptors.ok()?],
        })
    }
}

fn semaphore(count: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count as usize))
}
