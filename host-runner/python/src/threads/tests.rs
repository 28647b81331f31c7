//! Guests that use the imports in every order, and end in every way, in both kinds of stores.

use std::time::{Duration, Instant};

use wasisocket_abi::Errno;
use wasisocket_host::{
    LimitReached, Limits, Policy, SocketsCtx, SocketsView as _, Ticker, limit_time,
    limit_time_async,
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Store, Trap,
};
use wasmtime_wasi::WasiCtxBuilder;

use super::GuestStore;
use crate::guest::{Guest, asynchronous_linker, blocking_linker};
use crate::preview1::{Preview1, wait};

/// What each guest has beside its `_start` and the body of its `thread-start`. `$new` makes a thread and returns its number,
/// `$run` runs it; both trap at an errno. `$error` returns the errno of running one.
const COMMON: &str = r#"
    (import "wasisocket_v1" "thread_create" (func $create (param i32 i32) (result i32)))
    (import "wasisocket_v1" "thread_switch" (func $error (param i32) (result i32)))
    (import "wasisocket_v1" "thread_drop" (func $drop (param i32) (result i32)))
    (import "wasisocket_v1" "sock_poll" (func $poll (param i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (global $stack (export "__stack_pointer") (mut i32) (i32.const 4096))
    (global $count (mut i32) (i32.const 0))
    (func $is (param $got i32) (param $wanted i32)
        (if (i32.ne (local.get $got) (local.get $wanted)) (then unreachable)))
    (func $new (param $stack i32) (result i32)
        (call $is (call $create (local.get $stack) (i32.const 16)) (i32.const 0))
        (i32.load (i32.const 16)))
    (func $run (param $thread i32) (call $is (call $error (local.get $thread)) (i32.const 0)))
    (func $more (global.set $count (i32.add (global.get $count) (i32.const 1))))
    (func $sleep (param $nanoseconds i64)
        (call $is (call $poll (i32.const 0) (i32.const 0) (local.get $nanoseconds) (i32.const 16)) (i32.const 0)))
"#;

fn config(epochs: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(epochs);
    config
}

/// Runs a guest: its `_start` and its `thread-start`. Where there is a time limit, its clock ends it.
fn run_in(engine: &Engine, limits: &Limits, start: &str, thread: &str) -> wasmtime::Result<()> {
    let text = format!(
        r#"(module {COMMON} (func (export "_start") {start}) (func (export "thread-start") {thread}))"#
    );
    let module = Module::new(engine, wat::parse_str(text).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut results = Vec::new();
    for is_async in [false, true] {
        let sockets = SocketsCtx::builder(Policy::new())
            .limits(limits.clone())
            .on_event(|_| ())
            .build();
        let clock = sockets.clock();
        let preview1 = Preview1::new(WasiCtxBuilder::new().build_p1(), !is_async);
        let mut store = Store::new(engine, Guest::new(preview1, sockets, None, None, None));
        let is_limited = limits.timeout.is_some();
        match (is_limited, is_async) {
            (true, true) => limit_time_async(&mut store, Guest::sockets),
            (true, false) => limit_time(&mut store, Guest::sockets),
            (false, _) => {}
        }
        let mut store = GuestStore::new(store);
        let linker = match is_async {
            true => asynchronous_linker(engine),
            false => blocking_linker(engine),
        };
        let linker = linker.unwrap();
        let result = match is_async {
            true => runtime.block_on(async {
                let instance = linker.instantiate_async(&mut store, &module).await?;
                let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
                clock.run_async(start.call_async(&mut store, ())).await?
            }),
            false => wait(linker.instantiate_async(&mut store, &module)).and_then(|instance| {
                let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
                clock.run(|| wait(start.call_async(&mut store, ())))
            }),
        };
        results.push(result);
    }
    let [blocking, asynchronous] = <[_; 2]>::try_from(results).unwrap();
    assert_eq!(
        blocking.is_ok(),
        asynchronous.is_ok(),
        "{blocking:?}, {asynchronous:?}"
    );
    asynchronous?;
    blocking
}

fn run(start: &str, thread: &str) -> wasmtime::Result<()> {
    run_in(&Engine::default(), &Limits::default(), start, thread)
}

#[test]
fn threads_take_turns_on_stacks_of_their_own() {
    // Each thread sees its own stack pointer whatever the others do with theirs.
    run(
        "(local $one i32) (local $other i32)
         (local.set $one (call $new (i32.const 8192)))
         (local.set $other (call $new (i32.const 12288)))
         (call $run (local.get $one))
         (call $is (global.get $stack) (i32.const 4096))
         (call $run (local.get $other))
         (call $run (local.get $one))
         (call $run (local.get $other))
         (call $is (global.get $stack) (i32.const 4096))
         (call $is (global.get $count) (i32.const 4))
         ;; Both have ended.
         (call $is (call $error (local.get $one)) (i32.const 22))
         (call $is (call $drop (local.get $other)) (i32.const 22))",
        "(local $mine i32)
         (local.set $mine (i32.sub (global.get $stack) (i32.const 64)))
         (global.set $stack (local.get $mine))
         (call $more)
         (call $run (i32.const 0))
         (call $is (global.get $stack) (local.get $mine))
         (call $more)",
    )
    .unwrap();
}

#[test]
fn numbers_of_threads_that_cannot_run_are_refused() {
    run(
        "(local $thread i32)
         ;; Nobody runs the main stack, and nothing has these numbers.
         (call $is (call $error (i32.const 0)) (i32.const 22))
         (call $is (call $error (i32.const 1)) (i32.const 22))
         (call $is (call $error (i32.const -1)) (i32.const 22))
         (call $is (call $drop (i32.const 0)) (i32.const 22))
         ;; The answer has no place.
         (call $is (call $create (i32.const 0) (i32.const -2)) (i32.const 14))
         (local.set $thread (call $new (i32.const 8192)))
         (call $is (local.get $thread) (i32.const 1))
         (call $run (local.get $thread))
         (call $is (global.get $count) (i32.const 1))
         ;; One that has not begun, and one that is suspended, can be ended.
         (call $is (call $drop (call $new (i32.const 8192))) (i32.const 0))
         (local.set $thread (call $new (i32.const 8192)))
         (global.set $count (i32.const 5))
         (call $run (local.get $thread))
         (call $is (call $drop (local.get $thread)) (i32.const 0))
         (call $is (call $error (local.get $thread)) (i32.const 22))",
        "(if (global.get $count) (then (call $run (i32.const 0)) unreachable))
         ;; Itself, while it runs.
         (call $is (call $error (i32.const 1)) (i32.const 22))
         (call $is (call $drop (i32.const 1)) (i32.const 22))
         (call $more)",
    )
    .unwrap();
}

#[test]
fn thread_can_run_another_one() {
    run(
        "(call $run (call $new (i32.const 8192)))
         (call $is (global.get $count) (i32.const 2))
         ;; The inner one gave way to the outer one, and is still there.
         (call $run (i32.const 2))
         (call $is (global.get $count) (i32.const 3))",
        "(call $more)
         (if (i32.eq (global.get $count) (i32.const 1)) (then
             (call $run (call $new (i32.const 12288)))
             (return)))
         ;; Whoever runs it is on its stack.
         (call $is (call $error (i32.const 1)) (i32.const 22))
         (call $run (i32.const 0))
         (call $more)",
    )
    .unwrap();
}

#[test]
fn numbers_are_used_again() {
    run(
        "(local $left i32)
         (local.set $left (i32.const 3000))
         (loop $again
             (call $is (call $new (i32.const 8192)) (i32.const 1))
             (call $run (i32.const 1))
             (call $run (i32.const 1))
             (local.set $left (i32.sub (local.get $left) (i32.const 1)))
             (br_if $again (local.get $left)))
         (call $is (global.get $count) (i32.const 3000))",
        "(call $run (i32.const 0)) (call $more)",
    )
    .unwrap();
}

#[test]
fn there_are_no_more_than_the_limit() {
    let mut limits = Limits::default();
    limits.max_threads = 2;
    run_in(
        &Engine::default(),
        &limits,
        "(drop (call $new (i32.const 8192)))
         (call $run (call $new (i32.const 8192)))
         (call $is (call $create (i32.const 8192) (i32.const 16)) (i32.const 11))
         (call $run (i32.const 2))
         (call $is (call $new (i32.const 8192)) (i32.const 2))
         (call $is (call $create (i32.const 8192) (i32.const 16)) (i32.const 11))",
        "(call $run (i32.const 0))",
    )
    .unwrap();
}

#[test]
fn what_ends_a_thread_ends_the_guest() {
    let trap = |thread: &str| {
        let error = run("(call $run (call $new (i32.const 8192)))", thread).unwrap_err();
        *error.downcast_ref::<Trap>().unwrap()
    };
    assert_eq!(trap("unreachable"), Trap::UnreachableCodeReached);
    assert_eq!(
        trap("(drop (i32.load (i32.const -4)))"),
        Trap::MemoryOutOfBounds
    );
    // The stack that return addresses are on.
    let error = run(
        "(drop (call $new (i32.const 8192))) (call $run (i32.const 1))",
        "(call $deep (i32.const 0))) (func $deep (param i32) (call $deep (i32.add (local.get 0) (i32.const 1)))",
    );
    let error = error.unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::StackOverflow));
}

#[test]
fn guest_may_end_with_threads_that_have_not() {
    let many = "(local $left i32)
         (local.set $left (i32.const 100))
         (loop $again
             (call $run (call $new (i32.const 8192)))
             (local.set $left (i32.sub (local.get $left) (i32.const 1)))
             (br_if $again (local.get $left)))";
    for end in ["", "unreachable"] {
        for _ in 0..3 {
            let ended = run(
                &format!("{many} {end}"),
                "(call $run (i32.const 0)) unreachable",
            );
            assert_eq!(ended.is_err(), !end.is_empty());
        }
    }
}

#[test]
fn guest_without_the_exports_has_no_threads() {
    for (thread, pointer) in [
        (r#"(func (export "thread-start"))"#, ""),
        (
            r#"(func (export "thread-start"))"#,
            r#"(global (export "__stack_pointer") i32 (i32.const 0))"#,
        ),
        (
            r#"(func (export "thread-start"))"#,
            r#"(global (export "__stack_pointer") (mut i64) (i64.const 0))"#,
        ),
        (
            r#"(func (export "thread-start") (param i32))"#,
            r#"(global (export "__stack_pointer") (mut i32) (i32.const 0))"#,
        ),
        (
            "",
            r#"(global (export "__stack_pointer") (mut i32) (i32.const 0))"#,
        ),
    ] {
        let engine = Engine::default();
        let text = format!(
            r#"(module
                (import "wasisocket_v1" "thread_create" (func $create (param i32 i32) (result i32)))
                (import "wasisocket_v1" "thread_switch" (func $switch (param i32) (result i32)))
                (memory (export "memory") 1) {thread} {pointer}
                (func (export "create") (result i32) (call $create (i32.const 0) (i32.const 0)))
                (func (export "switch") (result i32) (call $switch (i32.const 1))))"#
        );
        let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let sockets = SocketsCtx::builder(Policy::new()).build();
        let preview1 = Preview1::new(WasiCtxBuilder::new().build_p1(), true);
        let store = Store::new(&engine, Guest::new(preview1, sockets, None, None, None));
        let mut store = GuestStore::new(store);
        let linker = blocking_linker(&engine).unwrap();
        let instance = wait(linker.instantiate_async(&mut store, &module)).unwrap();
        for (name, errno) in [("create", Errno::EOPNOTSUPP), ("switch", Errno::EINVAL)] {
            let function = instance
                .get_typed_func::<(), u32>(&mut store, name)
                .unwrap();
            assert_eq!(wait(function.call_async(&mut store, ())).unwrap(), errno.0);
        }
    }
}

#[test]
fn time_limits_end_threads() {
    let engine = Engine::new(&config(true)).unwrap();
    let _ticker = Ticker::start(&engine).unwrap();
    let mut limits = Limits::default();
    limits.timeout = Some(Duration::from_millis(100));
    for thread in [
        "(loop $ever (br $ever))",
        "(call $sleep (i64.const -1))",
        "(loop $ever (call $run (i32.const 0)) (br $ever))",
    ] {
        let begun = Instant::now();
        let ended = run_in(
            &engine,
            &limits,
            "(drop (call $new (i32.const 8192))) (loop $ever (call $run (i32.const 1)) (br $ever))",
            thread,
        );
        assert!(ended.unwrap_err().is::<LimitReached>(), "{thread}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn guests_with_threads_share_a_pool_and_a_thread_of_the_host() {
    let mut config = config(true);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_stacks(16);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).unwrap();
    let _ticker = Ticker::start(&engine).unwrap();
    let mut limits = Limits::default();
    limits.timeout = Some(Duration::from_secs(60));
    let start = "(drop (call $new (i32.const 8192)))
         (drop (call $new (i32.const 12288)))
         (call $run (i32.const 1)) (call $run (i32.const 2))
         (call $run (i32.const 2)) (call $run (i32.const 1))
         (call $is (global.get $count) (i32.const 2))";
    let thread = "(call $sleep (i64.const 1000000)) (call $run (i32.const 0)) (call $more)";
    // More than there are stacks, one after the other: they come back.
    for _ in 0..20 {
        run_in(&engine, &limits, start, thread).unwrap();
    }
}

#[test]
fn call_that_is_dropped_ends_threads_at_any_moment() {
    let engine = Engine::new(&config(true)).unwrap();
    let _ticker = Ticker::start(&engine).unwrap();
    let text = format!(
        r#"(module {COMMON}
            (func (export "_start")
                (drop (call $new (i32.const 8192)))
                (drop (call $new (i32.const 12288)))
                (loop $ever (call $run (i32.const 1)) (call $run (i32.const 2)) (br $ever)))
            (func (export "thread-start")
                (loop $ever (call $sleep (i64.const 300000)) (call $run (i32.const 0)) (br $ever))))"#
    );
    let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    let linker = asynchronous_linker(&engine).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for round in 0..40 {
            let sockets = SocketsCtx::builder(Policy::new()).build();
            let preview1 = Preview1::new(WasiCtxBuilder::new().build_p1(), false);
            let mut store = Store::new(&engine, Guest::new(preview1, sockets, None, None, None));
            limit_time_async(&mut store, Guest::sockets);
            let mut store = GuestStore::new(store);
            let instance = linker.instantiate_async(&mut store, &module).await.unwrap();
            let start = instance
                .get_typed_func::<(), ()>(&mut store, "_start")
                .unwrap();
            let call = start.call_async(&mut store, ());
            let time = Duration::from_micros(100 * round);
            assert!(tokio::time::timeout(time, call).await.is_err());
        }
    });
}
