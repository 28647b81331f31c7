//! The context of all steps and tasks: the user's options, the checkout, the cache, the pins.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use clap::Args;
use etcetera::BaseStrategy;

use crate::cache::{Cache, KeyBuilder, Lock};
use crate::pins::Pins;
use crate::process;
use crate::progress::{Detail, Progress, Running};
use crate::steps::{self, AnyStep, Inputs, Step};

/// Cargo's target folder, in the cache: a second checkout does not compile wasmtime again. See
/// [`Build::claim`].
pub(crate) const TARGET: &str = "target";

/// Options of every subcommand.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A WASI SDK to build with, version 24 or 25
    #[arg(long, global = true, value_name = "DIR", env = "WASI_SDK_PATH")]
    pub(crate) wasi_sdk: Option<OsString>,

    /// CPython's source, 3.13 or later
    #[arg(
        long,
        global = true,
        value_name = "DIR|TARBALL",
        env = "WASISOCKET_CPYTHON"
    )]
    pub(crate) cpython: Option<OsString>,

    /// OpenSSL's source, 3.5 or later
    #[arg(
        long,
        global = true,
        value_name = "DIR|TARBALL",
        env = "WASISOCKET_OPENSSL"
    )]
    openssl: Option<OsString>,

    /// A rustc that has the target wasm32-wasip1, for the guest's library
    #[arg(long, global = true, value_name = "PATH", env = "RUSTC")]
    pub(crate) rustc: Option<OsString>,

    /// Where everything is built [default: wasisocket in the user's cache directory]
    #[arg(long, global = true, value_name = "DIR", env = "WASISOCKET_CACHE")]
    cache: Option<OsString>,

    /// Install no packages and no Rust target; say what is missing instead
    #[arg(long, global = true)]
    pub(crate) no_install: bool,

    /// Print what the commands print
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// An option's path. An empty environment variable counts as unset.
pub(crate) fn path_of(option: &Option<OsString>) -> Option<&Path> {
    option
        .as_deref()
        .filter(|value| !value.is_empty())
        .map(Path::new)
}

impl Options {
    /// The user's own source of a C library.
    pub(crate) fn library(&self, name: &str) -> Option<&Path> {
        match name {
            "openssl" => path_of(&self.openssl),
            _ => None,
        }
    }

    fn cache(&self) -> Result<PathBuf> {
        match path_of(&self.cache) {
            Some(path) => Ok(path.to_owned()),
            None => Ok(etcetera::choose_base_strategy()
                .context("no home directory: name a cache folder with --cache DIR")?
                .cache_dir()
                .join("wasisocket")),
        }
    }
}

/// Rust's name of this machine's platform.
pub(crate) fn platform() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let mut lines = version.lines();
    let target = lines.find_map(|line| line.strip_prefix("host: "));
    target.map(Into::into).context("rustc -vV names no host")
}

pub(crate) struct Build {
    pub(crate) options: Options,
    /// The checkout's root folder.
    pub(crate) workspace: PathBuf,
    pub(crate) cache: Cache,
    pub(crate) pins: Pins,
    pub(crate) progress: Progress,
    results: Mutex<HashMap<TypeId, Slot>>,
}

/// The result of one step, once it is known.
type Slot = Arc<Mutex<Option<Arc<dyn Any + Send + Sync>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Build {
    /// The context of a build whose last steps are `targets`.
    pub(crate) fn new(
        options: Options,
        targets: &[&'static AnyStep],
        detail: Detail,
    ) -> Result<Self> {
        let detail = if options.verbose {
            Detail::Output
        } else {
            detail
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Ok(Self {
            cache: Cache::open(options.cache()?)?,
            workspace: here.parent().unwrap_or(here).to_owned(),
            pins: Pins::load()?,
            progress: Progress::new(steps::plan(targets), detail),
            results: Mutex::default(),
            options,
        })
    }

    /// The result of a step; makes what is missing.
    pub(crate) fn ensure<S: Step>(&self) -> Result<Arc<S>> {
        let inputs = S::Inputs::ensure(self)?;
        self.once(|| S::ensure(self, &inputs).map(Some).context(S::TITLE))?
            .context(S::TITLE)
    }

    /// The result of a step, if it exists. Changes nothing.
    pub(crate) fn existing<S: Step>(&self) -> Result<Option<Arc<S>>> {
        match S::Inputs::existing(self)? {
            Some(inputs) => self.once(|| S::existing(self, &inputs)),
            None => Ok(None),
        }
    }

    /// Looks a result up only once: its key can be a hash over a large folder.
    fn once<S: Step>(&self, look_up: impl FnOnce() -> Result<Option<S>>) -> Result<Option<Arc<S>>> {
        let slot = Arc::clone(lock(&self.results).entry(TypeId::of::<S>()).or_default());
        let mut slot = lock(&slot);
        if slot.is_none() {
            *slot = look_up()?.map(|result| Arc::new(result) as _);
        }
        let result = slot.clone();
        Ok(result.and_then(|result| result.downcast().ok()))
    }

    /// Starts to show a step. The log is this checkout's: the step's key may not be known yet.
    pub(crate) fn begin(&self, name: &str, title: &'static str) -> Result<Running> {
        let checkout = KeyBuilder::new("log").path("checkout", &self.workspace);
        let file = format!("{name}-{}.log", checkout.finish());
        Ok(self
            .progress
            .begin(title, self.cache.folder("logs")?.join(file)))
    }

    /// A file or folder of the checkout.
    pub(crate) fn checkout(&self, relative: &str) -> PathBuf {
        self.workspace.join(relative)
    }

    /// Reserves cargo's target folder `name` for this checkout, for as long as the lock is held.
    ///
    /// Cargo distinguishes the packages of two checkouts only by the times of their files, and would link
    /// what the other checkout left there. Packages from the registry are the same for both, and stay.
    pub(crate) fn claim(&self, name: &str, notify: impl FnOnce(&str)) -> Result<(PathBuf, Lock)> {
        let lock = self.cache.lock_or_notify(&name.replace('/', "-"), notify)?;
        let folder = self.cache.folder(name)?;
        let owner = folder.join("checkout");
        let checkout = self.workspace.as_os_str().as_encoded_bytes();
        if fs::read(&owner).is_ok_and(|owner| owner == checkout) {
            return Ok((folder, lock));
        }
        for target in [None, Some(&self.pins.rust.target)] {
            let built = target.map_or(folder.clone(), |target| folder.join(target));
            if !built.join("release").is_dir() {
                continue;
            }
            let mut clean = self.cargo("clean");
            clean.args(["--workspace", "--release"]);
            if let Some(target) = target {
                clean.args(["--target", target]);
            }
            process::output(clean.env("CARGO_TARGET_DIR", &folder))?;
        }
        fs::write(&owner, checkout).with_context(|| format!("cannot write {}", owner.display()))?;
        Ok((folder, lock))
    }

    /// `cargo subcommand` in the checkout.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .arg(subcommand)
            .current_dir(&self.workspace)
            .env("CARGO_TARGET_DIR", self.cache.root().join(TARGET))
            // --rustc is about the guest.
            .env_remove("RUSTC");
        cargo
    }

    /// A command without the user's build variables, which configure would record.
    pub(crate) fn tool(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for variable in [
            "AR",
            "CC",
            "CFLAGS",
            "CONFIG_SITE",
            "CPP",
            "CPPFLAGS",
            "CXX",
            "CXXFLAGS",
            "LD",
            "LDFLAGS",
            "LD_LIBRARY_PATH",
            "LIBS",
            "MAKEFLAGS",
            "MAKELEVEL",
            "PYTHONHOME",
            "PYTHONPATH",
        ] {
            command.env_remove(variable);
        }
        let date = self.pins.cpython.source_date_epoch.to_string();
        command.env("SOURCE_DATE_EPOCH", date);
        command
    }

    /// The inputs of a cargo build of the packages below `folders`. The caller adds the compiler.
    pub(crate) fn cargo_inputs(&self, recipe: &str, folders: &[&str]) -> Result<KeyBuilder> {
        let mut key = KeyBuilder::new(recipe)
            .file(&self.checkout("Cargo.toml"))?
            .file(&self.checkout("Cargo.lock"))?
            .file(&self.checkout(".cargo/config.toml"))?;
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            let value = std::env::var(variable).unwrap_or_default();
            key = key.text(variable, &value);
        }
        for folder in folders {
            let keep = |path: &Path| !path.ends_with("target");
            key = key
                .text("folder", folder)
                .tree(&self.checkout(folder), keep)?;
        }
        Ok(key)
    }

    /// The number of jobs for make.
    pub(crate) fn jobs() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}
