//! What was counted in training programs: how often each branch of CPython's C code was taken. The compiler inlines
//! and arranges code by it.
//!
//! `cargo xtask profile` counts, and writes the file in the checkout. A line of it is a function of CPython: its hash,
//! its name, and its counts. It is text because LLVM's own file is binary, ten times as large, and of one version of LLVM.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::Build;
use crate::process;
use crate::progress::Running;
use crate::steps::sdk::Sdk;

/// The file in the checkout.
pub(crate) const COUNTS: &str = "cpython-patch/profile/counts.txt";

/// What `optimize.mk` looks for.
const INDEXED: &str = "wasisocket.profdata";

/// The functions that are kept have this part of all counts.
const KEPT: f64 = 0.999;

/// Counts are scaled so that this is the highest: only their ratios matter.
const HIGHEST: f64 = 1e6;

/// A function of CPython.
#[derive(Debug, PartialEq)]
struct Function<'a> {
    /// With its file, if it is static.
    name: &'a str,
    /// Of its control flow.
    hash: &'a str,
    counts: Vec<u64>,
}

/// Writes the profile for CPython's Makefile in `folder`. Without a tool for it, which not every SDK has, CPython
/// is compiled without: it is right and slower.
pub(crate) fn install(build: &Build, running: &Running, sdk: &Sdk, folder: &Path) -> Result<()> {
    let tool = sdk.tool("llvm-profdata");
    if !tool.is_file() {
        running.note("the SDK has no llvm-profdata: CPython is compiled without a profile");
        return Ok(());
    }
    let path = build.checkout(COUNTS);
    let counts = fs::read_to_string(&path);
    let counts = counts.with_context(|| format!("cannot read {}", path.display()))?;
    let text = folder.join("wasisocket.proftext");
    fs::write(&text, to_llvm(&counts)?)?;
    let mut merge = Command::new(tool);
    merge.arg("merge").arg(&text);
    process::run(running, merge.arg("-o").arg(folder.join(INDEXED)))
}

/// Our file as LLVM's text.
fn to_llvm(counts: &str) -> Result<String> {
    let mut llvm = ":ir\n".to_owned();
    for line in counts.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_ascii_whitespace();
        let (Some(hash), Some(name)) = (words.next(), words.next()) else {
            bail!("{line:?} is no line of a profile");
        };
        let counts: Vec<_> = words.collect();
        let (number, counts) = (counts.len(), counts.join("\n"));
        write!(llvm, "{name}\n{hash}\n{number}\n{counts}\n\n")?;
    }
    Ok(llvm)
}

/// LLVM's text as our file.
pub(crate) fn from_llvm(llvm: &str) -> Result<String> {
    let mut functions = Vec::new();
    for block in llvm.split("\n\n") {
        let mut lines = block.lines().filter(|line| !line.starts_with(['#', ':']));
        if let (Some(name), Some(hash), Some(number)) = (lines.next(), lines.next(), lines.next()) {
            // What follows are values that calls were made with.
            let counts = lines.take(number.parse()?).map(str::parse);
            let counts: Result<Vec<u64>, _> = counts.collect();
            let counts = counts.with_context(|| format!("counts of {name}"))?;
            functions.push(Function { name, hash, counts });
        }
    }
    let sum = |function: &Function<'_>| function.counts.iter().map(|&n| n as f64).sum::<f64>();
    functions.sort_by(|a, b| sum(b).total_cmp(&sum(a)));
    let mut left = KEPT * functions.iter().map(sum).sum::<f64>();
    functions.retain(|function| {
        let keep = left > 0.0;
        left -= sum(function);
        keep
    });
    let highest = functions.iter().flat_map(|function| &function.counts).max();
    let scale = HIGHEST / *highest.context("nothing was counted")? as f64;
    functions.sort_by_key(|function| function.name);

    let mut text = "# By `cargo xtask profile`.\n".to_owned();
    for Function { name, hash, counts } in functions {
        write!(text, "{hash} {name}")?;
        for count in counts {
            // What happened is never said not to happen.
            write!(text, " {}", (count as f64 * scale).ceil())?;
        }
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLVM: &str = "# IR level Instrumentation Flag\n:ir\n../../Python/gc.c;visit\n# Func Hash:\n77\n\
        # Num Counters:\n3\n# Counter Values:\n4000000\n0\n1\n# Num Value Kinds:\n1\n2\n\n\
        _Py_hot\n# Func Hash:\n5\n# Num Counters:\n1\n# Counter Values:\n400000\n\n\
        _Py_cold\n# Func Hash:\n6\n# Num Counters:\n1\n# Counter Values:\n3\n\n";

    #[test]
    fn counts_are_scaled_and_what_is_seldom_called_is_left_out() {
        let ours = from_llvm(LLVM).unwrap();
        let lines: Vec<_> = ours.lines().skip(1).collect();
        assert_eq!(
            lines,
            ["77 ../../Python/gc.c;visit 1000000 0 1", "5 _Py_hot 100000"]
        );
        let llvm = to_llvm(&ours).unwrap();
        assert!(
            llvm.starts_with(":ir\n../../Python/gc.c;visit\n77\n3\n1000000\n0\n1\n\n"),
            "{llvm}"
        );
        assert_eq!(from_llvm(&llvm).unwrap(), ours);
        assert!(to_llvm("77\n").is_err() && from_llvm("").is_err());
    }
}
