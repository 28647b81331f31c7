//! Sandboxes: one guest runs one piece of code after another.

mod copies;
mod functions;
mod runs;

use std::sync::LazyLock;

use wasisocket_host::{Grants, Limit};
use wasisocket_python::{Distribution, GuestError, Program, Python, PythonBuilder, Sandbox, Value};
use wasisocket_tests::guest::built;

const MEMORY: usize = 256 << 20;

static PYTHON: LazyLock<Python> = LazyLock::new(|| python().pool(64, MEMORY).load().unwrap());

fn python() -> PythonBuilder {
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).unwrap();
    Python::builder().distribution(distribution)
}

fn limited(limits: &[(&str, &str)]) -> Program {
    let mut grants = Grants::default();
    for (name, text) in limits {
        let limit = Limit::named(name).unwrap();
        grants.limits.set(limit, text).unwrap();
    }
    Program::default().grants(grants)
}

fn sandbox() -> Sandbox {
    Sandbox::open(&PYTHON, limited(&[("timeout", "60s")])).unwrap()
}

fn value(sandbox: &mut Sandbox, code: &str) -> Value {
    sandbox.run(code).unwrap().check().unwrap()
}

fn error(sandbox: &mut Sandbox, code: &str) -> GuestError {
    sandbox.run(code).unwrap().error.unwrap()
}
