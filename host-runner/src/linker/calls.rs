//! Calls of the embedder's function.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{CALL_MAX, EVENT_IN};

use super::Call;
use super::operation::{Attempt, Operation, Stop};
use crate::ctx::Files;
use crate::guest_memory::Slice;
use crate::sockets::Timeout;

impl<F: Files> Call<'_, F> {
    pub(super) fn call_start(&mut self, request: Slice<u8>) -> Result<u32, Errno> {
        if request.count() > CALL_MAX {
            return Err(Errno::EMSGSIZE);
        }
        self.sockets.start_call(self.memory.bytes(request)?)
    }
}

pub(super) fn call_answer(
    call: u32,
    room: Slice<u8>,
    timeout: Timeout,
) -> Operation<u32, impl Attempt<u32>> {
    Operation::new(timeout, move |memory, sockets, _| {
        let room = memory.bytes_mut(room)?;
        let answer = sockets.answer_to_call(call);
        let answer = answer.map_err(Stop::unless_ready(call, EVENT_IN))?;
        let count = room.len().min(answer.len());
        room[..count].copy_from_slice(&answer[..count]);
        Ok(answer.len() as u32)
    })
}
