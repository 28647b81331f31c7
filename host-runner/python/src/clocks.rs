//! preview1's clocks of CPU time, which wasmtime-wasi lacks.

use std::ops::RangeInclusive;

use wasisocket_abi::CORE_MODULE;
use wasisocket_host::SocketsView as _;
use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as upstream;
use wiggle::GuestPtr;

use crate::guest::Guest;
use crate::preview1::errno;

/// `process_cputime_id` and `thread_cputime_id` (preview1's `clockid`). A guest has one thread.
const CPU_CLOCKS: RangeInclusive<i32> = 2..=3;

/// What the host's clocks of threads count in, in nanoseconds.
const RESOLUTION: u64 = 1;

/// Defines `clock_time_get` and `clock_res_get`. They do not wait, in asynchronous stores neither.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(
        CORE_MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, Guest>, clock: i32, precision: i64, time: i32| {
            let (mut memory, guest) = Guest::enter(&mut caller)?;
            if !CPU_CLOCKS.contains(&clock) {
                return upstream::clock_time_get(guest.wasi(), &mut memory, clock, precision, time);
            }
            let used = guest.sockets().cpu_time().as_nanos();
            let used = u64::try_from(used).unwrap_or(u64::MAX);
            errno(
                memory
                    .write(GuestPtr::new(time as u32), used)
                    .map_err(Into::into),
            )
        },
    )?;
    linker.func_wrap(
        CORE_MODULE,
        "clock_res_get",
        |mut caller: Caller<'_, Guest>, clock: i32, resolution: i32| {
            let (mut memory, guest) = Guest::enter(&mut caller)?;
            if !CPU_CLOCKS.contains(&clock) {
                return upstream::clock_res_get(guest.wasi(), &mut memory, clock, resolution);
            }
            let place = GuestPtr::new(resolution as u32);
            errno(memory.write(place, RESOLUTION).map_err(Into::into))
        },
    )?;
    Ok(())
}
