//! Many guests in one process: CPython compiled once, and a new instance of it for each.
//!
//! Thousands of guests are cheap because imports are resolved once, and because guests share the pages of a memory in
//! which Python has started. What each may reach and use are its [`Grants`](wasisocket_host::Grants).

#![forbid(unsafe_code)]

use std::any::Any;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio_util::task::{AbortOnDropHandle, LocalPoolHandle};
use wasisocket_host::Event;
use wasisocket_python::{Capture, End, Program, Python};
use wasmtime::Result;

/// The most descriptors that a guest takes beside its sockets and the files that it opens: for the five folders that it is
/// given and their listings, for the two of them in which Unix sockets are looked up (`/` and the handler's), and two while
/// a file whose name is not UTF-8 is opened.
pub const FOLDERS_MAX: usize = 5 + 5 + 2 + 2;

/// Most bytes of a guest's standard error.
const STDERR_MAX: usize = 64 << 10;

/// Guests that share a number of threads.
///
/// Each guest runs on one of as many threads as there are processors, from its start to its end. Threads that took
/// guests from each other, as those of tokio's multi-thread runtime do, would balance better, but one guest that is
/// always busy then delays more of the others, and the service's own tasks.
#[derive(Clone)]
pub struct Guests {
    python: Python,
    threads: LocalPoolHandle,
}

/// How a guest ended, and what it wrote.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub end: End,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error, and a line for each denial.
    pub stderr: Vec<u8>,
}

impl Guests {
    /// Guests of this Python.
    #[must_use]
    pub fn new(python: Python) -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            python,
            threads: LocalPoolHandle::new(threads),
        }
    }

    /// Runs a task, which may start guests, on one of the threads. Dropping the future ends the task.
    ///
    /// `place` is dropped when the task is gone, also if nobody waits for that any more.
    ///
    /// # Errors
    /// The task panicked.
    pub async fn spawn<T, F>(
        &self,
        place: Option<Arc<dyn Any + Send + Sync>>,
        task: impl FnOnce(Python) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let python = self.python.clone();
        let task = self.threads.spawn_pinned(move || async move {
            let _place = place;
            task(python).await
        });
        Ok(AbortOnDropHandle::new(task).await?)
    }

    /// Runs a program to its end and keeps up to `output` bytes of its standard output, more of which end it. Dropping
    /// the future ends the guest.
    ///
    /// `place` is dropped when the guest is gone, also if nobody waits for that any more.
    ///
    /// # Errors
    /// The guest could not be started: no place in the pool is free, or a folder is missing.
    pub async fn run(
        &self,
        program: Program,
        output: usize,
        place: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Result<Ended> {
        let (stdout, stderr) = (Capture::new(output), Capture::new(output.min(STDERR_MAX)));
        let denials = stderr.clone();
        let program = program.stdout(&stdout).stderr(&stderr).sockets(|sockets| {
            sockets.on_event(move |event| match event {
                Event::Denied(denial) => {
                    denials.write(format!("wasisocket: {denial}\n").as_bytes());
                }
                other => other.log(),
            })
        });
        let guest = move |python: Python| async move { python.run_async(program).await };
        Ok(Ended {
            end: self.spawn(place, guest).await??,
            stdout: stdout.bytes(),
            stderr: stderr.bytes(),
        })
    }
}
