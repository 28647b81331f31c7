//! Standard input, output and error of a guest.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::spawn_blocking;
use wasmtime_wasi::{WasiCtxBuilder, async_trait};

use crate::sandbox::Tap;

/// What a guest writes to its standard output or error, in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Capture(MemoryOutputPipe);

impl Capture {
    /// Room for `max` bytes. A guest that writes more traps.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(MemoryOutputPipe::new(max))
    }

    /// What was written so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.contents().to_vec()
    }

    /// Writes something of the host's between what the guest writes; where there is no room for all of it,
    /// nothing is written.
    pub fn write(&self, bytes: &[u8]) {
        let _ = self.0.clone().write(bytes.to_vec().into());
    }
}

/// What a guest reads from its standard input.
#[derive(Clone, Debug, Default)]
pub(crate) enum Input {
    #[default]
    Empty,
    Bytes(Vec<u8>),
    Inherit,
}

/// Where a guest's standard output or error goes.
#[derive(Debug, Default)]
pub(crate) enum Output {
    #[default]
    Discard,
    Capture(Capture),
    Tap(Tap),
    Inherit,
}

/// How a guest's read of the process's standard input waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// It blocks the thread.
    Thread,
    /// It blocks the thread until this time at the latest.
    Until(Instant),
    /// It lets other tasks run.
    Task,
}

impl Input {
    /// Sets the guest's standard input. Returns a descriptor if the guest may have to wait for it.
    pub(crate) fn open(self, wasi: &mut WasiCtxBuilder, wait: Wait) -> Option<OwnedFd> {
        match self {
            Self::Empty => None,
            Self::Bytes(bytes) => {
                wasi.stdin(MemoryInputPipe::new(bytes));
                None
            }
            // It fails if this process has none: then the guest has none either.
            Self::Inherit => {
                let fd = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
                wasi.stdin(Stdin {
                    file: Arc::new(fd.try_clone().ok()?.into()),
                    wait,
                });
                Some(fd)
            }
        }
    }
}

/// How long to wait for standard input before looking whether the guest still does.
const STEP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The process's standard input, unbuffered: a read by the guest is a read of the file, and nothing is read ahead.
///
/// wasmtime-wasi's own reads more than it was asked for. poll(2) then says that there is nothing to read, while
/// the guest has not seen all of it.
#[derive(Clone)]
struct Stdin {
    file: Arc<File>,
    wait: Wait,
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        std::io::IsTerminal::is_terminal(&*self.file)
    }
}

impl StdinStream for Stdin {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        // Components of WASI 0.3 use it, which Python is not.
        Box::new(tokio::io::empty())
    }
}

#[async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        // Files have no readiness that epoll(7) could report, so a thread waits.
        loop {
            let file = Arc::clone(&self.file);
            let poll = move || poll(&mut [PollFd::new(&*file, PollFlags::IN)], Some(&STEP));
            let ready = match self.wait {
                Wait::Thread => return,
                Wait::Until(end) if end <= Instant::now() => return,
                Wait::Until(_) => poll(),
                Wait::Task => spawn_blocking(poll).await,
            };
            if ready != Ok(0) {
                return;
            }
        }
    }
}

#[async_trait]
impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if let Wait::Until(end) = self.wait
            && end <= Instant::now()
        {
            return Err(StreamError::Closed);
        }
        let mut bytes = vec![0; size.min(TRANSFER_MAX)];
        let count = (&*self.file)
            .read(&mut bytes)
            .map_err(|error| StreamError::LastOperationFailed(error.into()))?;
        bytes.truncate(count);
        match count {
            0 => Err(StreamError::Closed),
            _ => Ok(bytes.into()),
        }
    }
}

/// The most that one read or write takes.
const TRANSFER_MAX: usize = 64 << 10;

impl Output {
    /// Sets the guest's standard output. Returns a descriptor if it is this process's.
    pub(crate) fn open_stdout(self, wasi: &mut WasiCtxBuilder) -> Option<OwnedFd> {
        let stream = self.inherited(&std::io::stdout());
        match (self, stream) {
            (_, Some((stream, fd))) => {
                wasi.stdout(stream);
                return Some(fd);
            }
            (Self::Capture(capture), _) => wasi.stdout(capture.0),
            (Self::Tap(tap), _) => wasi.stdout(tap),
            (Self::Discard | Self::Inherit, _) => wasi,
        };
        None
    }

    /// As [`Output::open_stdout`], for standard error.
    pub(crate) fn open_stderr(self, wasi: &mut WasiCtxBuilder) -> Option<OwnedFd> {
        let stream = self.inherited(&std::io::stderr());
        match (self, stream) {
            (_, Some((stream, fd))) => {
                wasi.stderr(stream);
                return Some(fd);
            }
            (Self::Capture(capture), _) => wasi.stderr(capture.0),
            (Self::Tap(tap), _) => wasi.stderr(tap),
            (Self::Discard | Self::Inherit, _) => wasi,
        };
        None
    }

    /// This process's stream, if that is what the guest has and there is one.
    fn inherited(&self, stream: &impl AsFd) -> Option<(Inherited, OwnedFd)> {
        let Self::Inherit = self else {
            return None;
        };
        let fd = stream.as_fd().try_clone_to_owned().ok()?;
        let file = Arc::new(fd.try_clone().ok()?.into());
        Some((Inherited(file), fd))
    }
}

/// The process's standard output or error, unbuffered. Errors are those of write(2): EPIPE when nobody reads any more.
///
/// wasmtime-wasi's own reports each error as EIO.
#[derive(Clone)]
struct Inherited(Arc<File>);

impl IsTerminal for Inherited {
    fn is_terminal(&self) -> bool {
        std::io::IsTerminal::is_terminal(&*self.0)
    }
}

impl StdoutStream for Inherited {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Components of WASI 0.3 use it, which Python is not.
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl Pollable for Inherited {
    /// A write blocks the thread.
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Inherited {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut rest = &*bytes;
        while !rest.is_empty() {
            match (&*self.0).write(rest) {
                Ok(count) => rest = &rest[count..],
                // Another process set the flag, which all that have the terminal or pipe share.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Whatever that reports, the next write says what is wrong.
                    let _ = poll(&mut [PollFd::new(&*self.0, PollFlags::OUT)], None);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(StreamError::LastOperationFailed(error.into())),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(TRANSFER_MAX)
    }
}
