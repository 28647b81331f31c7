//! The engine's settings, and CPython compiled by it: compiling takes seconds, loading it again milliseconds.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasisocket_host::Ticker;
use wasmtime::error::Context as _;
use wasmtime::{
    Config, Engine, Error, InstanceAllocationStrategy, InstancePre, Module,
    PoolingAllocationConfig, Result,
};

use crate::cache::{Cache, Part};
use crate::compiled;
use crate::distribution::Distribution;
use crate::etc::{Certificates, Etc};
use crate::guest::Guest;
use crate::trusted_folder::TrustedFolder;

/// The stack of compiled code, in bytes. CPython is linked with this much stack of its own, and its parser and its
/// tests rely on it.
const WASM_STACK: usize = 8 << 20;

/// The native stack of a guest, in bytes: [`WASM_STACK`], and the host's own frames.
pub(crate) const NATIVE_STACK: usize = WASM_STACK + (8 << 20);

/// Entries of CPython's function table; it has some 15,000.
const TABLE_ELEMENTS: usize = 30_000;

/// How many different `/etc` are remembered.
const ETC_MAX: usize = 16;

/// CPython, compiled and ready to start guests. Clones share it.
///
/// The first start on a machine compiles python.wasm, which takes some seconds; the [`Cache`] has the result for later
/// ones. A guest is an instance of its own: it shares nothing with others but compiled code and the pages of memory
/// that neither has written to.
#[derive(Clone)]
pub struct Python(pub(crate) Arc<Shared>);

/// What all guests share.
pub(crate) struct Shared {
    pub(crate) distribution: Distribution,
    pub(crate) module: Module,
    pub(crate) cache: Option<Cache>,
    pub(crate) has_time_limits: bool,
    cache_error: Option<Error>,
    /// With the imports for synchronous stores, and for asynchronous ones.
    pub(crate) blocking: OnceLock<InstancePre<Guest>>,
    pub(crate) asynchronous: OnceLock<InstancePre<Guest>>,
    system_certificates: OnceLock<Certificates>,
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
    time_limits: bool,
    pool: Option<(u32, usize)>,
}

impl Python {
    /// Starts with the distribution that [`Distribution::find`] finds, the cache of [`Cache::from_env`], time limits,
    /// and memory for guests taken from the system as needed.
    pub fn builder() -> PythonBuilder {
        PythonBuilder {
            distribution: None,
            cache: Cache::from_env(),
            time_limits: true,
            pool: None,
        }
    }

    /// The distribution that was loaded.
    #[must_use]
    pub fn distribution(&self) -> &Distribution {
        &self.0.distribution
    }

    /// Why compiled modules are not cached, if they are not: each start of a process then takes seconds.
    #[must_use]
    pub fn cache_error(&self) -> Option<&Error> {
        self.0.cache_error.as_ref()
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
        self.time_limits = enabled;
        self
    }

    /// Reserves address space for up to `guests` guests at a time, each with at most `memory` bytes of memory, so
    /// that starting one costs little. One more guest than that is an error.
    pub fn pool(mut self, guests: u32, memory: usize) -> Self {
        self.pool = Some((guests, memory));
        self
    }

    /// Compiles python.wasm, or takes it from the cache.
    ///
    /// # Errors
    /// There is no distribution, its python.wasm is no WebAssembly module, or there is no address space for the pool.
    pub fn load(self) -> Result<Python> {
        let distribution = match self.distribution {
            Some(distribution) => distribution,
            None => Distribution::find(None)?,
        };
        let mut config = Config::new();
        config
            .max_wasm_stack(WASM_STACK)
            .async_stack_size(NATIVE_STACK)
            .epoch_interruption(self.time_limits);
        if let Some((guests, memory)) = self.pool {
            let mut pool = PoolingAllocationConfig::new();
            pool.total_core_instances(guests)
                .total_memories(guests)
                .total_tables(guests)
                .total_stacks(guests)
                .table_elements(TABLE_ELEMENTS)
                .max_memory_size(memory);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
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
        let (module, not_added) = compiled::load(&engine, distribution.wasm(), folder.as_ref())?;
        let cache_error = unusable.or(not_added);
        let ticker = self.time_limits.then(|| Ticker::start(&engine)).transpose();
        Ok(Python(Arc::new(Shared {
            distribution,
            module,
            cache,
            has_time_limits: self.time_limits,
            cache_error,
            blocking: OnceLock::new(),
            asynchronous: OnceLock::new(),
            system_certificates: OnceLock::new(),
            etc: Mutex::default(),
            _ticker: ticker.context("cannot start the thread that counts time")?,
        })))
    }
}

impl Shared {
    /// The files of `/etc` for guests with these certificates, or else the system's, and these name servers.
    pub(crate) fn etc(
        &self,
        certificates: Option<&Certificates>,
        name_servers: Vec<IpAddr>,
    ) -> Result<Arc<Etc>> {
        let system = || {
            self.system_certificates
                .get_or_init(Certificates::of_system)
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
            .field("distribution", &self.0.distribution)
            .field("cache", &self.0.cache)
            .finish_non_exhaustive()
    }
}
