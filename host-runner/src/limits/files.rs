//! How many files a guest may have open.

use super::{Limit, Limits};
use crate::event::Events;

/// A guest's [`Limits::max_files`], for the embedder's files: they ask before one is opened.
#[derive(Clone, Debug)]
pub struct FileLimit {
    most: usize,
    events: Events,
}

impl FileLimit {
    pub(crate) fn new(limits: &Limits, events: Events) -> Self {
        let most = limits.max_files;
        Self { most, events }
    }

    /// Whether a guest that has so many files open may open another one. If not, the limit is reached, which is an event
    /// ([`Event::LimitReached`](crate::Event::LimitReached)), and the guest's call should be EMFILE.
    #[must_use]
    pub fn allows(&self, open: usize) -> bool {
        let allows = open < self.most;
        if !allows {
            self.events.limit_reached(Limit::MaxFiles);
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
        let files = sockets.max_files(2).build().files();
        assert!(files.allows(0) && files.allows(1));
        assert!(reached.lock().unwrap().is_empty());
        assert!(!files.allows(2) && !files.allows(3));
        assert_eq!(*reached.lock().unwrap(), [Limit::MaxFiles]);
    }
}
