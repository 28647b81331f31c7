//! What the unit tests share.

use std::sync::{Arc, Mutex};

#[cfg(feature = "async")]
use tokio::runtime::{Builder, Runtime};

use crate::event::{Event, Events};
use crate::limits::Limit;

/// The limits whose events came, in their order.
pub(crate) type ReachedLimits = Arc<Mutex<Vec<Limit>>>;

/// A sink that records the limits that are reached.
pub(crate) fn record_limits() -> (ReachedLimits, impl Fn(&Event) + Send + Sync + 'static) {
    let reached = ReachedLimits::default();
    let sink = Arc::clone(&reached);
    (reached, move |event: &Event| {
        if let Event::LimitReached(limit) = event {
            sink.lock().unwrap().push(*limit);
        }
    })
}

/// The same for what takes [`Events`].
pub(crate) fn reached_limits() -> (ReachedLimits, Events) {
    let (reached, sink) = record_limits();
    (reached, Events::new(Some(Arc::new(sink))))
}

/// The bytes of a number in hexadecimal; what is no digit is left out.
#[cfg(feature = "crypto")]
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.chars().filter_map(|digit| digit.to_digit(16));
    let digits: Vec<u8> = digits.map(|digit| digit as u8).collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[cfg(feature = "async")]
/// A runtime for asynchronous stores, on the thread of the test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
