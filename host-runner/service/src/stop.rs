//! The end of the service: by SIGTERM or SIGINT, after the requests that are being answered.

use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long clients may take to receive that their request was ended.
const END_TIME: Duration = Duration::from_secs(1);

/// The signals that end the service.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they do nothing by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one, and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        kind.as_raw_value()
    }
}

/// Closes the connections that are open, each when its request is answered, and ends those requests that take longer
/// than `grace`.
pub(crate) async fn finish(open: GracefulShutdown, grace: Duration, end: &CancellationToken) {
    let mut closed = pin!(open.shutdown());
    if timeout(grace, &mut closed).await.is_err() {
        tracing::warn!("requests that took longer are ended");
        end.cancel();
        // The guests that are left end with the process.
        let _ = timeout(END_TIME, closed).await;
    }
}
