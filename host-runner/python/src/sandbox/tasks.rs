//! What the embedder does for a guest while it runs: its functions, and what it does with output.
//!
//! A guest of an asynchronous store runs on a stack of its own. Code of the embedder is not called there: it may need
//! more room, and interpreters that know their thread's stack, as CPython does from 3.14 on, take another one for an
//! overflow. So a guest leaves a task, and waits; it is done between two steps of the guest's future.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

type Task = Box<dyn FnOnce() + Send>;

/// The tasks of one guest. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    waiting: Option<Waker>,
}

impl Tasks {
    /// Leaves a task. Who calls this bounds how many there are.
    pub(super) fn push(&self, task: impl FnOnce() + Send + 'static) {
        self.lock().tasks.push_back(Box::new(task));
    }

    /// For the guest: waits until all are done.
    pub(super) async fn done(&self) {
        poll_fn(|context| {
            let mut queue = self.lock();
            if queue.tasks.is_empty() {
                return Poll::Ready(());
            }
            queue.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Runs a guest's future, and what it leaves.
    pub(super) async fn run<F: Future>(&self, guest: F) -> F::Output {
        let mut guest = pin!(guest);
        poll_fn(|context| {
            loop {
                let polled = guest.as_mut().poll(context);
                let mut is_done = false;
                while let Some(task) = self.next() {
                    task();
                    is_done = true;
                }
                match polled {
                    Poll::Pending if is_done => {
                        if let Some(waker) = self.lock().waiting.take() {
                            waker.wake();
                        }
                    }
                    polled => return polled,
                }
            }
        })
        .await
    }

    fn next(&self) -> Option<Task> {
        self.lock().tasks.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
