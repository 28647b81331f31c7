//! The engine's settings, and CPython compiled by it: compiling takes seconds, loading it again milliseconds.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use sha2::{Digest as _, Sha256};
use wasisocket_host::Ticker;
use wasmtime::error::Context as _;
use wasmtime::{Config, Engine, Error, InstancePre, Module, Result, format_err};

use crate::cache::{Cache, Part};
use crate::compiled::{self, Loaded};
use crate::distribution::Distribution;
use crate::etc::{Certificates, Etc};
use crate::guest::Guest;
use crate::places::Places;
use crate::profile;
use crate::snapshot::{Image, Preload};
use crate::system_certificates;
use crate::time_zones::TimeZones;
use crate::trusted_folder::{TrustedFolder, hex};

/// The stack of compiled code, in bytes. CPython is linked with this much stack of its own, and its parser and its
/// tests rely on it.
const WASM_STACK: usize = 8 << 20;

/// The native stack of a guest, in bytes: [`WASM_STACK`], and the host's own frames.
pub(crate) const NATIVE_STACK: usize = WASM_STACK + (8 << 20);

/// How many different `/etc` are remembered.
const ETC_MAX: usize = 16;

/// CPython, compiled and ready to start guests. Clones share it.
///
/// The first start on a machine compiles python.wasm, which takes some seconds; the [`Cache`] has the result for later
/// ones. A guest is an instance of its own: it shares nothing with others but compiled code and the pages of memory
/// that neither has written to.
///
/// Guests begin with an image of the memory of a Python that has started and loaded modules, unless the builder or the
/// program wants a cold start. They cannot tell, but for time: a module is in `sys.modules` when the guest has imported
/// it. Programs with options of Python's ([`Program::options`](crate::Program::options)), with variables that Python or OpenSSL read when they
/// start (`PYTHON*` except `PYTHONPATH`, `LANG`, `LC_*`, `OPENSSL_*`), with files of their own in `/usr/local` or
/// `/etc/ssl`, or with less memory than the image has, are started cold.
///
/// Guests with one image have the same secret for hashes of strings, which `PYTHONHASHSEED` could set too: a guest that
/// finds it out can make another one that reads its data compute for long. Their random numbers differ.
#[derive(Clone)]
pub struct Python {
    pub(crate) shared: Arc<Shared>,
    pub(crate) image: Option<Arc<Image>>,
    image_error: Option<Arc<Error>>,
}

/// What all guests share.
pub(crate) struct Shared {
    pub(crate) distribution: Distribution,
    pub(crate) module: Module,
    pub(crate) cache: Option<Cache>,
    pub(crate) has_time_limits: bool,
    pub(crate) is_profiled: bool,
    folder: Option<TrustedFolder>,
    cached_hash: Option<String>,
    cache_error: Option<Error>,
    /// The guests that run, and how many there may be.
    pub(crate) places: Option<Places>,
    /// With the imports for synchronous stores, and for asynchronous ones.
    pub(crate) blocking: OnceLock<InstancePre<Guest>>,
    pub(crate) asynchronous: OnceLock<InstancePre<Guest>>,
    system_certificates: OnceLock<Certificates>,
    system_time_zones: OnceLock<TimeZones>,
    etc: Mutex<Vec<(EtcKey, Arc<Etc>)>>,
    _ticker: Option<Ticker>,
}

type EtcKey = (Certificates, Vec<IpAddr>);

/// Settings of [`Python`]. Made by [`Python::builder`].
#[derive(Debug)]
#[must_use = "nothing is loaded until `load`"]
pub struct PythonBuilder {
    distribution: Option<Distribution>,
    cache: Result<Cache>,
    settings: Settings,
    pool: Option<(u32, usize)>,
    start: Start,
    on_compile: OnCompile,
}

/// What is called before python.wasm is compiled.
#[derive(Default)]
struct OnCompile(Option<Box<dyn FnOnce() + Send>>);

impl fmt::Debug for OnCompile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnCompile").field(&self.0.is_some()).finish()
    }
}

/// What the engine depends on.
#[derive(Clone, Copy, Debug)]
struct Settings {
    time_limits: bool,
    profiling: bool,
}

/// Where guests begin.
#[derive(Debug)]
enum Start {
    Cold,
    CachedImage,
    PrivateImage,
    File(PathBuf),
}

impl Python {
    /// Starts with the distribution that [`Distribution::find`] finds, the cache of [`Cache::from_env`], time limits,
    /// and memory for guests taken from the system as needed.
    pub fn builder() -> PythonBuilder {
        PythonBuilder {
            distribution: None,
            cache: Cache::from_env(),
            settings: Settings {
                time_limits: true,
                profiling: false,
            },
            pool: None,
            start: Start::CachedImage,
            on_compile: OnCompile::default(),
        }
    }

    /// The distribution that was loaded.
    #[must_use]
    pub fn distribution(&self) -> &Distribution {
        &self.shared.distribution
    }

    /// The SHA-256 of its python.wasm, in hexadecimal.
    ///
    /// # Errors
    /// It is not known, and the file cannot be read.
    pub fn wasm_hash(&self) -> Result<String> {
        self.shared.wasm_hash()
    }

    /// This Python, with the same compiled code and an image of memory that has these modules in it: a guest that imports one
    /// has it at once. Guests see the folders of [`Preload::site`].
    ///
    /// # Errors
    /// One of the modules cannot be imported or be in an image, or there is no memory for it.
    pub fn with_preload(&self, preload: &Preload) -> Result<Self> {
        let image = self.shared.private_image(&preload.resolve()?)?;
        Ok(Self {
            shared: Arc::clone(&self.shared),
            image: Some(Arc::new(
                image.context("this python.wasm cannot make images")?,
            )),
            image_error: None,
        })
    }

    /// This Python, with the same compiled code and an image of memory that no other guests begin with: see
    /// [`PythonBuilder::private_image`]. If its python.wasm cannot make images, guests start cold.
    ///
    /// # Errors
    /// Python does not start, or there is no memory for the image.
    pub fn with_private_image(&self) -> Result<Self> {
        Ok(Self {
            shared: Arc::clone(&self.shared),
            image: self.shared.private_image(self.preload())?.map(Arc::new),
            image_error: None,
        })
    }

    /// Makes an image of a Python that has started and loaded modules of your own, for [`PythonBuilder::image`], and
    /// writes it to a file that only this user can read. An image that is there is replaced.
    ///
    /// Modules are imported once, now, in a guest without grants and variables. Each guest sees the same as if it had
    /// imported them itself. So a module cannot be in an image if, when it is imported, it prints, takes random bytes,
    /// opens a file outside the library and the preload's folders, or leaves a file or socket open or a thread. Guests
    /// with one of the variables that modules looked for start cold. Values that modules compute from the time are those
    /// of now.
    ///
    /// # Errors
    /// A module does not exist or cannot be in an image, a folder has a `sitecustomize`, python.wasm cannot make
    /// images, or the file cannot be written.
    pub fn write_image(&self, file: impl AsRef<Path>, preload: &Preload) -> Result<()> {
        Image::write_file(file.as_ref(), &self.shared, preload)
    }

    /// What guests have beside the standard library's usual modules.
    pub(crate) fn preload(&self) -> &Preload {
        static NONE: Preload = Preload::new();
        self.image.as_deref().map_or(&NONE, Image::preload)
    }

    /// Why guests are started cold although an image was wanted, if they are.
    #[must_use]
    pub fn image_error(&self) -> Option<&Error> {
        self.image_error.as_deref()
    }

    /// Why compiled modules are not cached, if they are not: each start of a process then takes seconds.
    #[must_use]
    pub fn cache_error(&self) -> Option<&Error> {
        self.shared.cache_error.as_ref()
    }
}

impl PythonBuilder {
    /// Loads this distribution.
    pub fn distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = Some(distribution);
        self
    }

    /// Uses this cache.
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Ok(cache);
        self
    }

    /// Sets whether guests can have [`Limits::timeout`](wasisocket_host::Limits::timeout) and
    /// [`Limits::max_cpu`](wasisocket_host::Limits::max_cpu). They can by default. Compiled code then looks at the
    /// clock in each loop and function. A host that ends its whole process when the time is over, as the command
    /// `wasisocket` does, does not need that.
    pub fn time_limits(mut self, enabled: bool) -> Self {
        self.settings.time_limits = enabled;
        self
    }

    /// Compiles python.wasm so that [`Python::run_profiled`] can sample what guests run. Their code then looks at a
    /// counter in each loop and function. They have no time limits: those of [`PythonBuilder::time_limits`] count the
    /// same epochs.
    pub fn profiling(mut self) -> Self {
        self.settings.profiling = true;
        self.settings.time_limits = false;
        self
    }

    /// Starts every guest cold: Python and all modules are loaded anew, which takes tens of milliseconds.
    pub fn cold_start(mut self) -> Self {
        self.start = Start::Cold;
        self
    }

    /// Has guests begin with an image of memory that is made when this Python is loaded, in a fraction of a second, and
    /// that no other process has. By default guests begin with an image in the cache, which all processes of this user
    /// share as long as Python's files stay the same.
    pub fn private_image(mut self) -> Self {
        self.start = Start::PrivateImage;
        self
    }

    /// Has guests begin with the image in this file, which [`Python::write_image`] made for this distribution. They see
    /// its folders with packages, also where they start cold.
    ///
    /// [`PythonBuilder::load`] fails if the file is no such image, if somebody may write to it, or if a file that
    /// was loaded into it has changed since it was made.
    pub fn image(mut self, file: impl Into<PathBuf>) -> Self {
        self.start = Start::File(file.into());
        self
    }

    /// Allows up to `guests` guests at a time, each with at most `memory` bytes of memory. One more guest than that is
    /// an error.
    pub fn pool(mut self, guests: u32, memory: usize) -> Self {
        self.pool = Some((guests, memory));
        self
    }

    /// Calls this before python.wasm is compiled, which takes seconds. It is not called if that is not needed.
    pub fn on_compile(mut self, call: impl FnOnce() + Send + 'static) -> Self {
        self.on_compile = OnCompile(Some(Box::new(call)));
        self
    }

    /// Compiles python.wasm for the oldest processor of this machine's architecture, into a file in `folder`, and returns
    /// its path. Where the file lies beside the python.wasm, [`PythonBuilder::load`] of this version of the crate with
    /// the same settings uses it in place of compiling. Its code is trusted as that of the program is: ship both
    /// together.
    ///
    /// # Errors
    /// There is no distribution, its python.wasm is no WebAssembly module, or the file cannot be written.
    pub fn precompile(self, folder: &Path) -> Result<PathBuf> {
        let mut config = self.settings.config();
        config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH))?;
        let distribution = match self.distribution {
            Some(distribution) => distribution,
            None => Distribution::find(None)?,
        };
        let engine = Engine::new(&config)?;
        compiled::precompile(
            &engine,
            self.settings.time_limits,
            distribution.wasm(),
            folder,
        )
    }

    /// Compiles python.wasm, or takes it from the cache, or from beside it ([`PythonBuilder::precompile`]).
    ///
    /// # Errors
    /// There is no distribution, its python.wasm is no WebAssembly module, the thread that counts time cannot be
    /// started, or the file of [`PythonBuilder::image`] cannot be used.
    pub fn load(mut self) -> Result<Python> {
        let config = self.settings.config();
        let distribution = match self.distribution {
            Some(distribution) => distribution,
            None => Distribution::find(None)?,
        };
        let engine = Engine::new(&config)?;
        // A read-only home is no reason not to run.
        let (cache, unusable) = match self.cache {
            Ok(cache) => (Some(cache), None),
            Err(error) => (None, Some(error)),
        };
        let folder = cache
            .as_ref()
            .map(|cache| TrustedFolder::open(&cache.folder(Part::Modules)))
            .transpose();
        let (folder, unusable) = match folder {
            Ok(folder) => (folder, unusable),
            Err(error) => (None, Some(error.into())),
        };
        let (engine, loaded) = self.settings.module(
            engine,
            distribution.wasm(),
            folder.as_ref(),
            self.on_compile,
        )?;
        let cache_error = unusable.or(loaded.error);
        let ticker = match (self.settings.profiling, self.settings.time_limits) {
            (true, _) => Some(Ticker::every(&engine, profile::INTERVAL)),
            (false, true) => Some(Ticker::start(&engine)),
            (false, false) => None,
        }
        .transpose();
        let shared = Shared {
            distribution,
            module: loaded.module,
            cache,
            has_time_limits: self.settings.time_limits,
            is_profiled: self.settings.profiling,
            folder,
            cached_hash: loaded.wasm_hash,
            cache_error,
            places: self.pool.map(Places::new),
            blocking: OnceLock::new(),
            asynchronous: OnceLock::new(),
            system_certificates: OnceLock::new(),
            system_time_zones: OnceLock::new(),
            etc: Mutex::default(),
            _ticker: ticker.context("cannot start the thread that counts time")?,
        };
        let image = match &self.start {
            Start::Cold => Ok(None),
            Start::CachedImage => shared.cached_image(),
            Start::PrivateImage => shared.private_image(&Preload::new()),
            Start::File(path) => {
                let image = Image::open_file(path, &shared);
                Ok(Some(image.with_context(|| path.display().to_string())?))
            }
        };
        let (image, image_error) = match image {
            Ok(image) => (image, None),
            Err(error) => (None, Some(error)),
        };
        Ok(Python {
            shared: Arc::new(shared),
            image: image.map(Arc::new),
            image_error: image_error.map(Arc::new),
        })
    }
}

impl Settings {
    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .max_wasm_stack(WASM_STACK)
            .async_stack_size(NATIVE_STACK)
            // OpenSSL's arithmetic of large numbers uses it: cpython-patch/src/steps/wide.rs.
            .wasm_wide_arithmetic(true)
            .epoch_interruption(self.time_limits || self.profiling);
        if self.profiling {
            config.wasm_backtrace_max_frames(NonZeroUsize::new(profile::C_FRAMES_MAX));
        }
        config
    }

    /// The module, and the engine that it is for. Where one with time limits was compiled in advance, and none without them,
    /// that is used in place of compiling: it is a little slower.
    fn module(
        &mut self,
        engine: Engine,
        wasm: &Path,
        folder: Option<&TrustedFolder>,
        on_compile: OnCompile,
    ) -> Result<(Engine, Loaded)> {
        let hash = compiled::hash(wasm, folder)?;
        if let Some(loaded) = compiled::find(&engine, wasm, &hash, folder) {
            return Ok((engine, loaded));
        }
        if !self.time_limits && !self.profiling {
            let limited = Self {
                time_limits: true,
                ..*self
            };
            let engine = Engine::new(&limited.config())?;
            if let Some(module) = compiled::shipped(&engine, wasm, &hash) {
                *self = limited;
                return Ok((engine, Loaded::known(module, &hash, folder)));
            }
        }
        if let Some(call) = on_compile.0 {
            call();
        }
        let loaded = compiled::compile(&engine, wasm, folder)?;
        Ok((engine, loaded))
    }
}

impl Shared {
    /// A new image, if python.wasm can make one.
    fn private_image(&self, preload: &Preload) -> Result<Option<Image>> {
        if !Image::is_possible(self) {
            return Ok(None);
        }
        self.in_guest_thread(|shared| Image::private(&Image::make(shared, preload)?))
            .map(Some)
    }

    /// The SHA-256 of python.wasm, in hexadecimal.
    pub(crate) fn wasm_hash(&self) -> Result<String> {
        match &self.cached_hash {
            Some(hash) => Ok(hash.clone()),
            None => Ok(hex(&Sha256::digest(fs::read(self.distribution.wasm())?))),
        }
    }

    /// The image in the cache, which is made if there is none. `None` if it could not be kept.
    fn cached_image(&self) -> Result<Option<Image>> {
        let (Some(folder), Some(wasm_hash)) = (&self.folder, &self.cached_hash) else {
            return Ok(None);
        };
        if !Image::is_possible(self) {
            return Ok(None);
        }
        let library: Vec<_> = self.distribution.paths().map(PathBuf::from).collect();
        let name = Image::name(wasm_hash, &library);
        if let Some(image) = folder.get(&name).and_then(Image::open) {
            return Ok(Some(image));
        }
        // Making one for a single process takes longer than a cold start.
        if self.cache_error.is_some() {
            return Ok(None);
        }
        let content = self.in_guest_thread(|shared| Image::make(shared, &Preload::new()))?;
        folder.add(&name, &content)?;
        Ok(folder.get(&name).and_then(Image::open))
    }

    /// Runs something in a thread with the stack of a guest.
    pub(crate) fn in_guest_thread<T: Send>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send,
    ) -> Result<T> {
        thread::scope(|scope| {
            thread::Builder::new()
                .name("guest".into())
                .stack_size(NATIVE_STACK)
                .spawn_scoped(scope, || work(self))
                .context("cannot start the guest's thread")?
                .join()
                .map_err(|_| format_err!("the host panicked: this is a bug of wasisocket"))?
        })
    }

    /// The time zones that the host knows.
    pub(crate) fn system_time_zones(&self) -> &TimeZones {
        self.system_time_zones.get_or_init(TimeZones::of_system)
    }

    /// The files of `/etc` for guests with these certificates, or else the system's, and these name servers.
    pub(crate) fn etc(
        &self,
        certificates: Option<&Certificates>,
        name_servers: Vec<IpAddr>,
    ) -> Result<Arc<Etc>> {
        let system = || {
            self.system_certificates
                .get_or_init(|| system_certificates::load(self.folder.as_ref()))
        };
        let key = (certificates.unwrap_or_else(system).clone(), name_servers);
        let mut known = self.etc.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known
            .iter()
            .find(|(known, etc)| *known == key && etc.exists());
        if let Some((_, etc)) = found {
            return Ok(Arc::clone(etc));
        }
        let etc = Arc::new(Etc::write(&key.0, &key.1, self.cache.as_ref())?);
        if known.len() == ETC_MAX {
            known.remove(0);
        }
        known.push((key, Arc::clone(&etc)));
        Ok(etc)
    }
}

impl fmt::Debug for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Python")
            .field("distribution", &self.shared.distribution)
            .field("cache", &self.shared.cache)
            .finish_non_exhaustive()
    }
}
