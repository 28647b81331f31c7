//! What python.wasm imports, and whether this host provides it.

use wasisocket_host::{Policy, SocketsCtx};
use wasmtime::{ExternType, FuncType, Result, Store};
use wasmtime_wasi::WasiCtxBuilder;

use crate::engine::Python;
use crate::guest::{Guest, blocking_linker};
use crate::preview1::Preview1;

/// An import of python.wasm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The module that it is imported from, such as `wasi_snapshot_preview1`.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// Whether this host provides it.
    pub state: ImportState,
}

/// Whether this host provides an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// It does.
    Provided,
    /// This host provides the name with another type. Both are as in WebAssembly's text format.
    Differs {
        /// The type that python.wasm needs.
        wanted: String,
        /// The type that this host provides.
        provided: String,
    },
    /// This host does not know the name.
    Missing,
}

impl Python {
    /// The imports of python.wasm, in its order. It can be run if all of them are provided.
    ///
    /// # Errors
    /// The imports of this host contradict each other.
    pub fn imports(&self) -> Result<Vec<Import>> {
        let module = &self.shared.module;
        let linker = blocking_linker(module.engine())?;
        let no_guest = Guest::new(
            Preview1::new(WasiCtxBuilder::new().build_p1(), true),
            SocketsCtx::builder(Policy::new()).build(),
            None,
            None,
            None,
        );
        let mut store = Store::new(module.engine(), no_guest);
        let states = module.imports().map(|import| {
            let provided = linker.try_get_by_import(&mut store, &import)?;
            let provided = provided.map(|provided| provided.ty(&store));
            Ok(Import {
                module: import.module().to_owned(),
                name: import.name().to_owned(),
                state: match (import.ty(), provided) {
                    (_, None) => ImportState::Missing,
                    (wanted, Some(provided)) if is_same(&wanted, &provided) => {
                        ImportState::Provided
                    }
                    (wanted, Some(provided)) => ImportState::Differs {
                        wanted: describe(&wanted),
                        provided: describe(&provided),
                    },
                },
            })
        });
        states.collect()
    }
}

fn is_same(wanted: &ExternType, provided: &ExternType) -> bool {
    match (wanted, provided) {
        (ExternType::Func(wanted), ExternType::Func(provided)) => FuncType::eq(wanted, provided),
        _ => false,
    }
}

fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => ty.to_string(),
        _ => "something that is not a function".into(),
    }
}
