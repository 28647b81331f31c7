//! What guests occupy: a place each, and the descriptors that they may have open.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasisocket_host::Limits;
use wasisocket_service::FOLDERS_MAX;
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::{ADMIN_CLIENTS_MAX, CLIENTS_MAX};

/// Descriptors for the service itself, its clients, and 512 concurrent queries to name servers.
const RESERVED: u64 = (CLIENTS_MAX + ADMIN_CLIENTS_MAX) as u64 + 512 * 5 + 512;

/// The files in which the memory of a template is kept for its copies.
const COPY_FILES: u32 = 4;

/// The number of descriptors where this system has no limit.
const UNLIMITED: u64 = 1 << 20;

/// The places that all guests share.
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

/// The place of one guest, which is free again when this is dropped.
pub(crate) struct Place {
    _permits: [OwnedSemaphorePermit; 2],
    /// Of a tenant's share.
    _share: Option<OwnedSemaphorePermit>,
}

/// Why there is no place.
#[derive(Debug)]
pub(crate) enum NoPlace {
    /// The tenant's own requests occupy its share.
    InShare,
    /// All guests together occupy what there is.
    AtAll,
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
        let descriptors = limits.max_sockets.saturating_add(limits.max_files);
        let descriptors = u32::try_from(descriptors.saturating_add(FOLDERS_MAX));
        let descriptors = descriptors.unwrap_or(u32::MAX);
        let enough = (self.descriptors_max / 4)
            .checked_div(descriptors)
            .unwrap_or_default();
        if enough < guests {
            tracing::warn!(
                "each guest may open {descriptors} files, which allows {enough} guests at a time and not {guests}: \
                 lower max-sockets and max-files, or raise the limit of open files (ulimit -n)"
            );
        }
        wasmtime::ensure!(
            enough > 0,
            "max-sockets, max-files: one guest could need more open files than its tenant's share (ulimit -n)"
        );
        Ok(Share {
            guests: semaphore(guests.min(enough)),
            descriptors,
        })
    }

    /// A place for a guest that answers a request.
    pub(crate) fn for_request(&self, share: &Share) -> Result<Place, NoPlace> {
        let permit = Arc::clone(&share.guests).try_acquire_owned();
        let permit = permit.map_err(|_| NoPlace::InShare)?;
        self.take(share.descriptors, Some(permit))
    }

    /// A place for the guest of this share that requests get copies of. It is beside the number of guests of the share.
    pub(crate) fn for_template(&self, share: &Share) -> Result<Place, NoPlace> {
        self.take(share.descriptors.saturating_add(COPY_FILES), None)
    }

    fn take(&self, count: u32, share: Option<OwnedSemaphorePermit>) -> Result<Place, NoPlace> {
        let guest = Arc::clone(&self.guests).try_acquire_owned();
        let descriptors = Arc::clone(&self.descriptors).try_acquire_many_owned(count);
        match (guest, descriptors) {
            (Ok(guest), Ok(descriptors)) => Ok(Place {
                _permits: [guest, descriptors],
                _share: share,
            }),
            _ => Err(NoPlace::AtAll),
        }
    }
}

fn semaphore(count: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count as usize))
}
