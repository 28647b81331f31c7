//! One guest: its store's data and its imports.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use wasisocket_abi::CORE_MODULE;
use wasisocket_host::{
    SocketsCtx, SocketsView, add_files_to_linker, add_to_linker, add_to_linker_async,
};
use wasmtime::error::Context as _;
use wasmtime::{Caller, Engine, InstancePre, Linker, Result};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wiggle::GuestMemory;

use crate::clocks;
use crate::engine::Shared;
use crate::etc::Etc;
use crate::preview1::{self, OpenedFiles, Preview1};
use crate::private_folder::PrivateFolder;
use crate::sleep;
use crate::threads::{self, Threads};

/// All that one guest has.
pub(crate) struct Guest {
    preview1: Preview1,
    sockets: SocketsCtx,
    end: Option<Instant>,
    /// Beside its main one.
    pub(crate) threads: Threads,
    /// Its folder may be a temporary one.
    _etc: Option<Arc<Etc>>,
    /// Its `/tmp`.
    _temporary: Option<PrivateFolder>,
}

impl Guest {
    /// `end` is when its time is over.
    pub(crate) fn new(
        preview1: Preview1,
        sockets: SocketsCtx,
        end: Option<Instant>,
        etc: Option<Arc<Etc>>,
        temporary: Option<PrivateFolder>,
    ) -> Self {
        let threads = Threads::new(sockets.threads());
        Self {
            preview1,
            sockets,
            end,
            threads,
            _etc: etc,
            _temporary: temporary,
        }
    }

    pub(crate) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Sets what receives the files that it opens.
    pub(crate) fn on_opened(&mut self, opened: OpenedFiles) {
        self.preview1.on_opened(opened);
    }

    /// How many files and folders it has open.
    pub(crate) fn open_files(&self) -> usize {
        self.preview1.open_files()
    }

    /// The guest's memory, and the guest, for one call.
    pub(crate) fn enter<'a>(
        caller: &'a mut Caller<'_, Self>,
    ) -> Result<(GuestMemory<'a>, &'a mut Self)> {
        preview1::enter(caller, |guest| &mut guest.preview1)
    }

    /// wasmtime-wasi's part of preview1.
    pub(crate) fn wasi(&mut self) -> &mut WasiP1Ctx {
        self.preview1.wasi()
    }
}

impl SocketsView for Guest {
    fn sockets(&mut self) -> &mut SocketsCtx {
        &mut self.sockets
    }
}

/// Every import that a synchronous store provides.
pub(crate) fn blocking_linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |guest: &mut Guest| guest.preview1.wasi())?;
    // Some of preview1's imports give way to ours.
    linker.allow_shadowing(true);
    preview1::add_to_linker(&mut linker, |guest: &mut Guest| &mut guest.preview1)?;
    add_to_linker(&mut linker, Guest::sockets)?;
    add_files_to_linker(&mut linker, |guest: &mut Guest| {
        (&mut guest.sockets, &mut guest.preview1)
    })?;
    clocks::add_to_linker(&mut linker)?;
    threads::add_to_linker(&mut linker)?;
    sleep::add_to_linker(&mut linker)?;
    add_proc_exit(&mut linker)?;
    Ok(linker)
}

/// Every import that an asynchronous store provides.
pub(crate) fn asynchronous_linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |guest: &mut Guest| guest.preview1.wasi())?;
    // Some of preview1's imports give way to ours.
    linker.allow_shadowing(true);
    preview1::add_to_linker_async(&mut linker, |guest: &mut Guest| &mut guest.preview1)?;
    add_to_linker_async(&mut linker, Guest::sockets)?;
    add_files_to_linker(&mut linker, |guest: &mut Guest| {
        (&mut guest.sockets, &mut guest.preview1)
    })?;
    clocks::add_to_linker(&mut linker)?;
    threads::add_to_linker(&mut linker)?;
    add_proc_exit(&mut linker)?;
    Ok(linker)
}

/// wasmtime-wasi's own traps at a status of 126 or more; a process may end with any.
fn add_proc_exit(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(CORE_MODULE, "proc_exit", |status: i32| -> Result<()> {
        Err(I32Exit(status).into())
    })?;
    Ok(())
}

impl Shared {
    /// The module with its imports resolved for synchronous stores.
    pub(crate) fn blocking(&self) -> Result<&InstancePre<Guest>> {
        self.linked(&self.blocking, blocking_linker)
    }

    /// The module with its imports resolved for asynchronous stores.
    pub(crate) fn asynchronous(&self) -> Result<&InstancePre<Guest>> {
        self.linked(&self.asynchronous, asynchronous_linker)
    }

    fn linked<'a>(
        &self,
        linked: &'a OnceLock<InstancePre<Guest>>,
        linker: fn(&Engine) -> Result<Linker<Guest>>,
    ) -> Result<&'a InstancePre<Guest>> {
        if let Some(linked) = linked.get() {
            return Ok(linked);
        }
        let new = linker(self.module.engine())?
            .instantiate_pre(&self.module)
            .context("this module does not run here: `wasisocket doctor` says why")?;
        Ok(linked.get_or_init(|| new))
    }
}
