//! `wasisocket._native`: the runner's sandbox for CPython. Converts and calls; the rest is in `wasisocket/__init__.py`.

mod functions;
mod sandbox;
mod value;

use pyo3::pymodule;

/// Sandboxes of the runner, as `wasisocket.Sandbox` uses them.
#[pymodule]
mod _native {
    use pyo3::prelude::*;
    use wasisocket_host::{Limit, List};

    #[pymodule_export]
    use crate::sandbox::NativeSandbox;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let lists: Vec<_> = List::ALL.iter().map(|list| list.name()).collect();
        let limits: Vec<_> = Limit::ALL.iter().map(|limit| limit.name()).collect();
        module.add("LISTS", lists)?;
        module.add("LIMITS", limits)
    }
}
