//! Random bytes for the guest that becomes an image: it says which module took some.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use rand::rngs::ThreadRng;
use rand::{Rng as _, TryRng};

use super::make::module;
use crate::stdio::Capture;

/// The system's random bytes, for a guest that says in its output which module it imports.
pub(crate) struct WatchedRandom {
    output: Capture,
    user: Arc<OnceLock<String>>,
}

impl WatchedRandom {
    pub(super) fn new(output: &Capture) -> Self {
        Self {
            output: output.clone(),
            user: Arc::default(),
        }
    }

    /// The first module that took random bytes while it was imported.
    pub(super) fn user(&self) -> Arc<OnceLock<String>> {
        Arc::clone(&self.user)
    }

    fn source(&self) -> ThreadRng {
        if let Some(name) = module(&String::from_utf8_lossy(&self.output.bytes())) {
            self.user.get_or_init(|| name.to_owned());
        }
        rand::rng()
    }
}

impl TryRng for WatchedRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.source().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.source().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.source().fill_bytes(bytes);
        Ok(())
    }
}
