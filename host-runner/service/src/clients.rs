//! Clients: how many there are, and how long each may take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::answer::PIECE;

/// The most clients at a time. Further ones wait.
pub(crate) const CLIENTS_MAX: usize = 1024;

/// How long a client may take for the head of a request, and before it.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long those that are there at the end have.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what waits for it.
const WRITE_TIME: Duration = Duration::from_secs(30);

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
            // So that a client which is slow is seen to take some; it works without.
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
