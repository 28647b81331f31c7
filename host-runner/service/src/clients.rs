//! Clients, of which there are so many, and answers that take a place until they are with the client.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Bytes, HttpBody};
use axum::serve::Listener;
use http_body::{Frame, SizeHint};
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;

/// The most clients at a time. Further ones wait.
pub(crate) const CLIENTS_MAX: usize = 1024;

/// How much of an answer the server gives to the kernel at a time, and about what the kernel has of it: a client that
/// is slow is to be seen to take some.
const PIECE: usize = 64 << 10;

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

/// Where clients come, each of which says or takes something in time.
pub(crate) struct Clients {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

/// A client's connection, and its place among them.
pub(crate) struct Client {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Clients {
    /// `silence` is how long one may say nothing, also while it waits for its answer.
    pub(crate) fn new(listener: TcpListener, silence: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(CLIENTS_MAX)),
            silence,
        }
    }
}

impl Listener for Clients {
    type Io = Client;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Client, SocketAddr) {
        // It is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        // It waits and tries again if it cannot.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without it the client is only slower to be seen.
        let _ = set_socket_send_buffer_size(&stream, PIECE);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIME));
        stream.set_read_timeout(Some(self.silence));
        let client = Client {
            stream: Box::pin(stream),
            _place: place,
        };
        (client, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}
