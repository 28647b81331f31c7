//! The sockets in a store's data.

use crate::SocketsCtx;

/// A store's data with a guest's sockets in it, after wasmtime-wasi's `WasiView`. Its method is what
/// [`add_to_linker`](crate::add_to_linker) and its like take: `add_to_linker(&mut linker, State::sockets)`.
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
