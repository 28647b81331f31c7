//! Profiles of guests: which functions of Python and C they ran, as samples that the Firefox Profiler shows.
//!
//! The engine's epochs interrupt compiled code at functions and loops. Each interruption is a sample: wasmtime knows the
//! stack of C functions, and [`frames`] reads that of Python's from the guest's memory. Both are one stack in the
//! profile: where C has CPython's interpreter loop, the profile has the Python functions that it runs.

mod frames;
mod lines;
mod stacks;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::error::Context as _;
use wasmtime::{
    AsContext as _, Instance, Memory, Result, Store, StoreContextMut, UpdateDeadline, WasmBacktrace,
};

use crate::guest::Guest;
use crate::preview1::wait;
use crate::threads;
use frames::Runtime;
use stacks::{Label, Stacks};

/// The time between two samples.
pub(crate) const INTERVAL: Duration = Duration::from_millis(1);

/// The most C functions of a sample. Of a deeper stack the innermost are recorded.
pub(crate) const C_FRAMES_MAX: usize = 2048;

/// The most samples: what a guest does later is not in the profile.
const SAMPLES_MAX: usize = 2_000_000;

/// The function whose calls run Python's: each is replaced by them.
const INTERPRETER: &str = "_PyEval_EvalFrameDefault";

/// The export that says where CPython's state is.
const RUNTIME: &str = "python-runtime";

/// Collects what a guest runs, for [`Python::run_profiled`](crate::Python::run_profiled). Clones share it.
///
/// There is a sample for each millisecond in which the guest computes. What it does in a call of the host, such as a
/// read that waits or a cipher, is not seen; its processor time counts for the sample after the call.
///
/// A profile has at most two million samples, and a million different stacks.
#[derive(Clone)]
pub struct Profiler(Arc<Mutex<Samples>>);

struct Samples {
    stacks: Stacks,
    started: Instant,
    /// The processor time of the guest's thread at the last sample.
    last: Option<Duration>,
    count: usize,
}

impl Profiler {
    /// A profile without samples, whose time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Samples {
            stacks: Stacks::new(),
            started: Instant::now(),
            last: None,
            count: 0,
        })))
    }

    /// Writes what was collected so far, as JSON in the format of the Firefox Profiler.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, output: impl io::Write) -> io::Result<()> {
        let mut samples = self.lock();
        let elapsed = samples.started.elapsed();
        samples.stacks.write(elapsed, output)
    }

    /// Has an instance sampled from now on. Its engine has to count epochs.
    pub(crate) fn attach(&self, store: &mut Store<Guest>, instance: &Instance) -> Result<()> {
        let memory = instance
            .get_memory(&mut *store, "memory")
            .context("the guest exports no memory")?;
        // Without it the profile has the functions of C only.
        let runtime = match instance.get_typed_func::<(), u32>(&mut *store, RUNTIME) {
            Ok(runtime) => {
                let runtime = wait(runtime.call_async(&mut *store, ()))?;
                Some(Runtime::new(runtime))
            }
            Err(_) => None,
        };
        let profiler = self.clone();
        store.epoch_deadline_callback(move |context| {
            profiler.lock().sample(&context, memory, runtime.as_ref());
            Ok(UpdateDeadline::Continue(1))
        });
        store.set_epoch_deadline(1);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Profiler {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler").finish_non_exhaustive()
    }
}

impl Samples {
    fn sample(
        &mut self,
        context: &StoreContextMut<'_, Guest>,
        memory: Memory,
        runtime: Option<&Runtime>,
    ) {
        if self.count == SAMPLES_MAX {
            return;
        }
        self.count += 1;
        let backtrace = WasmBacktrace::capture(context.as_context());
        // Innermost first, as the calls below.
        let mut segments = runtime
            .and_then(|runtime| runtime.segments(memory.data(context)))
            .unwrap_or_default();
        let is_interpreter = |frame: &&wasmtime::FrameInfo| frame.func_name() == Some(INTERPRETER);
        // Behind a thread's first function come those of the guest's scheduler, on the main stack.
        let frames = backtrace.frames();
        let first = |frame: &wasmtime::FrameInfo| frame.func_name() == Some(threads::START);
        let end = frames.iter().position(first).unwrap_or(frames.len());
        let frames = &frames[..end];
        let calls = frames.iter().filter(is_interpreter).count();
        // A call that has just begun or is about to end runs no function.
        let idle = calls.saturating_sub(segments.len());
        let mut segments = segments.drain(..);
        let mut interpreters = 0;
        let mut has_line = false;
        let mut stack = Vec::new();
        for frame in frames {
            if is_interpreter(&frame) {
                interpreters += 1;
                if interpreters > idle
                    && let Some(segment) = segments.next()
                {
                    let innermost = segment.first().filter(|_| !has_line);
                    if let Some((frame, line)) =
                        innermost.and_then(|frame| Some((frame, frame.line?)))
                    {
                        let function = frame.function.clone();
                        stack.push(Label::Line { function, line });
                    }
                    has_line |= !segment.is_empty();
                    stack.extend(
                        segment
                            .into_iter()
                            .map(|frame| Label::Python(frame.function)),
                    );
                    continue;
                }
            }
            stack.push(Label::C {
                index: frame.func_index(),
                name: frame.func_name(),
            });
        }
        let used = thread_time();
        let delta = self
            .last
            .replace(used)
            .map_or(INTERVAL, |last| used.saturating_sub(last));
        self.stacks.add(self.started.elapsed(), delta, stack);
    }
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
