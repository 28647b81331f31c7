//! A guest in which nothing runs, between two runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wasisocket_host::{GuestClock, LimitReached, SocketsView as _};
use wasmtime::error::Context as _;
use wasmtime::{Instance, Memory, Result, TypedFunc, WasmResults, bail, ensure};
use wasmtime_wasi::HostMonotonicClock as _;

use super::outcome::Usage;
use crate::end::End;
use crate::engine::{Python, Shared};
use crate::monotonic::Monotonic;
use crate::places::Place;
use crate::program::Program;
use crate::snapshot::{self, AtRest, Copied, MEMORY};
use crate::threads::GuestStore;

/// Most bytes of one answer, as in `_wasisocket_session.py`.
const ANSWER_MAX: usize = 64 << 20;

/// A guest in which nothing runs.
pub(super) struct Resting {
    store: GuestStore,
    memory: Memory,
    /// Room for a request of so many bytes.
    request: TypedFunc<u32, u32>,
    /// Runs it, and returns where the answer is.
    call: TypedFunc<u32, u32>,
    end: TypedFunc<(), ()>,
    time: Monotonic,
    /// A copy of what it is now.
    copied: Option<Arc<Copied>>,
    _place: Option<Place>,
}

/// A guest that has not run yet.
struct New<'a> {
    python: &'a Python,
    store: GuestStore,
    clock: GuestClock,
    time: Monotonic,
    place: Option<Place>,
}

impl<'a> New<'a> {
    /// Its monotonic clock begins with this time, in nanoseconds.
    fn of(python: &'a Python, program: Program, time: u64) -> Result<Self> {
        let place = Place::take(&python.shared)?;
        let time = Monotonic::from(time);
        let mut program = program.with_search_path(python.preload());
        program.clock = Some(time);
        let (store, clock) = python.shared.store(program, true, python.preload())?;
        Ok(Self {
            python,
            store,
            clock,
            time,
            place,
        })
    }

    async fn instance(&mut self) -> Result<Instance> {
        let linked = self.python.shared.asynchronous()?;
        linked.instantiate_async(&mut self.store).await
    }

    /// Calls an export.
    async fn call<R: WasmResults + Sync>(&mut self, instance: &Instance, name: &str) -> Result<R> {
        let export = instance.get_typed_func::<(), R>(&mut self.store, name)?;
        let called = self.clock.run_async(export.call_async(&mut self.store, ()));
        match called.await {
            Ok(Ok(results)) => Ok(results),
            Ok(Err(error)) if error.is::<LimitReached>() => Err(error),
            Ok(Err(error)) => bail!("{:?}", End::of(Err(error))),
            Err(reached) => Err(reached.into()),
        }
    }

    fn rests(mut self, instance: &Instance) -> Result<Resting> {
        let store = &mut self.store;
        let memory = instance.get_memory(&mut *store, MEMORY);
        Ok(Resting {
            memory: memory.context("the guest exports no memory")?,
            request: instance.get_typed_func(&mut *store, "session-request")?,
            call: instance.get_typed_func(&mut *store, "session-call")?,
            end: instance.get_typed_func(&mut *store, "session-end")?,
            store: self.store,
            time: self.time,
            copied: None,
            _place: self.place,
        })
    }
}

impl Resting {
    /// Starts a guest.
    pub(super) async fn begin(python: &Python, program: Program) -> Result<Self> {
        let image = python.image.as_deref();
        let image = image.filter(|image| snapshot::may_hold(&program, image));
        let mut new = New::of(python, program, 0)?;
        for image in [image, None] {
            let instance = new.instance().await?;
            if let Some(image) = image
                && !image.apply(&instance, &mut new.store)?
            {
                continue;
            }
            let needs_cold_start: i32 = new.call(&instance, "session-begin").await?;
            if needs_cold_start == 0 {
                return new.rests(&instance);
            }
            new.store.end_threads();
        }
        bail!("it wants a cold start again")
    }

    /// Goes on with a copy of another guest.
    pub(super) async fn go_on(
        python: &Python,
        program: Program,
        copied: Arc<Copied>,
    ) -> Result<Self> {
        let mut new = New::of(python, program, copied.at_rest().clock)?;
        let instance = new.instance().await?;
        copied.apply(&instance, &mut new.store)?;
        let () = new.call(&instance, "session-copied").await?;
        new.rests(&instance)
    }

    /// A copy of its memory. Until it runs again, there is one.
    pub(super) fn copy(&mut self) -> Result<Arc<Copied>> {
        if let Some(copied) = &self.copied {
            return Ok(Arc::clone(copied));
        }
        self.has_one_thread()?;
        let copied = Copied::of(self.memory.data(&self.store), &self.at_rest())?;
        Ok(Arc::clone(self.copied.insert(Arc::new(copied))))
    }

    /// Writes its memory to a file.
    pub(super) fn save(&self, path: &Path, shared: &Shared) -> Result<()> {
        self.has_one_thread()?;
        let memory = self.memory.data(&self.store);
        Copied::save(path, memory, &self.at_rest(), shared)
    }

    /// The stacks of threads are not in the guest's memory.
    fn has_one_thread(&self) -> Result<()> {
        ensure!(
            self.store.data().threads.is_empty(),
            "the guest has threads that have not ended, and a copy would be without them: join them first"
        );
        Ok(())
    }

    fn at_rest(&self) -> AtRest {
        AtRest {
            clock: self.time.now(),
        }
    }

    /// Has the guest do what a request asks for. `None` if it has no memory for the request or the answer. An error is how
    /// it ended.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Option<Vec<u8>>, End> {
        self.copied = None;
        let clock = self.clock();
        let asked = clock.run_async(async {
            let length = u32::try_from(request.len()).context("too many arguments")?;
            let place = self.request.call_async(&mut self.store, length).await?;
            if place == 0 {
                return Ok(None);
            }
            self.memory
                .write(&mut self.store, place as usize, request)?;
            let answer = self.call.call_async(&mut self.store, length).await?;
            match answer {
                0 => Ok(None),
                place => self.answer(place).map(Some),
            }
        });
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(End::of(Err(error))),
            Err(reached) => Err(End::Limit(reached.limit())),
        }
    }

    /// The answer that a place in the guest's memory leads to.
    fn answer(&self, place: u32) -> Result<Vec<u8>> {
        let memory = self.memory.data(&self.store);
        let place = memory
            .get(place as usize..)
            .and_then(|place| place.first_chunk::<8>());
        let place = u64::from_le_bytes(*place.context("the answer is nowhere")?);
        let (start, length) = (place as u32 as usize, (place >> 32) as usize);
        ensure!(length <= ANSWER_MAX, "the answer is too long");
        let answer = memory.get(start..).and_then(|bytes| bytes.get(..length));
        answer.map(<[u8]>::to_vec).context("the answer is nowhere")
    }

    /// Ends it as a program ends.
    pub(super) async fn finish(&mut self) -> End {
        let clock = self.clock();
        match clock
            .run_async(self.end.call_async(&mut self.store, ()))
            .await
        {
            Ok(called) => End::of(called),
            Err(reached) => End::Limit(reached.limit()),
        }
    }

    /// The time of a run begins.
    fn clock(&mut self) -> GuestClock {
        // Epochs went by while it was at rest.
        self.store.set_epoch_deadline(1);
        let sockets = self.store.data_mut().sockets();
        sockets.restart_clock();
        sockets.clock()
    }

    pub(super) fn usage(&mut self, begun: Instant) -> Usage {
        Usage {
            elapsed: begun.elapsed(),
            cpu_time: self.store.data_mut().sockets().cpu_time_of_run(),
            memory: self.memory.data_size(&self.store),
        }
    }
}
