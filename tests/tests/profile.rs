//! Profiles of guests: `wasisocket run --profile`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use wasisocket_tests::guest::{Run, run};

const PROGRAM: &str = "\
import time

class Work:
    def outer(self, end):
        return max(range(10), key=lambda number: self.inner(end))

    def inner(self, end):
        total = 0
        while time.process_time() < end:
            total += 1
        return total

def grün(end):
    while time.process_time() < end:
        sorted(range(1000))

now = time.process_time()
Work().outer(now + 0.3)
grün(now + 0.6)
";

fn profile(folder: &Path, add: impl FnOnce(Run) -> Run) -> Value {
    let file = folder.join("profile.json");
    fs::write(folder.join("main.py"), PROGRAM).unwrap();
    let ended = add(run().arg("--profile").arg(&file))
        .arg(folder.join("main.py"))
        .end();
    ended.assert_success();
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The stacks of a profile's samples, outermost function first, and each sample's weight.
fn stacks(profile: &Value) -> Vec<(Vec<String>, i64)> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let number = |value: &Value| value.as_u64().map(|number| number as usize);
    let [thread] = &list(&profile["threads"])[..] else {
        panic!("not one thread");
    };
    // Of this format's versions one has the strings in the thread, another for all threads.
    let strings = thread.get("stringArray").filter(|array| array.is_array());
    let strings = list(strings.unwrap_or(&profile["shared"]["stringArray"]));
    let name = |frame: usize| {
        let function = number(&thread["frameTable"]["func"][frame]).unwrap();
        let name = number(&thread["funcTable"]["name"][function]).unwrap();
        strings[name].as_str().unwrap().to_owned()
    };
    let table = &thread["stackTable"];
    let samples = list(&thread["samples"]["stack"]);
    let weights = list(&thread["samples"]["weight"]);
    let stack = |sample: &Value| {
        let mut names = Vec::new();
        let mut stack = number(sample);
        while let Some(index) = stack {
            names.push(name(number(&table["frame"][index]).unwrap()));
            stack = number(&table["prefix"][index]);
        }
        names.reverse();
        names
    };
    samples
        .iter()
        .zip(weights)
        .map(|(sample, weight)| (stack(sample), weight.as_i64().unwrap()))
        .collect()
}

#[test]
fn functions_of_python_and_c_are_in_one_stack() {
    let folder = tempfile::tempdir().unwrap();
    for options in [&[][..], &["--cold"]] {
        let stacks = stacks(&profile(folder.path(), |run| run.args(options)));
        let time = |names: &[&str]| {
            let has = |stack: &[String]| {
                let mut stack = stack.iter();
                names.iter().all(|name| stack.any(|one| one == name))
            };
            let found = stacks.iter().filter(|(stack, _)| has(stack));
            found.map(|(_, weight)| weight).sum::<i64>()
        };
        // Each ran for 300 ms.
        let outer = [
            "<module> (/main.py:1)",
            "Work.outer (/main.py:4)",
            "builtin_max",
            "Work.outer.<locals>.<lambda> (/main.py:5)",
            "Work.inner (/main.py:7)",
        ];
        assert!(time(&outer) > 100, "{options:?}: {stacks:?}");
        let inner = ["Work.inner (/main.py:7)", "/main.py:9"];
        assert!(time(&inner) > 10, "{options:?}: {stacks:?}");
        let other = [
            "<module> (/main.py:1)",
            "grün (/main.py:13)",
            "/main.py:15",
            "builtin_sorted",
        ];
        assert!(time(&other) > 100, "{options:?}: {stacks:?}");
        // Never in one another.
        assert_eq!(time(&["grün (/main.py:13)", "Work.inner (/main.py:7)"]), 0);
        assert_eq!(time(&["Work.inner (/main.py:7)", "grün (/main.py:13)"]), 0);
    }
}

#[test]
fn guest_that_a_limit_ends_has_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.json");
    let code = "def spin():\n    while True: pass\nspin()";
    let ended = run()
        .arg("--profile")
        .arg(&file)
        .args(["--max-cpu", "500ms", "-c", code])
        .end();
    assert_eq!(ended.status, Some(124), "{}", ended.stderr);
    let profile = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let stacks = stacks(&profile);
    let spins =
        |(stack, _): &&(Vec<String>, i64)| stack.iter().any(|name| name == "spin (<string>:1)");
    assert!(stacks.iter().filter(spins).count() > 50, "{stacks:?}");
}

#[test]
fn guest_that_changes_what_the_profiler_reads_only_harms_its_profile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.json");
    // Deep recursion, names that are long or no text, many functions.
    let code = "\
import sys
sys.setrecursionlimit(3000)
def deep(n): return n and 1 + deep(n - 1)
for i in range(300): deep(900)
for i in range(2000):
    names = {}
    exec(compile(f'def f{i}():\\n for i in range(3000): pass', '\\udc80\\n' * 300, 'exec'), names)
    names[f'f{i}']()
";
    run()
        .arg("--profile")
        .arg(&file)
        .args(["-c", code])
        .succeeds();
    let profile = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let stacks = stacks(&profile);
    let names = stacks.iter().flat_map(|(stack, _)| stack);
    assert!(names.clone().any(|name| name == "deep (<string>:3)"));
    assert!(names.clone().all(|name| name.len() < 2000), "{names:?}");
}

#[test]
fn file_that_cannot_be_written_is_an_error_before_the_guest_runs() {
    let ended = run()
        .args(["--profile", "/nowhere/file", "-c", "print('ran')"])
        .end();
    assert_eq!((ended.status, &*ended.stdout), (Some(2), ""));
    assert!(ended.stderr.contains("--profile"), "{}", ended.stderr);
}
