//! Sandboxes of a Python program, by the Python package: natively there is nothing like it. Each round is a process of its own.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use wasisocket_tests::bench::{Column, Row, Run, Samples, interleave, printed};
use wasisocket_tests::guest::{built, program};
use wasisocket_tests::python_package::PythonPackage;

use crate::start::{ERYX, process};
use crate::{Options, native_python};

/// How many times each is run.
const ROUNDS: usize = 9;

/// A process that imports the package and has a result, and what further sandboxes take in another one.
fn boxes(which: &str, package: &Path, count: u32) -> String {
    let python = native_python().into_os_string();
    let script = program("bench/boxes.py").into_os_string();
    let path = ("PYTHONPATH", package.as_os_str().to_owned());
    let first = [python.clone(), script.clone(), which.into(), "first".into()];
    let first: [OsString; 4] = first;
    let first = process(
        "import, first sandbox, first result",
        &first,
        std::slice::from_ref(&path),
    );
    let mut further = Command::new(python);
    further
        .arg(script)
        .args([which, "further", &count.to_string()])
        .env(path.0, path.1);
    first + &printed(&mut further)
}

pub(crate) fn measure(options: &Options) -> Vec<Row> {
    let package = PythonPackage::assemble();
    let mut runs = vec![Run::new(Column::Ours, || {
        boxes("wasisocket", package.path(), options.guests)
    })];
    if std::env::var_os(ERYX).is_some() {
        runs.push(Run::new(Column::Peer, || boxes("pyeryx", &built(ERYX), 0)));
    }
    interleave(&mut Samples::new("boxes, unmeasured"), 1, &mut runs);
    let mut samples = Samples::new("boxes");
    interleave(&mut samples, options.rounds(ROUNDS), &mut runs);
    samples.rows()
}
