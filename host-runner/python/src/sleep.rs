//! preview1's `poll_oneoff` for synchronous stores, by which a guest sleeps: not beyond its time limit.

use std::thread;
use std::time::{Duration, Instant};

use wasisocket_abi::CORE_MODULE;
use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::{types, wasi_snapshot_preview1};
use wasmtime_wasi::runtime::in_tokio;
use wiggle::{GuestMemory, GuestPtr};

use crate::guest::Guest;

/// EINTR (wasi-libc's errno.h). The guest is ended at the next tick of its clock.
const INTERRUPTED: i32 = 27;

pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(CORE_MODULE, "poll_oneoff", poll_oneoff)?;
    Ok(())
}

fn poll_oneoff(
    mut caller: Caller<'_, Guest>,
    subscriptions: i32,
    events: i32,
    count: i32,
    stored: i32,
) -> Result<i32> {
    let (mut memory, guest) = Guest::enter(&mut caller)?;
    let end = guest.end();
    if let Some(end) = end
        && count == 1
        && let Some(time) = relative_sleep(&memory, subscriptions)
        && time >= end.saturating_duration_since(Instant::now())
    {
        // wasmtime-wasi sleeps in std::thread::sleep for these.
        thread::sleep(end.saturating_duration_since(Instant::now()));
        return Ok(INTERRUPTED);
    }
    let poll = wasi_snapshot_preview1::poll_oneoff(
        guest.wasi(),
        &mut memory,
        subscriptions,
        events,
        count,
        stored,
    );
    match end {
        None => in_tokio(poll),
        Some(end) => in_tokio(async { tokio::time::timeout_at(end.into(), poll).await })
            .unwrap_or(Ok(INTERRUPTED)),
    }
}

/// How long the guest sleeps, if that is what its first subscription is for.
fn relative_sleep(memory: &GuestMemory<'_>, subscriptions: i32) -> Option<Duration> {
    let first = GuestPtr::<types::Subscription>::new(subscriptions as u32);
    let types::SubscriptionU::Clock(clock) = memory.read(first).ok()?.u else {
        return None;
    };
    let absolute = types::Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME;
    (!clock.flags.contains(absolute)).then(|| Duration::from_nanos(clock.timeout))
}
