//! What a guest of a sandbox writes, kept up to a bound, and passed on while it runs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::tasks::Tasks;

/// Most bytes that one write takes.
const WRITE_MAX: usize = 64 << 10;

/// Receives what a guest writes, on the thread that it runs on.
pub(super) type OnWrite = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// One stream of a guest. Clones share it.
#[derive(Clone)]
pub(crate) struct Tap {
    written: Arc<Mutex<Written>>,
    on_write: Option<OnWrite>,
    tasks: Tasks,
}

struct Written {
    kept: Vec<u8>,
    max: usize,
    cut: u64,
}

impl Tap {
    /// Keeps up to `max` bytes.
    pub(super) fn new(max: usize, on_write: Option<OnWrite>, tasks: &Tasks) -> Self {
        Self {
            written: Arc::new(Mutex::new(Written {
                kept: Vec::new(),
                max,
                cut: 0,
            })),
            on_write,
            tasks: tasks.clone(),
        }
    }

    /// What was written since the last time, and how many bytes more there were.
    pub(super) fn take(&self) -> (Vec<u8>, u64) {
        let mut written = self.lock();
        let cut = std::mem::take(&mut written.cut);
        (std::mem::take(&mut written.kept), cut)
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl IsTerminal for Tap {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Tap {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Components of WASI 0.3 use it, which Python is not.
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl Pollable for Tap {
    /// Waits until what was written is passed on.
    async fn ready(&mut self) {
        if self.on_write.is_some() {
            self.tasks.done().await;
        }
    }
}

#[async_trait]
impl OutputStream for Tap {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut written = self.lock();
        let room = written.max - written.kept.len();
        let kept = &bytes[..bytes.len().min(room)];
        written.kept.extend_from_slice(kept);
        written.cut += (bytes.len() - kept.len()) as u64;
        drop(written);
        if let Some(on_write) = &self.on_write {
            let on_write = Arc::clone(on_write);
            self.tasks.push(move || on_write(&bytes));
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX)
    }
}
