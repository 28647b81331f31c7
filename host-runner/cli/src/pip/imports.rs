//! Whether packages that have compiled parts work without them. A wheel does not say so: the packages are imported,
//! in a guest that reaches nothing.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wasisocket_host::{Grants, Limits};
use wasisocket_python::{End, Folder, Program, Python};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use super::notes;

/// The most time that the imports may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The most memory that the guest may have in which they are imported: nobody chose the code that runs there.
const MEMORY: usize = 1 << 30;

/// Where the guest sees the packages.
const SITE: &str = "/site";

/// What came of importing a package, as `_wasisocket_imports.py` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every module can be imported.
    Works,
    /// Most modules can be imported.
    Partly,
    /// The package, or most of it, cannot be imported.
    Fails,
}

/// A package whose wheel is for another platform.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// Its name and its version.
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// The modules that cannot be imported, or why the package cannot.
    details: String,
}

impl Package {
    /// From a line of `_wasisocket_imports.py`.
    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.splitn(4, '\t');
        let mut word = || columns.next().filter(|word| notes::is_plain(word));
        let (name, version) = (word()?, word()?);
        let verdict = match columns.next()? {
            "works" => Verdict::Works,
            "partly" => Verdict::Partly,
            "fails" => Verdict::Fails,
            _ => return None,
        };
        Some(Self {
            name: format!("{name} {version}"),
            verdict,
            details: columns.next().unwrap_or_default().to_owned(),
        })
    }

    /// A sentence for the user; none about a package that works.
    pub(super) fn limitation(&self) -> Option<String> {
        let Self { name, details, .. } = self;
        match self.verdict {
            Verdict::Works => None,
            Verdict::Partly => Some(format!(
                "{name} works without its compiled parts, but for these modules: {details}"
            )),
            Verdict::Fails => Some(format!(
                "{name} does not work without its compiled parts: {details}"
            )),
        }
    }
}

/// Imports the packages in the folder `site` that were installed from wheels for another platform.
///
/// `temporary` is an empty folder for the guest's results. It reaches nothing, and of the user's `limits` that of its
/// memory holds. What it says of the packages is their own word: they run there.
pub(super) fn try_packages(
    python: &Python,
    site: &Path,
    temporary: &Path,
    limits: &Limits,
) -> Result<Vec<Package>> {
    let mut grants = Grants::default();
    grants.limits.max_memory = Some(limits.max_memory.unwrap_or(MEMORY));
    let program = Program::module("_wasisocket_imports")
        .args([SITE, "/tmp/imports.txt"])
        .folder(Folder::read_only(site, SITE))
        .folder(Folder::read_write(temporary, "/tmp"))
        .grants(grants);
    let end = run_within(LIMIT, python, program)?;
    let packages = notes::lines(&temporary.join("imports.txt"));
    let packages: Vec<_> = packages
        .iter()
        .filter_map(|line| Package::parse(line))
        .collect();
    if end != Some(End::Exit(0)) {
        let last = packages.last();
        let place = last.map_or(String::new(), |last| format!(" after {}", last.name));
        bail!("importing the packages that have compiled parts was broken off{place}");
    }
    Ok(packages)
}

/// Runs a program without output for this long at most. `None`: it did not end, and ends with this process.
pub(super) fn run_within(
    limit: Duration,
    python: &Python,
    program: Program,
) -> Result<Option<End>> {
    let (sender, receiver) = mpsc::channel();
    let python = python.clone();
    thread::Builder::new()
        .spawn(move || sender.send(python.run(program)))
        .context("cannot start a thread")?;
    match receiver.recv_timeout(limit) {
        Ok(end) => end.map(Some),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Package, Verdict};

    #[test]
    fn verdicts_are_read_and_told() {
        let package = |line| Package::parse(line).unwrap();
        let works = package("wrapt\t2.5.2\tworks\t");
        assert_eq!(
            (works.name.as_str(), works.verdict),
            ("wrapt 2.5.2", Verdict::Works)
        );
        assert_eq!(works.limitation(), None);
        assert_eq!(
            package("PyYAML\t6.0.4\tpartly\tyaml.cyaml")
                .limitation()
                .unwrap(),
            "PyYAML 6.0.4 works without its compiled parts, but for these modules: yaml.cyaml"
        );
        assert_eq!(
            package("jiter\t0.19.0\tfails\timporting jiter raises ImportError: no")
                .limitation()
                .unwrap(),
            "jiter 0.19.0 does not work without its compiled parts: importing jiter raises ImportError: no"
        );
        assert_eq!(Package::parse("jiter\t0.19.0"), None);
        assert_eq!(Package::parse("a;reboot\t1\tworks\t"), None);
        assert_eq!(Package::parse("jiter\t0.19.0\tperhaps\t"), None);
    }
}
