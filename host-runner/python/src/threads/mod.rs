//! Threads of guests: call stacks of one store, of which one runs at a time.
//!
//! A thread is a call of the guest's export `thread-start`: a future, which wasmtime runs on a stack of its own. The
//! guest's scheduler, on the stack that our call came in on, polls it by the import `thread_switch`. It gives way in
//! `thread_switch(0)`, whose future is pending once, and the scheduler's call returns. So calls nest as those of an
//! asynchronous host function that calls the guest, and all that bounds the outermost call bounds them too: its clock,
//! the CPU time that it is charged for, and its end when it is dropped.
//!
//! # Safety
//!
//! What wasmtime's interface does not allow is to keep such a call while the host function that made it has returned. The
//! call's future has a `StoreContextMut`, and the store is used by others until it is polled again. Here is why that
//! holds, with wasmtime 48, whose version is pinned; read `runtime/fiber.rs` again before another is taken:
//!
//! - The borrow's pointer stays valid: it points to what `Store` has in a `Box`, and [`GuestStore`] ends all threads before
//!   the store is gone. A store that is dropped in another way leaks them.
//! - One call stack runs at a time. A suspended one holds nothing but the `Caller` of `thread_switch`, which is used again
//!   when it goes on; wasmtime's code on it is in `BlockingContext::block_on`, which took what it needs of the store before
//!   it was suspended (`AsyncState`), and reads the store again afterwards.
//! - What wasmtime keeps of a call outside of its stack is saved and restored by `resume_fiber` at each switch, with what is
//!   there at that moment: the activations of this thread of the system (`AsyncWasmCallState`, and with them the places of
//!   entry and exit in `VMStoreContext`), the stack limit, the range of the guard, the executor, protection keys, the current
//!   suspension and context. So call stacks need not end in the order in which they began, and one may go on below another
//!   call than the one that it began in. Fuel and epochs are the store's. There is no garbage collector, whose roots would
//!   be looked for on stacks.
//! - A call that is dropped while it is suspended is resumed with an error, which unwinds its stack without running the
//!   guest's code; it is dropped where no other part of the store is in use.
//! - A future is polled by the thread that polls the outermost call, and is `Send` as that is.
#![allow(unsafe_code)]

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;

use wasisocket_abi::Errno;
use wasisocket_abi::v1::MODULE;
use wasisocket_host::CountLimit;
use wasmtime::{
    AsContext, AsContextMut, Caller, Extern, Global, Linker, Mutability, Result, Store,
    StoreContext, StoreContextMut, TypedFunc, Val, ValType,
};
use wiggle::GuestPtr;

use crate::guest::Guest;

/// Where a thread begins, as the guest exports it.
pub(crate) const START: &str = "thread-start";
const STACK_POINTER: &str = "__stack_pointer";

/// A call of the guest's function.
type Call = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

enum Thread {
    None,
    Waits(Waits),
    /// Its call is being polled.
    Runs,
}

/// A thread that can be run.
enum Waits {
    /// It has not begun.
    New {
        stack: u32,
        start: TypedFunc<(), ()>,
    },
    Suspended(Call),
}

/// What the call stacks of a guest tell each other.
#[derive(Default)]
struct Turn {
    /// The running thread gives way.
    is_over: AtomicBool,
    /// How many threads are being polled, each by the one before it.
    depth: AtomicU32,
}

/// What a guest with threads exports.
struct Exports {
    start: TypedFunc<(), ()>,
    stack_pointer: Global,
}

impl Exports {
    /// `None` for a guest without threads.
    fn of(caller: &mut Caller<'_, Guest>) -> Option<Self> {
        let Some(Extern::Func(start)) = caller.get_export(START) else {
            return None;
        };
        let Some(Extern::Global(stack_pointer)) = caller.get_export(STACK_POINTER) else {
            return None;
        };
        let ty = stack_pointer.ty(&*caller);
        if !matches!(ty.content(), ValType::I32) || ty.mutability() != Mutability::Var {
            return None;
        }
        let start = start.typed(&*caller).ok()?;
        Some(Self {
            start,
            stack_pointer,
        })
    }
}

/// The threads of one guest, beside its main one.
pub(crate) struct Threads {
    threads: Vec<Thread>,
    limit: CountLimit,
    turn: Arc<Turn>,
    /// Where the guest has its stack pointer, once it has made a thread.
    stack_pointer: Option<Global>,
}

impl Threads {
    /// None yet.
    pub(crate) fn new(limit: CountLimit) -> Self {
        Self {
            threads: Vec::new(),
            limit,
            turn: Arc::default(),
            stack_pointer: None,
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.threads
            .iter()
            .all(|thread| matches!(thread, Thread::None))
    }

    /// A number for a thread, which is not 0.
    fn create(&mut self, stack: u32, exports: Exports) -> Result<u32, Errno> {
        let is_free = |thread: &Thread| matches!(thread, Thread::None);
        let free = self.threads.iter().position(is_free);
        // Where there is a free place, there are fewer threads than places.
        let index = free.unwrap_or(self.threads.len());
        if free.is_none() && !self.limit.allows(index) {
            return Err(Errno::EAGAIN);
        }
        self.stack_pointer = Some(exports.stack_pointer);
        let start = exports.start;
        let new = Thread::Waits(Waits::New { stack, start });
        match self.threads.get_mut(index) {
            Some(place) => *place = new,
            None => self.threads.push(new),
        }
        Ok(index as u32 + 1)
    }

    /// Takes a thread that is not being run, and leaves this in its place. EINVAL for any other.
    fn take(&mut self, number: u32, left: Thread) -> Result<Waits, Errno> {
        match self.thread(number) {
            Some(place @ Thread::Waits(_)) => match mem::replace(place, left) {
                Thread::Waits(thread) => Ok(thread),
                Thread::None | Thread::Runs => unreachable!("matched above"),
            },
            _ => Err(Errno::EINVAL),
        }
    }

    fn thread(&mut self, number: u32) -> Option<&mut Thread> {
        self.threads.get_mut((number as usize).checked_sub(1)?)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Whose store is gone.
        for thread in self.threads.drain(..) {
            if let Thread::Waits(Waits::Suspended(call)) = thread {
                mem::forget(call);
            }
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

/// A guest's store, which ends the guest's threads before it is dropped.
pub(crate) struct GuestStore(Store<Guest>);

impl GuestStore {
    pub(crate) fn new(store: Store<Guest>) -> Self {
        Self(store)
    }
}

impl GuestStore {
    /// Ends the guest's threads: their instance is used no more.
    pub(crate) fn end_threads(&mut self) {
        // Before they are dropped, the guest has none any more.
        let threads = mem::take(&mut self.0.data_mut().threads.threads);
        drop(threads);
    }
}

impl Drop for GuestStore {
    fn drop(&mut self) {
        self.end_threads();
    }
}

impl Deref for GuestStore {
    type Target = Store<Guest>;

    fn deref(&self) -> &Store<Guest> {
        &self.0
    }
}

impl DerefMut for GuestStore {
    fn deref_mut(&mut self) -> &mut Store<Guest> {
        &mut self.0
    }
}

impl AsContext for GuestStore {
    type Data = Guest;

    fn as_context(&self) -> StoreContext<'_, Guest> {
        self.0.as_context()
    }
}

impl AsContextMut for GuestStore {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Guest> {
        self.0.as_context_mut()
    }
}

/// Defines `thread_create`, `thread_switch` and `thread_drop`.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(MODULE, "thread_create", create)?;
    linker.func_wrap(MODULE, "thread_drop", end)?;
    linker.func_wrap_async(
        MODULE,
        "thread_switch",
        |caller: Caller<'_, Guest>, (thread,): (u32,)| Box::new(switch(caller, thread)),
    )?;
    Ok(())
}

fn number(result: Result<(), Errno>) -> u32 {
    result.map_or_else(|errno| errno.0, |()| 0)
}

fn create(mut caller: Caller<'_, Guest>, stack: u32, thread: u32) -> Result<u32> {
    let Some(exports) = Exports::of(&mut caller) else {
        return Ok(Errno::EOPNOTSUPP.0);
    };
    let (mut memory, guest) = Guest::enter(&mut caller)?;
    // Whether there is room for the answer is seen first.
    let place = GuestPtr::<u32>::new(thread);
    if memory.write(place, 0).is_err() {
        return Ok(Errno::EFAULT.0);
    }
    Ok(match guest.threads.create(stack, exports) {
        Ok(number) => {
            memory.write(place, number)?;
            0
        }
        Err(errno) => errno.0,
    })
}

fn end(mut caller: Caller<'_, Guest>, thread: u32) -> u32 {
    let ended = caller.data_mut().threads.take(thread, Thread::None);
    // The thread is dropped here, where nothing else of the store is in use.
    number(ended.map(drop))
}

async fn switch(mut caller: Caller<'_, Guest>, thread: u32) -> Result<u32> {
    let Some(stack_pointer) = caller.data().threads.stack_pointer else {
        return Ok(Errno::EINVAL.0);
    };
    let place = stack_pointer.get(&mut caller);
    let switched = match thread {
        0 => Ok(give_way(&caller.data().threads.turn).await),
        thread => run(&mut caller, stack_pointer, thread).await,
    }?;
    stack_pointer.set(&mut caller, place)?;
    Ok(number(switched))
}

/// Lets go on who runs the current thread.
fn give_way(turn: &Arc<Turn>) -> impl Future<Output = Result<(), Errno>> + Send + use<> {
    let turn = Arc::clone(turn);
    let mut has_begun = false;
    poll_fn(move |_| {
        if mem::replace(&mut has_begun, true) {
            return Poll::Ready(Ok(()));
        }
        if turn.depth.load(Ordering::Relaxed) == 0 {
            return Poll::Ready(Err(Errno::EINVAL));
        }
        turn.is_over.store(true, Ordering::Relaxed);
        Poll::Pending
    })
}

/// As long as it lives, one more thread is being polled.
struct Depth(Arc<Turn>);

impl Depth {
    fn of(turn: &Arc<Turn>) -> Self {
        turn.depth.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(turn))
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        self.0.depth.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a thread until it ends or gives way. An error is the guest's end.
async fn run(
    caller: &mut Caller<'_, Guest>,
    stack_pointer: Global,
    thread: u32,
) -> Result<Result<(), Errno>> {
    let threads = &mut caller.data_mut().threads;
    let turn = Arc::clone(&threads.turn);
    let mut call = match threads.take(thread, Thread::Runs) {
        Ok(Waits::Suspended(call)) => call,
        Ok(Waits::New { stack, start }) => {
            stack_pointer.set(&mut *caller, Val::I32(stack.cast_signed()))?;
            begin(caller, start)
        }
        Err(errno) => return Ok(Err(errno)),
    };
    let depth = Depth::of(&turn);
    let ended = poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if turn.is_over.swap(false, Ordering::Relaxed) => Poll::Ready(None),
        // It lets other tasks of the host run.
        Poll::Pending => Poll::Pending,
    })
    .await;
    drop(depth);
    let left = match ended {
        None => Thread::Waits(Waits::Suspended(call)),
        Some(_) => Thread::None,
    };
    if let Some(place) = caller.data_mut().threads.thread(thread) {
        *place = left;
    }
    match ended {
        Some(Err(error)) => Err(error),
        None | Some(Ok(())) => Ok(Ok(())),
    }
}

/// The call in which a thread runs.
fn begin(caller: &mut Caller<'_, Guest>, start: TypedFunc<(), ()>) -> Call {
    let store = caller.as_context_mut();
    // SAFETY: see the module. It is used when the call is polled or dropped, and both happen before the store is gone and
    // where nothing else is done with it.
    let mut store = unsafe {
        mem::transmute::<StoreContextMut<'_, Guest>, StoreContextMut<'static, Guest>>(store)
    };
    Box::pin(async move { start.call_async(&mut store, ()).await })
}

#[cfg(test)]
mod tests;
