//! A guest in which nothing runs, between two runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wasisocket_host::{GuestClock, SocketsView as _};
use wasmtime::error::Context as _;
use wasmtime::{Instance, Memory, Result, Store, TypedFunc, bail, ensure};
use wasmtime_wasi::HostMonotonicClock as _;

use super::outcome::Usage;
use crate::end::End;
use crate::engine::{Python, Shared};
use crate::guest::Guest;
use crate::monotonic::Monotonic;
use crate::places::Place;
use crate::program::Program;
use crate::snapshot::{self, AtRest, Copied, MEMORY};

/// Most bytes of one answer, as in `_wasisocket_session.py`.
const ANSWER_MAX: usize = 64 << 20;

/// A guest in which nothing runs.
pub(super) struct Resting {
    store: Store<Guest>,
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

impl Resting {
    /// Starts a guest.
    pub(super) async fn begin(python: &Python, program: Program) -> Result<Self> {
        let place = Place::take(&python.shared)?;
        let image = python.image.as_deref();
        let image = image.filter(|image| snapshot::may_hold(&program, image));
        let time = Monotonic::from(0);
        let mut program = program.with_search_path(python.preload());
        program.clock = Some(time);
        let (mut store, clock) = python.shared.store(program, true, python.preload())?;
        let linked = python.shared.asynchronous()?;
        let mut begun = None;
        for image in [image, None] {
            let instance = linked.instantiate_async(&mut store).await?;
            if let Some(image) = image
                && !image.apply(&instance, &mut store)?
            {
                continue;
            }
            let begin = instance.get_typed_func::<(), i32>(&mut store, "session-begin")?;
            match clock.run_async(begin.call_async(&mut store, ())).await {
                Ok(Ok(0)) => {
                    begun = Some(instance);
                    break;
                }
                Ok(Ok(_needs_cold_start)) => {}
                Ok(Err(error)) => bail!("{:?}", End::of(Err(error))),
                Err(reached) => bail!("{reached}"),
            }
        }
        let instance = begun.context("it wants a cold start again")?;
        Self::of(store, &instance, time, place)
    }

    /// Goes on with a copy of another guest.
    pub(super) async fn go_on(
        python: &Python,
        program: Program,
        copied: Arc<Copied>,
    ) -> Result<Self> {
        let place = Place::take(&python.shared)?;
        let at_rest = copied.at_rest();
        let time = Monotonic::from(at_rest.clock);
        let mut program = program.with_search_path(python.preload());
        program.clock = Some(time);
        let (mut store, clock) = python.shared.store(program, true, python.preload())?;
        let linked = python.shared.asynchronous()?;
        let instance = linked.instantiate_async(&mut store).await?;
        copied.apply(&instance, &mut store)?;
        store.data_mut().occupy(&at_rest.open).await;
        let go_on = instance.get_typed_func::<(), ()>(&mut store, "session-copied")?;
        match clock.run_async(go_on.call_async(&mut store, ())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => bail!("{:?}", End::of(Err(error))),
            Err(reached) => bail!("{reached}"),
        }
        Self::of(store, &instance, time, place)
    }

    fn of(
        mut store: Store<Guest>,
        instance: &Instance,
        time: Monotonic,
        place: Option<Place>,
    ) -> Result<Self> {
        let memory = instance.get_memory(&mut store, MEMORY);
        Ok(Self {
            memory: memory.context("the guest exports no memory")?,
            request: instance.get_typed_func(&mut store, "session-request")?,
            call: instance.get_typed_func(&mut store, "session-call")?,
            end: instance.get_typed_func(&mut store, "session-end")?,
            store,
            time,
            copied: None,
            _place: place,
        })
    }

    /// A copy of its memory. Until it runs again, there is one.
    pub(super) fn copy(&mut self) -> Result<Arc<Copied>> {
        if let Some(copied) = &self.copied {
            return Ok(Arc::clone(copied));
        }
        let copied = Copied::of(self.memory.data(&self.store), &self.at_rest())?;
        Ok(Arc::clone(self.copied.insert(Arc::new(copied))))
    }

    /// Writes its memory to a file.
    pub(super) fn save(&self, path: &Path, shared: &Shared) -> Result<()> {
        let memory = self.memory.data(&self.store);
        Copied::save(path, memory, &self.at_rest(), shared)
    }

    fn at_rest(&self) -> AtRest {
        AtRest {
            clock: self.time.now(),
            open: self.store.data().file_numbers(),
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
