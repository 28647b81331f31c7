//! Waiting for many.

use std::mem;

use smallvec::SmallVec;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{EVENT_IN, EVENTS_MAX, Event, POLL_MAX, PollEntry};

use super::Call;
use super::operation::{Attempt, Operation, Stop};
use crate::ctx::{Files, WaitsFor};
use crate::guest_memory::Slice;
use crate::sockets::{Patience, Timeout};

pub(super) fn sock_poll(
    entries: Slice<PollEntry>,
    timeout: Timeout,
) -> Operation<u32, impl Attempt<u32>> {
    let mut is_told = false;
    Operation::new(timeout, move |memory, sockets, patience| {
        if entries.count() > POLL_MAX {
            return Err(Errno::EINVAL.into());
        }
        if entries.count() == 0 && timeout.end().is_none() && !mem::replace(&mut is_told, true) {
            sockets.waits_for_nothing();
        }
        let mut polled: SmallVec<[PollEntry; 64]> = memory.read_all(entries)?.collect();
        let ready = sockets.poll(&mut polled, patience)?;
        memory.write_all(entries, polled.iter().copied())?;
        match ready {
            0 if patience == Patience::NONE => Err(Stop::NotYet {
                waits_for: WaitsFor::Entries(polled.as_slice().into()),
                over: Ok(0),
                is_begun: false,
            }),
            // With 0 it has waited until the time was over.
            _ => Ok(ready),
        }
    })
}

impl<F: Files> Call<'_, F> {
    pub(super) fn signals_take(&mut self, handled: i64) -> Result<i64, Errno> {
        let come = self.sockets.take_signals(handled.cast_unsigned());
        Ok(come.cast_signed())
    }

    pub(super) fn interest_create(&mut self) -> Result<u32, Errno> {
        self.sockets.interest_create()
    }

    pub(super) fn interest_ctl(
        &mut self,
        set: u32,
        op: u32,
        handle: u32,
        events: u32,
        data: i64,
    ) -> Result<(), Errno> {
        self.sockets
            .interest_ctl(set, op, handle, events, data.cast_unsigned())
    }
}

pub(super) fn interest_wait(
    set: u32,
    events: Slice<Event>,
    timeout: Timeout,
) -> Operation<u32, impl Attempt<u32>> {
    let events = events.first(EVENTS_MAX);
    Operation::new(timeout, move |memory, sockets, _| {
        // Checked first: events that are reported once would be lost.
        memory.bytes(events)?;
        let ready = sockets.interest_wait(set, events.count())?;
        match memory.write_all(events, ready)? {
            0 => Err(Stop::NotYet {
                waits_for: WaitsFor::Handle(set, EVENT_IN),
                over: Ok(0),
                is_begun: false,
            }),
            count => Ok(count),
        }
    })
}
