//! The body of a response, which occupies a place until the client has it.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};

/// How many bytes are given to the connection at a time.
pub(crate) const PIECE: usize = 64 << 10;

/// How long a client may take to receive all of it.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// The body, and the place that it occupies.
pub(crate) struct Answer {
    rest: Bytes,
    end: Instant,
    _place: Arc<dyn Any + Send + Sync>,
}

impl Answer {
    pub(crate) fn new(bytes: Bytes, place: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            rest: bytes,
            end: Instant::now() + ANSWER_TIME,
            _place: place,
        }
    }
}

impl HttpBody for Answer {
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
