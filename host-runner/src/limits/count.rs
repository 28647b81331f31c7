//! How many of something a guest may have at once.

use super::Limit;
use crate::event::Events;

/// How many of something that the embedder gives it a guest may have at once: [`Limits::max_files`] or
/// [`Limits::max_threads`].
///
/// [`Limits::max_files`]: crate::Limits::max_files
/// [`Limits::max_threads`]: crate::Limits::max_threads
#[derive(Clone, Debug)]
pub struct CountLimit {
    limit: Limit,
    most: usize,
    events: Events,
}

impl CountLimit {
    pub(crate) fn new(limit: Limit, most: usize, events: Events) -> Self {
        Self {
            limit,
            most,
            events,
        }
    }

    /// Whether a guest that has so many may have another one. If not, the limit is reached, which is an event
    /// ([`Event::LimitReached`](crate::Event::LimitReached)), and the guest's call should fail.
    #[must_use]
    pub fn allows(&self, count: usize) -> bool {
        let allows = count < self.most;
        if !allows {
            self.events.limit_reached(self.limit);
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::record_limits;
    use crate::{Limit, Policy, SocketsCtx};

    #[test]
    fn one_more_than_the_limit_reaches_it() {
        let (reached, sink) = record_limits();
        let sockets = SocketsCtx::builder(Policy::new()).on_event(sink);
        let sockets = sockets.max_files(2).max_threads(3).build();
        let (files, threads) = (sockets.files(), sockets.threads());
        assert!(files.allows(0) && files.allows(1) && threads.allows(2));
        assert!(reached.lock().unwrap().is_empty());
        assert!(!files.allows(2) && !files.allows(3) && !threads.allows(3));
        assert_eq!(
            *reached.lock().unwrap(),
            [Limit::MaxFiles, Limit::MaxThreads]
        );
    }
}
