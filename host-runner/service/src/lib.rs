//! Many guests in one process: CPython compiled once, and a new instance of it for each run.
//!
//! What makes thousands of them cheap is wasmtime's: an [`InstancePre`] has all imports resolved, the pooling
//! allocator has the places for guests ready, and a guest's memory is a copy-on-write image of the module's.
//! What each may reach and use are its [`Grants`].

#![forbid(unsafe_code)]

pub mod cgi;

use std::any::Any;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tokio_util::task::{AbortOnDropHandle, LocalPoolHandle};
use wasisocket_host::{
    Denial, Grants, Limit, LimitReached, SocketsCtx, SocketsView, Ticker, add_to_linker_async,
    limit_memory, limit_time_async,
};
use wasmtime::error::Context as _;
use wasmtime::{
    Cache, Config, Engine, InstanceAllocationStrategy, InstancePre, Linker, Module,
    PoolingAllocationConfig, Result, Store,
};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder, WasiView as _};

/// What CPython is linked with, and room for the host's own frames beside it.
const WASM_STACK: usize = 8 << 20;
const ASYNC_STACK: usize = WASM_STACK + (1 << 20);

/// Entries of CPython's function table; it has some 15,000.
const TABLE_ELEMENTS: usize = 30_000;

/// CPython, compiled, with room for a number of guests.
///
/// Each runs on one of as many threads as there are processors, from its start to its end. Threads that took
/// guests from each other, as those of tokio's multi-thread runtime do, would balance better, but one guest
/// that is always busy then comes in the way of more of the others, and of the service's own tasks.
pub struct Python {
    image: Arc<Image>,
    threads: LocalPoolHandle,
}

/// What all guests share.
struct Image {
    pre: InstancePre<Guest>,
    /// Folders of the host, and the guest's name for each: the standard library.
    library: Vec<(PathBuf, String)>,
    _ticker: Ticker,
}

/// What one guest is given.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Python's arguments after its own name: `-c`, code...
    pub arguments: Vec<String>,
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// Folders of the host that it may read, and its name for each.
    pub folders: Vec<(PathBuf, String)>,
    /// Its standard input.
    pub input: Vec<u8>,
    /// What it may reach and use.
    pub grants: Grants,
    /// Most bytes of its standard output that are kept; more end it. Of standard error likewise.
    pub output: usize,
    /// Dropped once the guest is gone, also if nobody waits for that any more.
    pub place: Option<Arc<dyn Any + Send + Sync>>,
}

/// How a guest ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Why.
    pub end: End,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// And to standard error, with a line for each thing that it was denied.
    pub stderr: Vec<u8>,
}

/// Why a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exit(i32),
    /// It reached a limit.
    Limit(Limit),
    /// It did what compiled code may not.
    Trap(String),
}

/// The most that a guest has open beside its sockets: files, folders, standard streams, and what a call makes for
/// itself. One more ends it.
pub const FILES_MAX: usize = 80;

/// Most bytes of a guest's standard error.
const ERRORS_MAX: usize = 64 << 10;

/// A guest's store.
struct Guest {
    wasi: WasiP1Ctx,
    sockets: SocketsCtx,
}

impl SocketsView for Guest {
    fn sockets(&mut self) -> &mut SocketsCtx {
        &mut self.sockets
    }
}

impl Python {
    /// Compiles `python.wasm` of `folder`, or takes it from wasmtime's cache, for up to `guests` at a time,
    /// each with at most `memory` bytes.
    ///
    /// # Errors
    /// It is not there, or no module for this host.
    pub fn load(folder: &Path, guests: u32, memory: usize, cache: Option<Cache>) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(guests)
            .total_memories(guests)
            .total_tables(guests)
            .total_stacks(guests)
            .table_elements(TABLE_ELEMENTS)
            .max_memory_size(memory);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .max_wasm_stack(WASM_STACK)
            .async_stack_size(ASYNC_STACK)
            .epoch_interruption(true)
            .cache(cache);
        let engine = Engine::new(&config)?;
        let wasm = folder.join("python.wasm");
        let module = Module::from_file(&engine, &wasm)
            .with_context(|| format!("cannot load {}", wasm.display()))?;

        let mut linker = Linker::new(&engine);
        p1::add_to_linker_async(&mut linker, |guest: &mut Guest| &mut guest.wasi)?;
        // preview1's own sock_send and sock_recv give way to ours.
        linker.allow_shadowing(true);
        add_to_linker_async(&mut linker, Guest::sockets)?;

        let image = Image {
            pre: linker.instantiate_pre(&module)?,
            library: library(&folder.join("lib"))?,
            _ticker: Ticker::start(&engine)?,
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            image: Arc::new(image),
            threads: LocalPoolHandle::new(threads),
        })
    }

    /// Runs a guest to its end; dropped before that, it ends the guest.
    ///
    /// # Errors
    /// The host's own: no place is free, a folder is not there.
    pub async fn run(&self, run: Run) -> Result<Ended> {
        let image = Arc::clone(&self.image);
        let guest = self
            .threads
            .spawn_pinned(move || async move { image.run(run).await });
        AbortOnDropHandle::new(guest).await?
    }
}

impl Image {
    async fn run(&self, run: Run) -> Result<Ended> {
        // Before the store, so that it is dropped after it.
        let _place = run.place;
        let (stdout, stderr) = (
            MemoryOutputPipe::new(run.output),
            MemoryOutputPipe::new(run.output.min(ERRORS_MAX)),
        );
        let mut wasi = WasiCtxBuilder::new();
        // Files are read by way of other threads. On this one it were quicker, but a sleep would be here too.
        wasi.stdin(MemoryInputPipe::new(run.input))
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .arg("python")
            .args(&run.arguments)
            .envs(&run.env);
        for (host, guest) in self.library.iter().chain(&run.folders) {
            wasi.preopened_dir(host, guest, FsPerms::ReadOnly)
                .with_context(|| format!("cannot open {}", host.display()))?;
        }
        let mut wasi = wasi.build_p1();
        wasi.ctx().table.set_max_capacity(FILES_MAX);
        let denials = stderr.clone();
        let guest = Guest {
            wasi,
            sockets: run
                .grants
                .builder()
                .on_denial(move |denial| tell(&denials, denial))
                .build(),
        };
        let clock = guest.sockets.clock();
        let mut store = Store::new(self.pre.module().engine(), guest);
        limit_time_async(&mut store, Guest::sockets);
        limit_memory(&mut store, Guest::sockets);
        let call = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            wasmtime::error::Ok(start.call_async(&mut store, ()).await)
        };
        let end = match clock.run_async(call).await {
            Err(reached) => End::Limit(reached.limit()),
            Ok(called) => match called? {
                Ok(()) => End::Exit(0),
                Err(error) => end(&error),
            },
        };
        drop(store);
        Ok(Ended {
            end,
            stdout: stdout.contents().to_vec(),
            stderr: stderr.contents().to_vec(),
        })
    }
}

/// What the error of a call says of the guest's end.
fn end(error: &wasmtime::Error) -> End {
    if let Some(I32Exit(status)) = error.downcast_ref() {
        End::Exit(*status)
    } else if let Some(reached) = error.downcast_ref::<LimitReached>() {
        End::Limit(reached.limit())
    } else {
        End::Trap(format!("{error:#}"))
    }
}

/// A line in the guest's standard error, for whoever wrote the handler.
fn tell(stderr: &MemoryOutputPipe, denial: &Denial) {
    use wasmtime_wasi::p2::OutputStream as _;
    let line = format!("wasisocket: {denial}\n");
    // Full, it takes no more.
    let _ = stderr.clone().write(line.into());
}

/// The standard library, `lib/python3.N`, where CPython looks for it.
fn library(lib: &Path) -> Result<Vec<(PathBuf, String)>> {
    let folder = std::fs::read_dir(lib)
        .with_context(|| format!("cannot read {}", lib.display()))?
        .flatten()
        .find(|entry| entry.path().join("os.py").is_file())
        .with_context(|| format!("no standard library in {}", lib.display()))?;
    let name = folder.file_name().to_string_lossy().into_owned();
    Ok(vec![(folder.path(), format!("/usr/local/lib/{name}"))])
}
