//! The steps of a build: the one list of them, and what they have in common.
//!
//! A step is a type, whose value is the step's result. To add one, write its file here and put it into
//! [`ALL`]: the subcommands, the progress display, `doctor` and `clean` follow the list.

pub(crate) mod build_python;
pub(crate) mod distribution;
pub(crate) mod guest;
pub(crate) mod host;
pub(crate) mod libraries;
pub(crate) mod licences;
pub(crate) mod nginx;
pub(crate) mod profile;
pub(crate) mod recipe;
pub(crate) mod rust_target;
pub(crate) mod sdk;
pub(crate) mod site_packages;
pub(crate) mod source;
pub(crate) mod wasm;
pub(crate) mod wide;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use crate::build::Build;
use crate::cache::Key;
use crate::progress::Running;
use crate::tasks::doctor::Report;

/// Every step, in the order in which a build needs them.
pub(crate) static ALL: &[&AnyStep] = &[
    step::<sdk::Sdk>(),
    step::<source::Source>(),
    step::<build_python::BuildPython>(),
    step::<guest::Guest>(),
    step::<libraries::Libraries>(),
    step::<wide::Wide>(),
    step::<wasm::Wasm>(),
    step::<distribution::Distribution>(),
    step::<host::Host>(),
    step::<site_packages::SitePackages>(),
    step::<nginx::Nginx>(),
];

/// What a user runs.
pub(crate) const PRODUCT: &[&AnyStep] =
    &[step::<distribution::Distribution>(), step::<host::Host>()];

/// What the tests need.
pub(crate) const TESTED: &[&AnyStep] = &[
    step::<distribution::Distribution>(),
    step::<host::Host>(),
    step::<site_packages::SitePackages>(),
    step::<nginx::Nginx>(),
];

/// One step of the build. The implementing type is the step's result.
pub(crate) trait Step: Sized + Send + Sync + 'static {
    /// The step's folder in the cache, and the start of the names of its locks and logs.
    const NAME: &'static str;
    /// The name that users read.
    const TITLE: &'static str;
    /// The help text of the subcommand [`Step::NAME`], which runs the step and prints the paths of the result.
    /// Without it there is no subcommand.
    const HELP: Option<&'static str> = None;
    /// Whether the result contains its own path, so that it must be built at its final place.
    const IN_PLACE: bool = false;
    /// The results that this step is made from: a tuple of `Arc`s.
    type Inputs: Inputs;

    /// The keys of the cache entries that make up the result, or `None` if [`Step::prepare`] must run
    /// before they are known. A step whose result lies outside the cache has no entries.
    fn keys(build: &Build, inputs: &Self::Inputs) -> Result<Option<Vec<Key>>>;

    /// Installs or downloads what the step needs besides its inputs.
    fn prepare(_build: &Build, _running: &Running, _inputs: &Self::Inputs) -> Result<()> {
        Ok(())
    }

    /// Fills the folder of one cache entry.
    fn make(job: &Job<'_>, inputs: &Self::Inputs) -> Result<()>;

    /// The result, from its cache entries in the order of [`Step::keys`].
    fn open(build: &Build, inputs: &Self::Inputs, entries: Vec<Entry>) -> Result<Self>;

    /// The version or origin of the result, for users.
    fn describe(&self) -> String {
        let path = self.paths().into_iter().next().unwrap_or_default();
        path.display().to_string()
    }

    /// The files or folders of the result.
    fn paths(&self) -> Vec<PathBuf>;

    /// The result, if it exists. Changes nothing.
    fn existing(build: &Build, inputs: &Self::Inputs) -> Result<Option<Self>> {
        let Some(keys) = Self::keys(build, inputs)? else {
            return Ok(None);
        };
        let entry = |key| {
            let folder = build.cache.result(Self::NAME, &key, Self::IN_PLACE)?;
            Some(Entry { folder, key })
        };
        let entries: Option<Vec<Entry>> = keys.into_iter().map(entry).collect();
        entries
            .map(|entries| Self::open(build, inputs, entries))
            .transpose()
    }

    /// The result; makes what is missing of it.
    fn ensure(build: &Build, inputs: &Self::Inputs) -> Result<Self> {
        if let Some(found) = Self::existing(build, inputs)? {
            build.progress.up_to_date(Self::TITLE, &found.describe());
            return Ok(found);
        }
        let running = build.begin(Self::NAME, Self::TITLE)?;
        Self::prepare(build, &running, inputs)?;
        let keys = || Self::keys(build, inputs)?.context("what was installed cannot be found");
        let mut entries = Vec::new();
        for (index, key) in keys()?.into_iter().enumerate() {
            let make = |folder: &Path| {
                Self::make(
                    &Job {
                        build,
                        running: &running,
                        folder,
                        index,
                    },
                    inputs,
                )?;
                if keys()?.get(index) != Some(&key) {
                    bail!("its source files changed while they were read: run again");
                }
                Ok(())
            };
            let cache = &build.cache;
            let folder = cache.publish(Self::NAME, &key, Self::IN_PLACE, &running, make)?;
            entries.push(Entry { folder, key });
        }
        let made = Self::open(build, inputs, entries)?;
        running.done(&made.describe());
        Ok(made)
    }

    /// Adds rows about the step to the table of `cargo xtask doctor`.
    fn doctor(build: &Build, report: &mut Report) {
        report.step::<Self>(build);
    }
}

/// One cache entry of a result.
pub(crate) struct Entry {
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
}

/// The entry of a step that has one.
fn only(entries: Vec<Entry>) -> Result<Entry> {
    entries.into_iter().next().context("no cache entry")
}

/// What [`Step::make`] works with.
pub(crate) struct Job<'a> {
    pub(crate) build: &'a Build,
    pub(crate) running: &'a Running,
    /// The folder to fill.
    pub(crate) folder: &'a Path,
    /// The entry's position in [`Step::keys`].
    pub(crate) index: usize,
}

/// The results that a step is made from.
pub(crate) trait Inputs: Sized {
    fn steps() -> Vec<&'static AnyStep>;
    /// Makes those that are missing.
    fn ensure(build: &Build) -> Result<Self>;
    /// All of them, if all exist.
    fn existing(build: &Build) -> Result<Option<Self>>;
}

macro_rules! inputs {
    ($($step:ident)*) => {
        impl<$($step: Step),*> Inputs for ($(Arc<$step>,)*) {
            fn steps() -> Vec<&'static AnyStep> {
                vec![$(step::<$step>()),*]
            }

            fn ensure(_build: &Build) -> Result<Self> {
                Ok(($(_build.ensure::<$step>()?,)*))
            }

            fn existing(_build: &Build) -> Result<Option<Self>> {
                Ok(Some(($(match _build.existing::<$step>()? {
                    Some(found) => found,
                    None => return Ok(None),
                },)*)))
            }
        }
    };
}

inputs!();
inputs!(A);
inputs!(A B);
inputs!(A B C);
inputs!(A B C D);
inputs!(A B C D E F G);

/// A step without its type, for lists.
pub(crate) struct AnyStep {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) help: Option<&'static str>,
    pub(crate) inputs: fn() -> Vec<&'static AnyStep>,
    /// Makes what is missing, and returns the result's paths.
    pub(crate) ensure: fn(&Build) -> Result<Vec<PathBuf>>,
    /// The result's paths, if it exists.
    pub(crate) existing: fn(&Build) -> Result<Option<Vec<PathBuf>>>,
    pub(crate) doctor: fn(&Build, &mut Report),
}

pub(crate) const fn step<S: Step>() -> &'static AnyStep {
    const {
        &AnyStep {
            name: S::NAME,
            title: S::TITLE,
            help: S::HELP,
            inputs: S::Inputs::steps,
            ensure: |build| Ok(build.ensure::<S>()?.paths()),
            existing: |build| Ok(build.existing::<S>()?.map(|found| found.paths())),
            doctor: S::doctor,
        }
    }
}

/// The titles of `targets` and of all steps that they are made from, in the order of [`ALL`].
pub(crate) fn plan(targets: &[&'static AnyStep]) -> Vec<&'static str> {
    let mut open = targets.to_vec();
    let mut needed = Vec::new();
    while let Some(step) = open.pop() {
        if !needed.contains(&step.name) {
            needed.push(step.name);
            open.extend((step.inputs)());
        }
    }
    ALL.iter()
        .filter(|step| needed.contains(&step.name))
        .map(|step| step.title)
        .collect()
}

/// What a user runs. The two have no step in common, and are made at the same time.
pub(crate) fn product(build: &Build) -> Result<(Arc<distribution::Distribution>, Arc<host::Host>)> {
    let python_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            let host = build.ensure::<host::Host>();
            if !python_ended.load(Ordering::Relaxed) {
                build.progress.report_failure(&host);
            }
            host
        });
        let python = build.ensure::<distribution::Distribution>();
        python_ended.store(true, Ordering::Relaxed);
        if !host.is_finished() {
            build.progress.report_failure(&python);
        }
        let host = match host.join() {
            Ok(host) => host,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok((python?, host?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_has_each_needed_step_once_and_in_order() {
        let all: Vec<_> = ALL.iter().map(|step| step.title).collect();
        assert_eq!(plan(TESTED), all);
        assert_eq!(
            plan(&[step::<libraries::Libraries>()]),
            [sdk::Sdk::TITLE, libraries::Libraries::TITLE]
        );
        assert_eq!(plan(&[]), [""; 0]);
    }

    #[test]
    fn every_step_comes_after_its_inputs_and_has_a_name_of_its_own() {
        for (index, step) in ALL.iter().enumerate() {
            let before: Vec<_> = ALL[..index].iter().map(|step| step.name).collect();
            assert!(!before.contains(&step.name), "{}", step.name);
            for input in (step.inputs)() {
                assert!(before.contains(&input.name), "{}", step.name);
            }
        }
    }
}
