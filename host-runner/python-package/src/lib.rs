//! `wasisocket._native`: the runner's sandbox for CPython. Converts and calls; the rest is in `wasisocket/__init__.py`.

mod functions;
mod packages;
mod sandbox;
mod value;

use pyo3::pymodule;

/// Sandboxes of the runner, as `wasisocket.Sandbox` uses them.
#[pymodule]
mod _native {
    use std::ffi::OsString;

    use pyo3::prelude::*;
    use wasisocket_host::{Limit, List};

    #[pymodule_export]
    use crate::sandbox::NativeSandbox;

    /// Runs the command wasisocket with arguments, of which the first is its name, and returns its exit status.
    #[pyfunction]
    fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| wasisocket_cli::run(arguments))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let lists: Vec<_> = List::ALL.iter().map(|list| list.name()).collect();
        let limits: Vec<_> = Limit::ALL.iter().map(|limit| limit.name()).collect();
        module.add("LISTS", lists)?;
        module.add("LIMITS", limits)
    }
}
