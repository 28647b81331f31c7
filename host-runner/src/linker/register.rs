//! Defines the imports of the ABI's table, each by the function of the same name.
//!
//! | kind in the table | the function |
//! |---|---|
//! | `call`, `files` | `fn(&mut Call, PARAMETERS) -> Result<RESULTS, Errno>` |
//! | `wait` | `fn(PARAMETERS) -> Operation<RESULTS, impl Attempt<RESULTS>>` |
//!
//! | role in the table | the parameter |
//! |---|---|
//! | `u32`, `i64`, `Handle` | the number |
//! | `Timeout` | [`Timeout`] |
//! | `&T` | [`Pointer<T>`] |
//! | `Option<&T>`, `Option<&mut T>` | `Option<Pointer<T>>` |
//! | `&[T; n]`, `&mut [T; n]` | [`Slice<T>`] |
//!
//! RESULTS are `()`, the result, or a tuple. What they are written to is checked before the function is called.

// For no result a closure has nothing to do with the memory, for one the parentheses make no tuple.
#![allow(unused_variables, unused_parens, clippy::needless_question_mark)]

use wasisocket_abi::v1::{
    Addr, AeadNonce, AeadTag, Ancillary, Ciovec, Event, Interface, Iovec, Pair, PollEntry,
    Received, ReceivedRight, ReceivedRights, RecordLock, Right, SocketAddr, Space, X25519Bytes,
};
use wasisocket_abi::{CoreSocketAddr, Handle, imports};
use wasmtime::{Caller, Linker, Result};

use super::calls::*;
use super::core_six::*;
use super::lookups::*;
use super::messages::*;
#[cfg(feature = "async")]
use super::run;
use super::sockets::*;
use super::waiting::*;
use super::{block, call};
use crate::SocketsCtx;
use crate::ctx::Files;
use crate::guest_memory::{Pointer, Slice};
use crate::sockets::Timeout;

macro_rules! registration {
    ($(
        module $list:ident $module:literal {
            $($(#[$doc:meta])* $kind:ident $name:ident($($parameters:tt)*) -> ($($result:ident: $ty:ty),*);)+
        }
    )+) => {
        /// Defines the imports that are about files too.
        pub(super) fn add_files<T: 'static, F: Files + 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>) + Copy + Send + Sync + 'static,
        ) -> Result<()> {
            $($(define!(
                (files $kind linker get $module $name) [] [] [] $($parameters)*, $($result -> $ty,)*
            );)+)+
            Ok(())
        }

        /// Defines all imports, for a synchronous store.
        pub(super) fn add_blocking<T: 'static, F: Files + 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>) + Copy + Send + Sync + 'static,
        ) -> Result<()> {
            $($(define!(
                (blocking $kind linker get $module $name) [] [] [] $($parameters)*, $($result -> $ty,)*
            );)+)+
            Ok(())
        }

        /// Defines all imports, for an asynchronous store.
        #[cfg(feature = "async")]
        pub(super) fn add_async<T: Send + 'static, F: Files + Send + 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>) + Copy + Send + Sync + 'static,
        ) -> Result<()> {
            $($(define!(
                (asynchronous $kind linker get $module $name) [] [] [] $($parameters)*, $($result -> $ty,)*
            );)+)+
            Ok(())
        }
    };
}

/// Defines one import, if its kind is among those to be defined: `($which $kind $linker $get $module $name)`.
///
/// Takes one parameter after another to its parameters in WebAssembly, what the function gets for it, and the
/// results, each with a variable of its own.
macro_rules! define {
    ($one:tt [$($raw:tt)*] [$($argument:tt)*] [$($result:tt)*] , $($rest:tt)*) => {
        define!($one [$($raw)*] [$($argument)*] [$($result)*] $($rest)*);
    };
    ($one:tt [$($raw:tt)*] [$($argument:tt)*] [$($result:tt)*]
     $name:ident: & $(mut)? [$ty:ty; $count:ident] $($rest:tt)*) => {
        define!(
            $one [$($raw)* {$name u32} {$count u32}] [$($argument)* (Slice::<$ty>::new($name, $count))]
            [$($result)*] $($rest)*
        );
    };
    ($one:tt [$($raw:tt)*] [$($argument:tt)*] [$($result:tt)*]
     $name:ident: Option<& $(mut)? $ty:ty> $($rest:tt)*) => {
        define!(
            $one [$($raw)* {$name u32}] [$($argument)* (Pointer::<$ty>::or_null($name))]
            [$($result)*] $($rest)*
        );
    };
    ($one:tt [$($raw:tt)*] [$($argument:tt)*] [$($result:tt)*]
     $name:ident: &$ty:ty $(, $($rest:tt)*)?) => {
        define!(
            $one [$($raw)* {$name u32}] [$($argument)* (Pointer::<$ty>::new($name))]
            [$($result)*] $($($rest)*)?
        );
    };
    ($one:tt [$($raw:tt)*] [$($argument:tt)*] [$($result:tt)*]
     $name:ident: Timeout $($rest:tt)*) => {
        define!($one [$($raw)* {$name i64}] [$($argument)* (Timeout($name))] [$($result)*] $($rest)*);
    };
    ($one:tt [$($raw:tt)*] [$($argument:tt)*] [$($result:tt)*]
     $name:ident: $ty:ty $(, $($rest:tt)*)?) => {
        define!($one [$($raw)* {$name $ty}] [$($argument)* ($name)] [$($result)*] $($($rest)*)?);
    };
    ($one:tt [$($raw:tt)*] [$($argument:tt)*] [$($result:tt)*]
     $name:ident -> $ty:ty $(, $($rest:tt)*)?) => {
        define!($one [$($raw)* {$name u32}] [$($argument)*] [$($result)* {$name value $ty}] $($($rest)*)?);
    };

    ((direct $linker:ident $get:ident $module:literal $name:ident)
     [$({$raw:ident $raw_ty:ty})*] [$(($argument:expr))*] [$({$result:ident $value:ident $ty:ty})*]) => {
        $linker.func_wrap($module, stringify!($name), move |caller: Caller<'_, T>, $($raw: $raw_ty),*| {
            call(caller, $get, |call| {
                $(let $result = call.memory.out(Pointer::<$ty>::new($result))?;)*
                let ($($value),*) = call.$name($($argument),*)?;
                $(call.memory.write($result, $value)?;)*
                Ok(())
            })
        })?;
    };
    ((blocking wait $linker:ident $get:ident $module:literal $name:ident)
     [$({$raw:ident $raw_ty:ty})*] [$(($argument:expr))*] [$({$result:ident $value:ident $ty:ty})*]) => {
        $linker.func_wrap($module, stringify!($name), move |caller: Caller<'_, T>, $($raw: $raw_ty),*| {
            block(
                caller,
                $get,
                $name($($argument),*),
                |memory| Ok(($(memory.out(Pointer::<$ty>::new($result))?),*)),
                |memory, ($($result),*), ($($value),*)| {
                    $(memory.write($result, $value)?;)*
                    Ok(())
                },
            )
        })?;
    };
    ((asynchronous wait $linker:ident $get:ident $module:literal $name:ident)
     [$({$raw:ident $raw_ty:ty})*] [$(($argument:expr))*] [$({$result:ident $value:ident $ty:ty})*]) => {
        $linker.func_wrap_async(
            $module,
            stringify!($name),
            move |caller: Caller<'_, T>, ($($raw,)*): ($($raw_ty,)*)| {
                Box::new(run(
                    caller,
                    $get,
                    $name($($argument),*),
                    move |memory| Ok(($(memory.out(Pointer::<$ty>::new($result))?),*)),
                    |memory, ($($result),*), ($($value),*)| {
                        $(memory.write($result, $value)?;)*
                        Ok(())
                    },
                ))
            },
        )?;
    };
    ((files files $($import:tt)*) $($rest:tt)*) => { define!((direct $($import)*) $($rest)*) };
    ((files $($import:tt)*) $($rest:tt)*) => {};
    // In both kinds of stores.
    (($store:ident $kind:ident $($import:tt)*) $($rest:tt)*) => { define!((direct $($import)*) $($rest)*) };
}

imports!(registration);
