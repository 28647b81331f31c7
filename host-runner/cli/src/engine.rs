//! The engine, and compiled modules: compiling CPython takes seconds, loading it again milliseconds.

use std::path::Path;

use tracing::debug;
use wasmtime::error::Context as _;
use wasmtime::{Cache, CacheConfig, Config, Engine, Module, Result};

use crate::kept::Kept;
use crate::say;

/// What CPython needs: it is linked with this much stack of its own, and its parser and its tests
/// count on it.
pub(crate) const WASM_STACK: usize = 8 << 20;

/// The native stack that holds [`WASM_STACK`] and the host's own frames.
pub(crate) const NATIVE_STACK: usize = WASM_STACK + (8 << 20);

/// Compiles the module of a file, or takes it from the cache, which is keyed by content, compiler and
/// settings.
pub(crate) fn load(wasm: &Path) -> Result<Module> {
    let mut config = Config::new();
    config.max_wasm_stack(WASM_STACK);
    // Nothing here runs on such a stack, but wasmtime wants it to be the larger one.
    config.async_stack_size(NATIVE_STACK);
    match cache() {
        Ok(cache) => {
            config.cache(Some(cache));
        }
        // A read-only home is no reason not to run.
        Err(error) => say(format_args!("compiled modules are not kept: {error:#}")),
    }
    let engine = Engine::new(&config)?;
    let started = std::time::Instant::now();
    let module = Module::from_file(&engine, wasm)
        .with_context(|| format!("cannot load {}", wasm.display()))?;
    debug!(elapsed = ?started.elapsed(), "module loaded");
    Ok(module)
}

fn cache() -> Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(Kept::Modules.folder()?);
    Cache::new(config)
}
