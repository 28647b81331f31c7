//! The memory of a guest.

use std::fmt;
use std::sync::Arc;

use wasmtime::{ResourceLimiter, Result, Store};

use crate::SocketsCtx;
use crate::limits::{Limit, LimitSink, tell};

/// Keeps the linear memories of a guest, all together, to its
/// [`Limits::max_memory`](crate::Limits::max_memory). More is refused: `memory.grow` answers -1, of which
/// a C library makes ENOMEM, and a module that starts with more is not instantiated.
///
/// It is the store's limiter ([`Store::limiter`]), of which there is one.
pub fn limit_memory<T: 'static>(
    store: &mut Store<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Send + Sync + 'static,
) {
    store.limiter(move |data| &mut get(data).memory);
}

/// What a guest has of its memory.
pub(crate) struct Memory {
    max: Option<usize>,
    used: usize,
    /// By how much it grew last.
    grown: usize,
    told: bool,
    sink: Option<Arc<LimitSink>>,
}

impl Memory {
    pub(crate) fn new(max: Option<usize>, sink: Option<Arc<LimitSink>>) -> Self {
        Self {
            max,
            used: 0,
            grown: 0,
            told: false,
            sink,
        }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> Result<bool> {
        let grown = wanted.saturating_sub(now);
        let used = self.used.saturating_add(grown);
        if self.max.is_some_and(|max| used > max) {
            if !self.told {
                tell(Limit::MaxMemory, self.sink.as_deref());
            }
            (self.told, self.grown) = (true, 0);
            return Ok(false);
        }
        (self.used, self.grown) = (used, grown);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> Result<()> {
        self.used -= std::mem::take(&mut self.grown);
        Ok(())
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("max", &self.max)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::limit_memory;
    use crate::{Limit, Limits, Policy, SocketsCtx};
    use std::sync::{Arc, Mutex};
    use wasmtime::{Engine, Instance, Module, Result, Store};

    const PAGE: usize = 1 << 16;

    type Told = Arc<Mutex<Vec<Limit>>>;

    fn store(pages: usize) -> (Store<SocketsCtx>, Told) {
        let told = Told::default();
        let sink = Arc::clone(&told);
        let limits = Limits {
            max_memory: Some(pages * PAGE),
            ..Limits::default()
        };
        let sockets = SocketsCtx::builder(Policy::new())
            .limits(limits)
            .on_limit(move |limit| sink.lock().unwrap().push(limit))
            .build();
        let mut store = Store::new(&Engine::default(), sockets);
        limit_memory(&mut store, |sockets| sockets);
        (store, told)
    }

    fn instance(store: &mut Store<SocketsCtx>) -> Result<Instance> {
        let text = r#"(module
            (memory $small 1 2) (memory $large 2)
            (func (export "small") (param i32) (result i32) (memory.grow $small (local.get 0)))
            (func (export "large") (param i32) (result i32) (memory.grow $large (local.get 0))))"#;
        let module = Module::new(store.engine(), wat::parse_str(text).unwrap())?;
        Instance::new(store, &module, &[])
    }

    #[test]
    fn memories_are_limited_together_and_that_is_told_once() {
        let (mut store, told) = store(6);
        let instance = instance(&mut store).unwrap();
        let mut grow = |name, pages| {
            let grow = instance.get_typed_func::<i32, i32>(&mut store, name);
            grow.unwrap().call(&mut store, pages).unwrap()
        };
        // What cannot grow for another reason uses nothing.
        assert_eq!(grow("small", 2), -1);
        assert_eq!(*told.lock().unwrap(), []);
        assert_eq!([grow("large", 2), grow("small", 1)], [2, 1]);
        assert_eq!([grow("large", 1), grow("large", i32::MAX)], [-1, -1]);
        assert_eq!(*told.lock().unwrap(), [Limit::MaxMemory]);
        assert_eq!(grow("large", 0), 4);
    }

    #[test]
    fn module_that_starts_with_more_is_not_instantiated() {
        let (mut store, told) = store(2);
        assert!(instance(&mut store).is_err());
        assert_eq!(*told.lock().unwrap(), [Limit::MaxMemory]);
    }
}
