//! The time of a guest: ends a guest that computes without end, or longer than it may.
//!
//! This uses wasmtime's epochs: a [`Ticker`] counts them, and at each epoch compiled code calls the host, which
//! checks what the guest has used. The engine needs `Config::epoch_interruption(true)`.

#[cfg(feature = "async")]
use std::future::Future;
use std::io;
#[cfg(feature = "async")]
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "async")]
use std::task::Context;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wasmtime::{Engine, Store, UpdateDeadline};

use crate::SocketsCtx;
#[cfg(feature = "async")]
use crate::event::Events;
use crate::limits::{CpuTime, Limit, LimitReached};

/// The time between two epochs. Limits of wall time and CPU time are enforced with about this precision, and in an
/// asynchronous store a guest that only computes lets others run this often.
pub const TICK: Duration = Duration::from_millis(10);

/// Counts the epochs of an engine, one each [`TICK`], in a thread of its own. The thread ends when this is dropped.
#[derive(Debug)]
#[must_use = "without it nothing ends a guest that makes no call"]
pub struct Ticker {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// # Errors
    /// No thread can be started.
    pub fn start(engine: &Engine) -> io::Result<Self> {
        Self::every(engine, TICK)
    }

    /// Counts an epoch each `interval`, for other uses than limits of time.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn every(engine: &Engine, interval: Duration) -> io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let (engine, seen) = (engine.clone(), Arc::clone(&ended));
        let thread = thread::Builder::new()
            .name("epochs".into())
            .spawn(move || {
                while !seen.load(Ordering::Relaxed) {
                    thread::park_timeout(interval);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            ended,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread cannot panic.
            let _ = thread.join();
        }
    }
}

/// Enforces [`Limits::timeout`](crate::Limits::timeout) and [`Limits::max_cpu`](crate::Limits::max_cpu) in a
/// synchronous store, also for a guest that makes no call. The error of the call into the guest is then a
/// [`LimitReached`].
///
/// A WASI call that blocks, such as a sleep, is not ended. To end those, use an asynchronous store in which WASI does
/// not block its thread.
pub fn limit_time<T: 'static>(
    store: &mut Store<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Send + Sync + 'static,
) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut context| {
        get(context.data_mut()).tick()?;
        Ok(UpdateDeadline::Continue(1))
    });
}

/// The same for an asynchronous store. At each [`TICK`] the guest also lets other tasks run, so that a guest that
/// computes does not delay those that share its thread.
#[cfg(feature = "async")]
pub fn limit_time_async<T: Send + 'static>(
    store: &mut Store<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Send + Sync + 'static,
) {
    get(store.data_mut()).time_slice.let_epochs_end_it();
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut context| {
        get(context.data_mut()).tick()?;
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
}

impl SocketsCtx {
    /// The clock of this guest, which calls into the guest run under.
    pub fn clock(&self) -> GuestClock {
        GuestClock {
            cpu: Arc::clone(&self.cpu),
            #[cfg(feature = "async")]
            end: self.end,
            #[cfg(feature = "async")]
            events: self.events.clone(),
        }
    }

    /// Begins the time of this guest anew: [`Limits::timeout`](crate::Limits::timeout) and
    /// [`Limits::max_cpu`](crate::Limits::max_cpu) count from now on. For a guest that runs again after it was at rest,
    /// with a new [`SocketsCtx::clock`].
    pub fn restart_clock(&mut self) {
        // Centuries from now are without end.
        self.end = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        self.cpu_before = self.cpu.used();
        self.last_epoch = None;
    }

    /// The CPU time since [`SocketsCtx::restart_clock`].
    pub fn cpu_time_of_run(&self) -> Duration {
        self.cpu_time().saturating_sub(self.cpu_before)
    }

    /// The CPU time of this guest, in calls that ran under its [`GuestClock`], up to now.
    pub fn cpu_time(&self) -> Duration {
        self.cpu.used_until_now()
    }

    /// At each epoch.
    fn tick(&mut self) -> Result<(), LimitReached> {
        self.time_slice.end();
        self.check_time()?;
        let Some(max_cpu) = self.max_cpu else {
            return Ok(());
        };
        let now = Instant::now();
        let last = self.last_epoch.replace(now);
        // A call may bring an epoch about early.
        self.cpu
            .tick(last.map_or(TICK, |last| (now - last).min(TICK)));
        if self.cpu.used().saturating_sub(self.cpu_before) < max_cpu {
            return Ok(());
        }
        self.events.limit_reached(Limit::MaxCpu);
        Err(LimitReached(Limit::MaxCpu))
    }
}

/// Calls into a guest run under its clock, so that their time is counted and ends, one call at a time or one within
/// another. See [`SocketsCtx::clock`].
///
/// Without the clock, a guest with [`Limits::max_cpu`](crate::Limits::max_cpu) is charged a whole [`TICK`] for each
/// tick in which it ran.
#[derive(Clone, Debug)]
pub struct GuestClock {
    cpu: Arc<CpuTime>,
    #[cfg(feature = "async")]
    end: Option<Instant>,
    #[cfg(feature = "async")]
    events: Events,
}

impl GuestClock {
    /// Runs a call into the guest of a synchronous store.
    pub fn run<T>(&self, call: impl FnOnce() -> T) -> T {
        let _measured = self.cpu.measure();
        call()
    }

    /// Runs a call into the guest of an asynchronous store, on a tokio runtime. When
    /// [`Limits::timeout`](crate::Limits::timeout) is over, the call is dropped, whatever it waits for.
    ///
    /// # Errors
    /// The time is over. If the CPU time is over, that is an error of the call itself.
    #[cfg(feature = "async")]
    pub async fn run_async<F: Future>(&self, call: F) -> Result<F::Output, LimitReached> {
        let mut call = pin!(call);
        let measured = std::future::poll_fn(|context: &mut Context<'_>| {
            let _measured = self.cpu.measure();
            call.as_mut().poll(context)
        });
        match self.end {
            None => Ok(measured.await),
            Some(end) => tokio::time::timeout_at(end.into(), measured)
                .await
                .map_err(|_| {
                    self.events.limit_reached(Limit::Timeout);
                    LimitReached(Limit::Timeout)
                }),
        }
    }
}

#[cfg(all(test, feature = "async"))]
mod tests {
    use super::{Duration, GuestClock, Instant, Limit, Ticker, limit_time, limit_time_async};
    use crate::limits::thread_time;
    use crate::testing::{ReachedLimits, record_limits, runtime};
    use crate::{LimitReached, Limits, Policy, SocketsCtx, add_to_linker_async};
    use wasmtime::{Config, Engine, Instance, Linker, Module, Result, Store, TypedFunc};

    struct Guest {
        store: Store<SocketsCtx>,
        spin: TypedFunc<(), ()>,
        clock: GuestClock,
        reached: ReachedLimits,
        _ticker: Ticker,
    }

    fn engine() -> Engine {
        let mut config = Config::new();
        config.epoch_interruption(true);
        Engine::new(&config).unwrap()
    }

    fn guest(limits: Limits) -> Guest {
        let engine = engine();
        let spins = r#"(module (func (export "spin") (loop $again (br $again))))"#;
        let module = Module::new(&engine, wat::parse_str(spins).unwrap()).unwrap();
        let sockets = SocketsCtx::builder(Policy::new()).limits(limits);
        let (reached, sink) = record_limits();
        let sockets = sockets.on_event(sink).build();
        let clock = sockets.clock();
        let mut store = Store::new(&engine, sockets);
        store.set_epoch_deadline(1);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let spin = instance.get_typed_func(&mut store, "spin").unwrap();
        Guest {
            store,
            spin,
            clock,
            reached,
            _ticker: Ticker::start(&engine).unwrap(),
        }
    }

    fn limit(result: Result<()>) -> Limit {
        let error = result.unwrap_err();
        error.downcast_ref::<LimitReached>().unwrap().limit()
    }

    fn timeout() -> Limits {
        Limits {
            timeout: Some(Duration::from_millis(50)),
            ..Limits::default()
        }
    }

    fn max_cpu() -> Limits {
        Limits {
            max_cpu: Some(Duration::from_millis(50)),
            ..Limits::default()
        }
    }

    #[test]
    fn guest_that_makes_no_call_is_ended() {
        for (limits, reached) in [(timeout(), Limit::Timeout), (max_cpu(), Limit::MaxCpu)] {
            for runs_by_its_clock in [true, false] {
                let mut guest = guest(limits.clone());
                limit_time(&mut guest.store, |sockets| sockets);
                let begun = Instant::now();
                let result = match runs_by_its_clock {
                    true => guest.clock.run(|| guest.spin.call(&mut guest.store, ())),
                    false => guest.spin.call(&mut guest.store, ()),
                };
                assert_eq!(limit(result), reached);
                assert_eq!(*guest.reached.lock().unwrap(), [reached]);
                assert!(begun.elapsed() >= Duration::from_millis(40));
            }
        }
    }

    #[test]
    fn guest_of_an_asynchronous_store_that_makes_no_call_is_ended() {
        for (limits, reached) in [(timeout(), Limit::Timeout), (max_cpu(), Limit::MaxCpu)] {
            let mut guest = guest(limits);
            limit_time_async(&mut guest.store, |sockets| sockets);
            let call = guest.spin.call_async(&mut guest.store, ());
            let ended = runtime().block_on(guest.clock.run_async(call));
            // Either the epoch comes first or the clock.
            let ended = ended.map_or_else(LimitReached::limit, limit);
            assert_eq!(ended, reached);
            assert_eq!(*guest.reached.lock().unwrap(), [reached]);
        }
    }

    #[test]
    fn guest_that_computes_lets_other_tasks_run() {
        let mut guest = guest(Limits {
            max_cpu: Some(Duration::from_secs(20)),
            ..Limits::default()
        });
        limit_time_async(&mut guest.store, |sockets| sockets);
        let call = guest.spin.call_async(&mut guest.store, ());
        let others = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        };
        runtime().block_on(async {
            tokio::select! {
                _ = guest.clock.run_async(call) => panic!("nobody else ran"),
                () = others => (),
            }
        });
    }

    /// A guest of an asynchronous store that makes so many calls, none of which waits, and computes for so long after
    /// each.
    async fn calls(store: &mut Store<SocketsCtx>, count: u32, computing: u32) -> Result<()> {
        let text = format!(
            r#"(module
            (import "wasi_snapshot_preview1" "sock_close" (func $close (param i32) (result i32)))
            (memory (export "memory") 1)
            (func $compute (local $left i32) (local.set $left (i32.const {computing})) (loop $again
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $again (i32.gt_s (local.get $left) (i32.const 0)))))
            (func (export "calls") (local $count i32) (loop $again
                (drop (call $close (i32.const 0)))
                (call $compute)
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $count) (i32.const {count}))))))"#
        );
        let module = Module::new(store.engine(), wat::parse_str(text).unwrap()).unwrap();
        let mut linker = Linker::new(store.engine());
        add_to_linker_async(&mut linker, |sockets: &mut SocketsCtx| sockets).unwrap();
        limit_time_async(store, |sockets| sockets);
        let instance = linker
            .instantiate_async(&mut *store, &module)
            .await
            .unwrap();
        let calls = instance.get_typed_func::<(), ()>(&mut *store, "calls");
        calls.unwrap().call_async(store, ()).await
    }

    /// One whose engine counts no epochs of itself.
    fn store(limits: Limits) -> Store<SocketsCtx> {
        let sockets = SocketsCtx::builder(Policy::new()).limits(limits);
        let sockets = sockets.on_event(|_| ()).build();
        Store::new(&engine(), sockets)
    }

    #[test]
    fn guest_whose_calls_never_wait_lets_other_tasks_run_between_ticks() {
        let mut store = store(Limits::default());
        let mut turns = 0;
        let others = async {
            loop {
                tokio::task::yield_now().await;
                turns += 1;
            }
        };
        runtime().block_on(async {
            tokio::select! {
                ended = calls(&mut store, 200_000, 0) => ended.unwrap(),
                () = others => unreachable!(),
            }
        });
        // No epoch has come but for them.
        assert!(turns > 50, "{turns}");
    }

    #[test]
    fn turns_that_end_early_count_as_cpu() {
        // Not by its clock. Longer by far than it may take, and not without end.
        let mut store = store(max_cpu());
        let ended = runtime().block_on(calls(&mut store, 100_000, 100_000));
        assert_eq!(limit(ended), Limit::MaxCpu);
        assert!(store.data().cpu_time() >= Duration::from_millis(50));
    }

    #[test]
    fn guest_that_waits_beyond_its_time_is_dropped_and_told_of() {
        let (reached, sink) = record_limits();
        let sockets = SocketsCtx::builder(Policy::new())
            .limits(timeout())
            .on_event(sink)
            .build();
        let clock = sockets.clock();
        let never = std::future::pending::<()>();
        let ended = runtime().block_on(clock.run_async(never));
        assert_eq!(ended.map_err(LimitReached::limit), Err(Limit::Timeout));
        assert_eq!(*reached.lock().unwrap(), [Limit::Timeout]);
    }

    #[test]
    fn calls_within_calls_count_once() {
        let Guest { store, clock, .. } = guest(max_cpu());
        let spin = |time: Duration| {
            let begun = thread_time();
            while thread_time() - begun < time.as_nanos() as u64 {}
        };
        // What this thread computed outside of them counts for nobody.
        spin(Duration::from_millis(60));
        clock.run(|| {
            clock.run(|| ());
            clock.run(|| spin(Duration::from_millis(10)));
        });
        let counted = store.data().cpu_time();
        assert!((10..60).contains(&counted.as_millis()), "{counted:?}");
    }

    #[test]
    fn guest_that_waits_uses_no_cpu() {
        let Guest { store, clock, .. } = guest(max_cpu());
        let waited = runtime().block_on(async {
            let waits = tokio::time::sleep(Duration::from_millis(60));
            clock.run_async(waits).await
        });
        assert_eq!(waited, Ok(()));
        assert!(store.data().cpu_time() < Duration::from_millis(50));
    }
}
