//! The memory of a guest.

use wasmtime::{ResourceLimiter, Result, Store};

use crate::SocketsCtx;
use crate::limits::{Limit, Usage};

/// Enforces [`Limits::max_memory`](crate::Limits::max_memory) for the linear memories and tables of a guest together.
/// More is refused: `memory.grow` returns -1, which a C library reports as ENOMEM, and a module that starts with more
/// is not instantiated.
///
/// Memory that was allowed counts, also if the allocator then failed. This sets the store's limiter
/// ([`Store::limiter`]), of which there is one.
pub fn limit_memory<T: 'static>(
    store: &mut Store<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Send + Sync + 'static,
) {
    store.limiter(move |data| &mut get(data).usage);
}

/// The size of an element of a table: a pointer.
const ELEMENT: usize = size_of::<usize>();

impl Usage {
    /// May memories and tables together grow by this much?
    ///
    /// What was allowed counts, also if the allocator then failed: wasmtime reports failures also for growth that it
    /// never asked about (Table::grow), and a guest could have it report as many as it likes.
    fn grow(&mut self, grown: usize) -> bool {
        let left = self.memory_left.checked_sub(grown);
        match left {
            Some(left) => self.memory_left = left,
            None => self.reached(Limit::MaxMemory),
        }
        left.is_some()
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, now: usize, wanted: usize, max: Option<usize>) -> Result<bool> {
        Ok(is_within(max, wanted) && self.grow(wanted.saturating_sub(now)))
    }

    fn table_growing(&mut self, now: usize, wanted: usize, max: Option<usize>) -> Result<bool> {
        let elements = wanted.saturating_sub(now);
        Ok(is_within(max, wanted) && self.grow(elements.saturating_mul(ELEMENT)))
    }
}

/// Does its declaration allow this size?
fn is_within(max: Option<usize>, wanted: usize) -> bool {
    max.is_none_or(|max| wanted <= max)
}

#[cfg(test)]
mod tests {
    use super::{ELEMENT, limit_memory};
    use crate::testing::{ReachedLimits, record_limits};
    use crate::{Limit, Limits, Policy, SocketsCtx};
    use wasmtime::{Engine, Instance, Module, Result, Store};

    const PAGE: usize = 1 << 16;

    fn store(pages: usize) -> (Store<SocketsCtx>, ReachedLimits) {
        let (reached, sink) = record_limits();
        let limits = Limits {
            max_memory: Some(pages * PAGE),
            ..Limits::default()
        };
        let sockets = SocketsCtx::builder(Policy::new())
            .limits(limits)
            .on_event(sink)
            .build();
        let mut store = Store::new(&Engine::default(), sockets);
        limit_memory(&mut store, |sockets| sockets);
        (store, reached)
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
    fn tables_are_limited_with_memories() {
        let (mut store, reached) = store(1);
        let text = r#"(module (table 0 funcref) (func (export "grow") (param i32) (result i32)
            (table.grow (ref.null func) (local.get 0))))"#;
        let module = Module::new(store.engine(), wat::parse_str(text).unwrap()).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow");
        let grow = grow.unwrap();
        let mut grow = |elements: usize| grow.call(&mut store, elements as i32).unwrap();
        assert_eq!(grow(PAGE), -1);
        assert_eq!(*reached.lock().unwrap(), [Limit::MaxMemory]);
        assert_eq!(grow(PAGE / ELEMENT), 0);
        assert_eq!(grow(1), -1);
    }

    #[test]
    fn growth_that_cannot_be_gives_nothing_back() {
        let (mut store, reached) = store(3);
        let text = r#"(module (memory 1) (table $table i64 0 funcref)
            (func (export "memory") (result i32) (memory.grow (i32.const 1)))
            (func (export "table") (result i64)
                (drop (table.grow $table (ref.null func) (i64.const 1)))
                (table.grow $table (ref.null func) (i64.const -1))))"#;
        let module = Module::new(store.engine(), wat::parse_str(text).unwrap()).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_typed_func::<(), i32>(&mut store, "memory");
        let table = instance.get_typed_func::<(), i64>(&mut store, "table");
        let (memory, table) = (memory.unwrap(), table.unwrap());
        for grown in [1, -1, -1] {
            assert_eq!(memory.call(&mut store, ()).unwrap(), grown);
            // wasmtime says that it failed, and never asked whether it may.
            assert_eq!(table.call(&mut store, ()).unwrap(), -1);
        }
        assert_eq!(*reached.lock().unwrap(), [Limit::MaxMemory]);
    }

    #[test]
    fn memories_are_limited_together_and_that_is_told_once() {
        let (mut store, reached) = store(6);
        let instance = instance(&mut store).unwrap();
        let mut grow = |name, pages| {
            let grow = instance.get_typed_func::<i32, i32>(&mut store, name);
            grow.unwrap().call(&mut store, pages).unwrap()
        };
        // What cannot grow for another reason uses nothing.
        assert_eq!(grow("small", 2), -1);
        assert_eq!(*reached.lock().unwrap(), []);
        assert_eq!([grow("large", 2), grow("small", 1)], [2, 1]);
        assert_eq!([grow("large", 1), grow("large", i32::MAX)], [-1, -1]);
        assert_eq!(*reached.lock().unwrap(), [Limit::MaxMemory]);
        assert_eq!(grow("large", 0), 4);
    }

    #[test]
    fn module_that_starts_with_more_is_not_instantiated() {
        let (mut store, reached) = store(2);
        assert!(instance(&mut store).is_err());
        assert_eq!(*reached.lock().unwrap(), [Limit::MaxMemory]);
    }
}
