//! Calls of the embedder's function.

use wasisocket_abi::Errno;

use super::SocketsCtx;
use super::handles::Open;
use super::limits::check_handles;

impl SocketsCtx {
    /// Starts a call.
    pub(crate) fn start_call(&mut self, request: &[u8]) -> Result<u32, Errno> {
        check_handles(&self.handles, &mut self.usage, 1)?;
        let call = self.calls.start(request)?;
        self.handles.insert(Open::Call(call))
    }

    /// The answer to a call; EAGAIN if it is not there yet.
    pub(crate) fn answer_to_call(&self, handle: u32) -> Result<&[u8], Errno> {
        self.handles.call(handle)?.answer()
    }
}
