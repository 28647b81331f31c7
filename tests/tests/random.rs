//! Random numbers of guests that start together: no two have the same, whatever their source.

use std::collections::{BTreeMap, HashSet};

use wasisocket_python::{Capture, Distribution, End, Program, Python};
use wasisocket_tests::guest::{built, program, run};

const GUESTS: usize = 4;
const MEMORY: usize = 256 << 20;

/// The program prints the name of each source and a number from it.
#[track_caller]
fn assert_different(outputs: &[String]) {
    let mut sources: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for line in outputs.iter().flat_map(|output| output.lines()) {
        let (name, number) = line.split_once(": ").unwrap();
        sources.entry(name).or_default().insert(number);
    }
    assert!(sources.len() > 10, "{sources:#?}");
    sources.retain(|_, numbers| numbers.len() < outputs.len());
    assert!(
        sources.is_empty(),
        "the same in several guests: {sources:#?}"
    );
}

#[test]
fn guests_of_the_command_have_numbers_of_their_own() {
    let started: Vec<_> = (0..GUESTS)
        .map(|_| run().arg(program("random/sources.py")).start())
        .collect();
    let outputs: Vec<_> = started
        .into_iter()
        .map(|guest| {
            let ended = guest.end();
            ended.assert_success();
            ended.stdout
        })
        .collect();
    assert_different(&outputs);
}

#[test]
fn guests_of_one_process_have_numbers_of_their_own() {
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).unwrap();
    let python = Python::builder()
        .distribution(distribution)
        .pool(GUESTS.try_into().unwrap(), MEMORY)
        .load()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..GUESTS)
        .map(|_| {
            let (python, stdout) = (python.clone(), Capture::new(1 << 16));
            let program = Program::script(program("random/sources.py")).stdout(&stdout);
            runtime.spawn(async move { (python.run_async(program).await.unwrap(), stdout) })
        })
        .collect();
    let outputs: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let (end, stdout) = runtime.block_on(task).unwrap();
            assert_eq!(end, End::Exit(0));
            String::from_utf8(stdout.bytes()).unwrap()
        })
        .collect();
    assert_different(&outputs);
}
