//! Standard input as it is: a read of the guest is a read of the file, and nothing is read ahead.
//!
//! wasmtime-wasi's own reads more than it was asked for. poll(2) then says that there is nothing, while
//! the guest has not seen all of it.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

use tokio::io::AsyncRead;
use wasmtime_wasi::cli::{InputFile, IsTerminal, StdinStream};
use wasmtime_wasi::p2::InputStream;

/// The process's standard input, unbuffered.
pub(crate) struct Stdin(InputFile);

impl Stdin {
    /// The stream for WASI, and the descriptor for whoever polls it.
    pub(crate) fn open() -> std::io::Result<(Self, OwnedFd)> {
        let fd = std::io::stdin().as_fd().try_clone_to_owned()?;
        let file = File::from(fd.try_clone()?);
        Ok((Self(InputFile::new(file)), fd))
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        std::io::IsTerminal::is_terminal(&std::io::stdin())
    }
}

impl StdinStream for Stdin {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        self.0.p2_stream()
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        self.0.async_stream()
    }
}
