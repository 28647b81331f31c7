//! Waiting for many.

use smallvec::SmallVec;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{EVENT_IN, EVENTS_MAX, Event, MODULE, POLL_MAX, PollEntry};
use wasmtime::{Linker, Result};

use super::{event_bytes, fill, import, poll_entry};
use crate::SocketsCtx;
use crate::ctx::WaitsFor;
use crate::linker::operation::{Attempt, Operation, Stop};
use crate::linker::waiting_imports;
use crate::sockets::{Patience, Timeout};

waiting_imports! {
    MODULE;
    "sock_poll" = poll(entries: u32, count: u32, timeout: i64, ready: u32);
    "interest_wait" = wait(set: u32, events: u32, max: u32, timeout: i64, count: u32);
}

fn poll(entries: u32, count: u32, timeout: i64, ready: u32) -> Operation<impl Attempt> {
    Operation::new(Timeout(timeout), None, move |memory, sockets, patience| {
        let out = memory.out(ready)?;
        if count as usize > POLL_MAX {
            return Err(Errno::EINVAL.into());
        }
        const SIZE: usize = size_of::<PollEntry>();
        let room = count * SIZE as u32;
        let mut polled: SmallVec<[PollEntry; 64]> = memory
            .slice(entries, room)?
            .chunks_exact(SIZE)
            .map(poll_entry)
            .collect();
        let ready = sockets.poll(&mut polled, patience)?;
        let places = memory.slice_mut(entries, room)?.chunks_exact_mut(SIZE);
        for (place, entry) in places.zip(&polled) {
            // `revents` is the last field.
            if let Some(revents) = place.last_chunk_mut() {
                *revents = entry.revents.to_le_bytes();
            }
        }
        memory.put(out, ready.to_le_bytes())?;
        match ready {
            // It waited as long as it was to.
            0 if patience != Patience::NONE => Ok(()),
            0 => Err(Stop::NotYet {
                waits_for: WaitsFor::Entries(polled.as_slice().into()),
                over: Ok(()),
            }),
            _ => Ok(()),
        }
    })
}

fn wait(set: u32, events: u32, max: u32, timeout: i64, count: u32) -> Operation<impl Attempt> {
    Operation::new(Timeout(timeout), None, move |memory, sockets, _| {
        let out = memory.out(count)?;
        let max = (max as usize).min(EVENTS_MAX);
        let room = (max * size_of::<Event>()) as u32;
        // Events that are told once would be lost.
        memory.slice(events, room)?;
        let ready = sockets.interest_wait(set, max)?;
        let count = fill(memory.slice_mut(events, room)?, ready.map(event_bytes));
        memory.put(out, count.to_le_bytes())?;
        match count {
            0 => Err(Stop::NotYet {
                waits_for: WaitsFor::Handle(set, EVENT_IN),
                over: Ok(()),
            }),
            _ => Ok(()),
        }
    })
}

pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    import!(
        linker,
        get,
        "interest_create",
        |memory, sockets, set: u32| {
            let out = memory.out(set)?;
            memory.put(out, sockets.interest_create()?.to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "interest_ctl",
        |_memory, sockets, set: u32, op: u32, handle: u32, events: u32, data: i64| {
            sockets.interest_ctl(set, op, handle, events, data.cast_unsigned())
        }
    );
    Ok(())
}
