//! Clients, of which there are so many, and answers that take a place until they are with the client.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::serve::Listener;
use http_body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

/// The most clients at a time. Further ones wait.
pub(crate) const CLIENTS_MAX: usize = 1024;

/// How much of an answer the server gives to the kernel at a time, and about what the kernel has of it: a client that
/// is slow is to be seen to take some.
const PIECE: usize = 64 << 10;

/// How long a client may take for the head of a request, and before it.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long those that are there at the end have.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what waits for it.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long it may take for all of it.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// A body, and the place that it takes.
pub(crate) struct Held {
    rest: Bytes,
    end: Instant,
    _place: Arc<dyn Any + Send + Sync>,
}

impl Held {
    pub(crate) fn new(bytes: Bytes, place: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            rest: bytes,
            end: Instant::now() + ANSWER_TIME,
            _place: place,
        }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.end <= Instant::now() {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// Serves clients until it is to stop, and those that are there then for a while.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let service = TowerToHyperService::new(router);
    let mut http = http1::Builder::new();
    // Also of the next request.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let graceful = GracefulShutdown::new();
    let mut listener = listener;
    let accept = async {
        loop {
            // It is never closed.
            let place = Arc::clone(&places).acquire_owned().await;
            // It waits and tries again if it cannot.
            let (stream, _) = Listener::accept(&mut listener).await;
            // Without it the client is only slower to be seen.
            let _ = set_socket_send_buffer_size(&stream, PIECE);
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(WRITE_TIME));
            let stream = TokioIo::new(Box::pin(stream));
            let client = graceful.watch(http.serve_connection(stream, service.clone()));
            tokio::spawn(async move {
                let _place = place;
                // A client that goes is no fault.
                let _ = client.await;
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(listener);
    let _ = timeout(GRACE, graceful.shutdown()).await;
}
