//! The sockets in a store's data.

use crate::SocketsCtx;

/// A store's data with a guest's sockets in it, after wasmtime-wasi's `WasiView`. Its method is what
/// [`add_to_linker`](crate::add_to_linker) and its like take. Here beside WASI, in a synchronous store:
///
/// ```
/// use std::time::Duration;
/// use wasisocket_host::{
///     Limit, LimitReached, Limits, Policy, SocketsCtx, SocketsView, Ticker, add_to_linker, limit_memory,
///     limit_time,
/// };
/// use wasmtime::{Config, Engine, Linker, Module, Store};
/// use wasmtime_wasi::WasiCtx;
/// use wasmtime_wasi::p1::{self, WasiP1Ctx};
///
/// struct State {
///     wasi: WasiP1Ctx,
///     sockets: SocketsCtx,
/// }
///
/// impl SocketsView for State {
///     fn sockets(&mut self) -> &mut SocketsCtx {
///         &mut self.sockets
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::new();
/// config.epoch_interruption(true);
/// let engine = Engine::new(&config)?;
/// let _ticker = Ticker::start(&engine)?;
/// let mut linker = Linker::new(&engine);
/// p1::add_to_linker_sync(&mut linker, |state: &mut State| &mut state.wasi)?;
/// // preview1 has a sock_send and a sock_recv of its own.
/// linker.allow_shadowing(true);
/// add_to_linker(&mut linker, State::sockets)?;
///
/// let mut limits = Limits::default();
/// limits.timeout = Some(Duration::from_millis(50));
/// limits.max_memory = Some(64 << 20);
/// let policy = Policy::new().allow("example.com:443")?;
/// let state = State {
///     wasi: WasiCtx::builder().inherit_stdio().build_p1(),
///     sockets: SocketsCtx::builder(policy).limits(limits).build(),
/// };
/// let clock = state.sockets.clock();
/// let mut store = Store::new(&engine, state);
/// limit_time(&mut store, State::sockets);
/// limit_memory(&mut store, State::sockets);
///
/// let guest = r#"(module (func (export "_start") (loop $for_ever (br $for_ever))))"#;
/// let module = Module::new(&engine, wat::parse_str(guest)?)?;
/// let instance = linker.instantiate(&mut store, &module)?;
/// let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
/// let ended = clock.run(|| start.call(&mut store, ()));
/// let reached = ended.unwrap_err().downcast::<LimitReached>()?;
/// assert_eq!(reached.limit(), Limit::Timeout);
/// # Ok(())
/// # }
/// ```
pub trait SocketsView {
    /// The sockets of the guest.
    fn sockets(&mut self) -> &mut SocketsCtx;
}

impl SocketsView for SocketsCtx {
    fn sockets(&mut self) -> &mut SocketsCtx {
        self
    }
}

impl<T: SocketsView + ?Sized> SocketsView for &mut T {
    fn sockets(&mut self) -> &mut SocketsCtx {
        (**self).sockets()
    }
}

impl<T: SocketsView + ?Sized> SocketsView for Box<T> {
    fn sockets(&mut self) -> &mut SocketsCtx {
        (**self).sockets()
    }
}
