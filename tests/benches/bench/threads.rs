//! Threads: Python in the guest and native CPython, whose threads are the system's.

use std::process::Command;

use wasisocket_tests::bench::{Column, Row, Run, Samples, interleave, printed};
use wasisocket_tests::guest::{program, run};

use crate::{Options, native_python};

/// The program that both run.
const PROGRAM: &str = "bench/threads.py";
/// How many times each is run.
const ROUNDS: usize = 7;

pub(crate) fn measure(options: &Options) -> Vec<Row> {
    let native = || {
        let mut python = Command::new(native_python());
        printed(python.arg(program(PROGRAM)))
    };
    let guest = || {
        run()
            .args(["--allow-listen=127.0.0.1:0", "--allow-net=127.0.0.1"])
            .arg(program(PROGRAM))
            .succeeds()
    };
    let mut runs = [
        Run::new(Column::Native, native),
        Run::new(Column::Ours, guest),
    ];
    let mut samples = Samples::new("threads");
    interleave(&mut samples, options.rounds(ROUNDS), &mut runs);
    samples.rows()
}
