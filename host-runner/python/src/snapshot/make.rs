//! Making an image: a guest without grants starts Python, loads modules, and its memory is copied.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tracing::debug;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail, ensure};

use crate::end::End;
use crate::engine::Shared;
use crate::folders::Folder;
use crate::preview1::wait;
use crate::program::Program;
use crate::stdio::Capture;
use crate::trusted_folder::hex;
use wasisocket_host::SocketsView as _;

use super::random::WatchedRandom;
use super::{INITIALIZE, Image, MEMORY, Origin, Preload, RESUME, format, map, state};

/// The most that Python writes while an image is made: the names of the files that it reads.
const OUTPUT_MAX: usize = 8 << 20;

/// The version of this format, and of what is loaded.
const VERSION: &str = "image 3";

/// What [`_wasisocket_preload.py`] prints before each part of its output.
///
/// [`_wasisocket_preload.py`]: ../../../../cpython-patch/Lib/_wasisocket_preload.py
pub(super) const PART: char = '\0';

impl Image {
    /// The name of an image in the cache.
    pub(crate) fn name(wasm_hash: &str, library: &[PathBuf]) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{VERSION}\n{wasm_hash}\n"));
        for folder in library {
            hash.update(format!("{}\n", folder.display()));
        }
        format!("{}.image", hex(&hash.finalize()))
    }

    /// Whether images can be made of this module: it has the functions for that.
    pub(crate) fn is_possible(shared: &Shared) -> bool {
        let has = |name| shared.module.get_export(name).is_some();
        has(INITIALIZE) && has(RESUME)
    }

    /// Makes an image, whose hash secret nobody else has. The calling thread needs a guest's stack.
    ///
    /// # Errors
    /// The module has state beside its memory, Python did not start, or a module cannot be in an image.
    pub(crate) fn make(shared: &Shared, preload: &Preload) -> Result<Vec<u8>> {
        let started = std::time::Instant::now();
        state::check(&fs::read(shared.distribution.wasm())?)?;
        let preload = preload.resolve()?;
        let (stdout, stderr) = (Capture::new(OUTPUT_MAX), Capture::new(OUTPUT_MAX));
        let random = WatchedRandom::new(&stdout);
        let user_of_random = random.user();
        let mut program = Program::default().stdout(&stdout).stderr(&stderr);
        program.arguments = preload.arguments().collect();
        program.random = Some(random);
        let (mut store, clock) = shared.store(program, false, &preload)?;
        let opened = Arc::new(Mutex::new(Vec::new()));
        let (output, seen) = (stdout.clone(), Arc::clone(&opened));
        store.data_mut().on_opened(Box::new(move |path| {
            if let Some(name) = module(&String::from_utf8_lossy(&output.bytes())) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push((name.to_owned(), path));
            }
        }));
        let files = store.data_mut().open_files();
        let instance = wait(shared.blocking()?.instantiate_async(&mut store))?;
        let initialize = instance.get_typed_func::<(), ()>(&mut store, INITIALIZE)?;
        let done = clock.run(|| wait(initialize.call_async(&mut store, ())));
        let written = String::from_utf8_lossy(&stderr.bytes()).into_owned();
        let told = String::from_utf8_lossy(&stdout.bytes()).into_owned();
        if let Err(error) = done {
            // Without its reason, an exit status, where Python gave one.
            let reason = match written.is_empty() {
                true => format!("{error:#}"),
                false => written.trim().to_owned(),
            };
            match module(&told) {
                Some(name) => bail!("{name} cannot be in an image: {reason}"),
                None => bail!("Python could not be started for an image: {reason}"),
            }
        }
        if !written.is_empty() {
            bail!("Python wrote while an image was made: {}", written.trim());
        }
        if let Some(name) = user_of_random.get() {
            bail!(
                "{name} cannot be in an image: it takes random bytes when it is imported, and all guests would have \
                 the same"
            );
        }
        let guest = store.data_mut();
        ensure!(
            guest.open_files() == files && guest.sockets().open_handles() == 0,
            "one of these modules cannot be in an image, as it leaves a file or a socket open: {}",
            preload.names()
        );
        ensure!(
            guest.threads.is_empty(),
            "one of these modules cannot be in an image, as it leaves a thread: {}",
            preload.names()
        );
        let Told {
            mut sources,
            variables,
        } = parse(shared, &preload, &told)?;
        let folders: Vec<_> = preload.folders().collect();
        let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, path) in opened.iter() {
            match on_host(shared, &folders, path) {
                Some(source) => sources.push(source),
                None => bail!(
                    "{name} cannot be in an image: it opens {} when it is imported, which differs between guests",
                    path.display()
                ),
            }
        }
        sources.sort_unstable();
        sources.dedup();
        let memory = instance
            .get_memory(&mut store, MEMORY)
            .context("the guest exports no memory")?;
        let mut origin = Origin::of(shared, preload)?;
        origin.variables = variables;
        let mut image = format::write(memory.data(&store), &origin, &sources)?;
        drop(store);
        let written = Self::private(&image)?.written_by_guests(shared)?;
        format::set_written(&mut image, &written);
        debug!(elapsed = ?started.elapsed(), files = sources.len(), bytes = image.len(), "image made");
        Ok(image)
    }
}

impl Image {
    /// The parts of its memory that every guest writes to: those that one writes to which does nothing. None if the
    /// system does not tell.
    fn written_by_guests(&self, shared: &Shared) -> Result<Vec<Range<usize>>> {
        let program = Program::code("pass");
        let (mut store, clock) = shared.store(program, false, self.preload())?;
        let instance = wait(shared.blocking()?.instantiate_async(&mut store))?;
        if !self.apply(&instance, &mut store)? {
            return Ok(Vec::new());
        }
        let resume = instance.get_typed_func::<(), i32>(&mut store, RESUME)?;
        // It exits.
        if let Err(error) = clock.run(|| wait(resume.call_async(&mut store, ())))
            && !matches!(End::of(Err(error)), End::Exit(0))
        {
            bail!("no guest can begin with it");
        }
        let memory = instance.get_memory(&mut store, MEMORY);
        let memory = memory.context("the guest exports no memory")?;
        Ok(map::written(&self.header, memory.data(&store)).unwrap_or_default())
    }
}

/// The innermost module that was being imported at the end of this output, if one was.
pub(super) fn module(told: &str) -> Option<&str> {
    let last = told.rsplit(PART).next()?;
    last.strip_prefix("module\n")?.lines().next()
}

/// What Python's part tells.
struct Told {
    sources: Vec<PathBuf>,
    variables: Vec<String>,
}

fn parse(shared: &Shared, preload: &Preload, told: &str) -> Result<Told> {
    let mut result = Told {
        sources: Vec::new(),
        variables: Vec::new(),
    };
    let folders: Vec<_> = preload.folders().collect();
    for part in told.split(PART).skip(1) {
        let (word, rest) = part.split_once('\n').unwrap_or((part, ""));
        match word {
            "module" => {
                let (name, printed) = rest.split_once('\n').unwrap_or((rest, ""));
                ensure!(
                    printed.is_empty(),
                    "{name} cannot be in an image: it prints when it is imported, and guests would not: {}",
                    printed.trim()
                );
            }
            "variable" => result.variables.push(rest.trim_end_matches('\n').into()),
            "sources" => {
                let sources = rest.lines();
                let sources = sources.filter_map(|path| on_host(shared, &folders, Path::new(path)));
                result.sources.extend(sources);
            }
            _ => {}
        }
    }
    Ok(result)
}

/// The host's path of a file of the standard library or of a package.
fn on_host(shared: &Shared, folders: &[Folder], path: &Path) -> Option<PathBuf> {
    let library = shared.distribution.library();
    // The first that fits: inner folders are mounted before outer ones.
    folders.iter().chain(library).find_map(|folder| {
        let relative = path.strip_prefix(folder.guest()).ok()?;
        Some(folder.host().join(relative))
    })
}
