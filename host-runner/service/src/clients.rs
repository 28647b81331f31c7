//! Clients: how many are served at a time, and how long each may take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::answer::PIECE;
use crate::metrics::Counted;

/// How long a client may take until it has sent the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long a client may leave data unread.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Where clients come from, and how many there may be at a time. Further ones wait.
pub(crate) struct Clients {
    pub(crate) listener: TcpListener,
    pub(crate) most: usize,
    /// How many there are.
    pub(crate) connected: Gauge,
}

impl Clients {
    /// Serves clients until `stop` completes. Returns what closes their connections, each when its request is answered.
    pub(crate) async fn serve(
        mut self,
        router: Router,
        stop: impl Future<Output = ()>,
    ) -> GracefulShutdown {
        let service = TowerToHyperService::new(router);
        let mut http = http1::Builder::new();
        // This is for each request of a connection.
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        let places = Arc::new(Semaphore::new(self.most));
        let graceful = GracefulShutdown::new();
        let accept = async {
            loop {
                // The semaphore is never closed.
                let place = Arc::clone(&places).acquire_owned().await;
                // It pauses and tries again after an error.
                let (stream, _) = Listener::accept(&mut self.listener).await;
                let connected = Counted::one(&self.connected);
                // A slow client then makes visible progress. The service works without.
                let _ = set_socket_send_buffer_size(&stream, PIECE);
                let mut stream = TimeoutStream::new(stream);
                stream.set_write_timeout(Some(WRITE_TIME));
                let stream = TokioIo::new(Box::pin(stream));
                let client = graceful.watch(http.serve_connection(stream, service.clone()));
                tokio::spawn(async move {
                    let _occupied = (place, connected);
                    // It is not an error that a client disconnects.
                    let _ = client.await;
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = stop => {}
        }
        graceful
    }
}
