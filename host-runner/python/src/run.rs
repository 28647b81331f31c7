//! Running a program to its end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tracing::debug;
use wasisocket_host::{GuestClock, SocketsView as _, limit_memory, limit_time, limit_time_async};
use wasmtime::{Result, Store, bail, ensure};
use wasmtime_wasi::WasiCtxBuilder;

use crate::cache::Part;
use crate::end::End;
use crate::engine::{Python, Shared};
use crate::etc::{self, TLS_FOLDER};
use crate::folders::Folder;
use crate::guest::Guest;
use crate::places::Place;
use crate::preview1::{Preview1, wait};
use crate::profile::Profiler;
use crate::program::{Program, TEMPORARY_FOLDER};
use crate::snapshot::{self, Image, PAGE, Preload, RESUME};
use crate::stdio::Wait;
use crate::threads::GuestStore;

/// Where a guest sees Python: `sys.executable`, and the first word of its messages.
const EXECUTABLE_FOLDER: &str = "/usr/local/bin";
const EXECUTABLE: &str = "python3";

impl Python {
    /// Runs a program to its end, in a thread of its own, and blocks until then.
    ///
    /// A guest that its file system or the reader of its output holds up is not ended by its time limit before that
    /// call returns.
    ///
    /// # Errors
    /// The guest could not be started: a folder or a script is missing, no place in the pool is free, python.wasm needs an import
    /// that is not provided, or the program has time limits and [`PythonBuilder::time_limits`] is off. What goes wrong
    /// after that is an [`End`].
    ///
    /// [`PythonBuilder::time_limits`]: crate::PythonBuilder::time_limits
    pub fn run(&self, program: Program) -> Result<End> {
        self.run_in_thread(program, None)
    }

    /// The same, and collects what the guest runs. [`PythonBuilder::profiling`] has to be on.
    ///
    /// # Errors
    /// As for [`Python::run`], or profiling is off.
    ///
    /// [`PythonBuilder::profiling`]: crate::PythonBuilder::profiling
    pub fn run_profiled(&self, program: Program, profiler: &Profiler) -> Result<End> {
        ensure!(
            self.shared.is_profiled,
            "this Python was loaded without profiling"
        );
        self.run_in_thread(program, Some(profiler))
    }

    fn run_in_thread(&self, program: Program, profiler: Option<&Profiler>) -> Result<End> {
        // Before the store, which must be gone when the place is free.
        let _place = Place::take(&self.shared)?;
        let image = self.image_for(&program);
        // For the size of its stack.
        self.shared
            .in_guest_thread(|shared| shared.run(program, image, self.preload(), profiler))
    }

    /// Runs a program to its end, and lets other tasks run whenever the guest waits, and every 10 ms while it computes.
    /// Dropping the future ends the guest.
    ///
    /// It has to be polled within a tokio runtime that has its I/O and its time enabled. Guests that a runtime moves
    /// between its threads hold each other up more than those that stay on one.
    ///
    /// A guest that is run in this way cannot send files through Unix sockets.
    ///
    /// # Errors
    /// As for [`Python::run`].
    pub async fn run_async(&self, program: Program) -> Result<End> {
        let _place = Place::take(&self.shared)?;
        let image = self.image_for(&program);
        let (mut store, clock) = self.shared.store(
            program.with_search_path(self.preload()),
            true,
            self.preload(),
        )?;
        let linked = self.shared.asynchronous()?;
        if let Some(image) = image {
            let instance = linked.instantiate_async(&mut store).await?;
            if image.apply(&instance, &mut store)? {
                let resume = instance.get_typed_func::<(), i32>(&mut store, RESUME)?;
                match clock.run_async(resume.call_async(&mut store, ())).await {
                    Ok(Ok(_needs_cold_start)) => store.end_threads(),
                    Ok(Err(error)) => return Ok(End::of(Err(error))),
                    Err(reached) => return Ok(End::Limit(reached.limit())),
                }
            }
        }
        let instance = linked.instantiate_async(&mut store).await?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        Ok(
            match clock.run_async(start.call_async(&mut store, ())).await {
                Ok(called) => End::of(called),
                Err(reached) => End::Limit(reached.limit()),
            },
        )
    }

    /// The image that the program may begin with.
    fn image_for(&self, program: &Program) -> Option<&Image> {
        let image = self.image.as_deref()?;
        snapshot::may_resume(program, image).then_some(image)
    }
}

impl Shared {
    fn run(
        &self,
        program: Program,
        image: Option<&Image>,
        preload: &Preload,
        profiler: Option<&Profiler>,
    ) -> Result<End> {
        let (mut store, clock) = self.store(program.with_search_path(preload), false, preload)?;
        let linked = self.blocking()?;
        if let Some(image) = image {
            let instance = wait(linked.instantiate_async(&mut store))?;
            if image.apply(&instance, &mut store)? {
                if let Some(profiler) = profiler {
                    profiler.attach(&mut store, &instance)?;
                }
                let resume = instance.get_typed_func::<(), i32>(&mut store, RESUME)?;
                match clock.run(|| wait(resume.call_async(&mut store, ()))) {
                    Ok(_needs_cold_start) => store.end_threads(),
                    Err(error) => return Ok(End::of(Err(error))),
                }
            }
        }
        let instance = wait(linked.instantiate_async(&mut store))?;
        if let Some(profiler) = profiler {
            profiler.attach(&mut store, &instance)?;
        }
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        Ok(End::of(
            clock.run(|| wait(start.call_async(&mut store, ()))),
        ))
    }

    /// A store with all that the program is given, the folders of packages of the image, and its limits.
    pub(crate) fn store(
        &self,
        mut program: Program,
        is_async: bool,
        preload: &Preload,
    ) -> Result<(GuestStore, GuestClock)> {
        let limits = &mut program.grants.limits;
        if let Some(places) = &self.places {
            let most = limits.max_memory.get_or_insert(places.memory);
            *most = places.memory.min(*most);
        }
        let least = self.least_memory();
        ensure!(
            limits.max_memory.is_none_or(|most| most >= least),
            "the limit of memory (--max-memory) is too small: Python needs {}M to start",
            least.div_ceil(1 << 20)
        );
        ensure!(
            self.has_time_limits || limits.timeout.is_none() && limits.max_cpu.is_none(),
            "the program has limits of time, and this Python was loaded without them"
        );
        // Centuries from now are without end.
        let end = limits
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let limits_disk = limits.max_disk.is_some();
        let script = program.script_in_guest()?;
        let root = match program.script_folder() {
            Some(folder) if folder.is_root() => Some(folder),
            folder => {
                program.folders.extend(folder);
                match program.root() {
                    Some(_) => None,
                    None => self.empty_folder(),
                }
            }
        };
        if etc::is_granted(&program.folders, TLS_FOLDER) && program.certificates.is_some() {
            bail!(
                "both certificates (--ca-bundle) and a folder (--dir) are given for {TLS_FOLDER}: leave one out"
            );
        }
        let name_servers = etc::name_servers(&program.grants);
        let etc = self.etc(program.certificates.as_ref(), name_servers)?;
        let seen_as_root = program.root().or(root.as_ref()).map(Folder::host);
        let etc_folder = etc.folder(&program.folders, seen_as_root);
        let time_zones = match &program.time_zones {
            Some(time_zones) => time_zones,
            None => self.system_time_zones(),
        };
        let time_zones_folder = time_zones.folder(&program.folders, seen_as_root);

        let temporary = program.private_temporary();

        let mut wasi = WasiCtxBuilder::new();
        if let Some(random) = program.random {
            wasi.secure_random(random);
        }
        if let Some(clock) = program.clock {
            wasi.monotonic_clock(clock);
        }
        wasi.allow_blocking_current_thread(!is_async);
        let mut sockets = program.grants.builder();
        let wait = match (is_async, end) {
            (true, _) => Wait::Task,
            (false, Some(end)) => Wait::Until(end),
            (false, None) => Wait::Thread,
        };
        let stdin = program.stdin.open(&mut wasi, wait);
        let stdout = program.stdout.open_stdout(&mut wasi);
        let stderr = program.stderr.open_stderr(&mut wasi);
        let mut streams = [None, None, None];
        for (stream, fd) in streams.iter_mut().zip([&stdin, &stdout, &stderr]) {
            *stream = fd.as_ref().and_then(|fd| fd.try_clone().ok());
        }
        if let Some(fd) = stdin {
            sockets = sockets.stdin(fd);
        }
        if let Some(fd) = stdout {
            sockets = sockets.stdout(fd);
        }
        if let Some(fd) = stderr {
            sockets = sockets.stderr(fd);
        }
        if let Some(root) = root {
            sockets = root.open(&mut wasi, sockets)?;
        }
        for folder in etc_folder.iter().chain(&time_zones_folder) {
            folder.open_files(&mut wasi)?;
        }
        if let Some(temporary) = &temporary {
            let folder = Folder::read_write(temporary.path(), TEMPORARY_FOLDER);
            sockets = folder.open(&mut wasi, sockets)?;
        }
        for folder in &program.folders {
            folder.check_trusted(self.trusted().chain(preload.paths()))?;
            sockets = folder.open(&mut wasi, sockets)?;
        }
        let executable = self.executable_folder();
        // Inner folders come before outer ones.
        let packages: Vec<_> = preload.folders().collect();
        let library = self.distribution.library().iter();
        for folder in packages.iter().chain(library).chain(&executable) {
            folder.open_files(&mut wasi)?;
        }
        for (name, value) in &program.env {
            ensure!(
                !name.is_empty() && !name.contains('='),
                "{name:?} cannot be the name of a variable"
            );
            ensure!(
                !name.contains('\0') && !value.contains('\0'),
                "the variable {name:?} has a zero byte"
            );
            wasi.env(name, value);
        }
        wasi.arg(format!("{EXECUTABLE_FOLDER}/{EXECUTABLE}"));
        for argument in program
            .options
            .iter()
            .chain(&script)
            .chain(&program.arguments)
        {
            ensure!(!argument.contains('\0'), "an argument has a zero byte");
            wasi.arg(argument);
        }
        let wasi = wasi.build_p1();
        if let Some(configure) = program.configure_sockets {
            sockets = configure(sockets);
        }
        let sockets = sockets.build();
        let clock = sockets.clock();
        let mut preview1 = Preview1::new(wasi, !is_async);
        preview1.set_standard_streams(streams);
        if limits_disk {
            preview1.limit_disk(sockets.disk());
        }
        preview1.limit_files(sockets.files());
        let guest = Guest::new(preview1, sockets, end, Some(etc), temporary);
        let mut store = Store::new(self.module.engine(), guest);
        limit_memory(&mut store, Guest::sockets);
        match (self.has_time_limits, is_async) {
            (true, true) => limit_time_async(&mut store, Guest::sockets),
            (true, false) => limit_time(&mut store, Guest::sockets),
            (false, _) => {}
        }
        if self.is_profiled {
            // No epoch ends it.
            store.set_epoch_deadline(u64::MAX >> 1);
        }
        Ok((GuestStore::new(store), clock))
    }

    /// The memory and the tables that each guest begins with, in bytes.
    fn least_memory(&self) -> usize {
        let needed = self.module.resources_required();
        let pages = usize::try_from(needed.max_initial_memory_size.unwrap_or_default());
        let elements = usize::try_from(needed.max_initial_table_size.unwrap_or_default());
        let bytes = |count: usize, size: usize| count.saturating_mul(size);
        bytes(pages.unwrap_or(usize::MAX), PAGE)
            .saturating_add(bytes(elements.unwrap_or(usize::MAX), size_of::<usize>()))
    }

    /// What a guest sees as `/` if it has no script and is granted no folder there. Some folder has to be there:
    /// `os.makedirs`, for example, looks for the parents of a granted one.
    fn empty_folder(&self) -> Option<Folder> {
        let folder = self.cached(Part::Empty, |_| Ok(()))?;
        Some(Folder::read_only(folder, "/"))
    }

    /// The folder of `sys.executable`. Nothing can start that file, but it exists, as `platform.libc_ver`, for
    /// example, relies on.
    fn executable_folder(&self) -> Option<Folder> {
        let folder = self.cached(Part::Executable, |folder| {
            std::fs::write(folder.join(EXECUTABLE), "")
        });
        Some(Folder::read_only(folder?, EXECUTABLE_FOLDER))
    }

    /// The folder of a part of the cache, which is filled when it is made.
    fn cached(&self, part: Part, fill: impl FnOnce(&Path) -> io::Result<()>) -> Option<PathBuf> {
        let folder = self.cache.as_ref()?.folder(part);
        if folder.is_dir() {
            return Some(folder);
        }
        match std::fs::create_dir_all(&folder).and_then(|()| fill(&folder)) {
            Ok(()) => Some(folder),
            // A read-only home is no reason not to run.
            Err(error) => {
                debug!("{}: {error}", folder.display());
                None
            }
        }
    }

    /// The paths of the host that later runs trust.
    fn trusted(&self) -> impl Iterator<Item = PathBuf> {
        let parts = Part::ALL.into_iter();
        let cache = self.cache.iter();
        let cached = cache.flat_map(move |cache| parts.clone().map(|part| cache.folder(part)));
        cached.chain(self.distribution.paths().map(Path::to_owned))
    }
}
