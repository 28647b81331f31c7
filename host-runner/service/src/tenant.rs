//! Tenants: what the folder of tenants says of each, and its template.

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use wasisocket_host::{Grants, Limits};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::MEMORY_MAX;
use crate::places::Share;
use crate::refusal::Refusal;
use crate::template::Template;

/// The limits of a tenant whose policy does not set them.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_CPU: Duration = Duration::from_secs(10);

/// The most files that a policy lets a guest have open, and the default.
const FILES_MAX: usize = 64;
/// The most threads that it may have: each takes two of the process's mappings (vm.max_map_count).
const THREADS_MAX: usize = 32;

/// A template, or why there is none, once that is known.
pub(crate) type Import = OnceCell<Result<Arc<Template>, Refusal>>;

/// What is in the folder of tenants under one name.
pub(crate) struct Config {
    pub(crate) folder: PathBuf,
    pub(crate) grants: Grants,
    pub(crate) share: Share,
}

/// The template of a tenant, if there was a request.
pub(crate) struct Slot(Mutex<Content>);

struct Content {
    import: Arc<Import>,
    used: Instant,
}

impl Slot {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Content {
            import: Arc::default(),
            used: Instant::now(),
        }))
    }

    /// The import of the handler, which others may be waiting for.
    pub(crate) fn import(&self) -> Arc<Import> {
        let mut content = self.lock();
        content.used = Instant::now();
        Arc::clone(&content.import)
    }

    /// Has the next request import the handler anew, unless another one did already.
    pub(crate) fn forget(&self, import: &Arc<Import>) {
        let mut content = self.lock();
        if Arc::ptr_eq(&content.import, import) {
            let forgotten = mem::take(&mut content.import);
            drop(content);
            drop(forgotten);
        }
    }

    /// When the template was used last, if there is one that nobody is copying.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let content = self.lock();
        content.is_idle().then_some(content.used)
    }

    /// Gives up the template if nobody is copying it, and with it its place.
    pub(crate) fn give_up(&self) -> bool {
        let mut content = self.lock();
        let given_up = content.is_idle().then(|| mem::take(&mut content.import));
        drop(content);
        given_up.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn is_idle(&self) -> bool {
        // Others are counted only under this lock, or by those who are counted.
        Arc::strong_count(&self.import) == 1
            && matches!(self.import.get(), Some(Ok(template)) if Arc::strong_count(template) == 1)
    }
}

/// The tenants in a folder, by name.
///
/// # Errors
/// A policy is not valid, or something in a tenant's folder is neither a file nor a folder.
pub(crate) fn configs(
    folder: &Path,
    share: impl Fn(&Limits) -> Result<Share>,
) -> Result<HashMap<String, Config>> {
    let mut configs = HashMap::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let folder = entry?.path();
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !folder.join("handler.py").is_file() {
            continue;
        }
        check(&folder)?;
        if folder.join("policy.toml").exists() {
            bail!("{name}/policy.toml: a tenant's policy is beside its folder: {name}.toml");
        }
        let grants = grants(&folder.with_file_name(format!("{name}.toml")))?;
        let share = share(&grants.limits).with_context(|| format!("tenant {name}"))?;
        let name = name.to_owned();
        let config = Config {
            folder,
            grants,
            share,
        };
        configs.insert(name, config);
    }
    Ok(configs)
}

/// Refuses what is neither a file nor a folder: opening a FIFO would block the thread that many guests share.
fn check(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            check(&path)?;
        } else if !kind.is_file() && !kind.is_symlink() {
            bail!("{} is neither a file nor a folder", path.display());
        }
    }
    Ok(())
}

fn grants(policy: &Path) -> Result<Grants> {
    let mut grants = match policy.exists() {
        true => {
            let text = std::fs::read_to_string(policy)?;
            Grants::from_toml(&text).with_context(|| policy.display().to_string())?
        }
        false => Grants::default(),
    };
    let files = &mut grants.limits.max_files;
    *files = FILES_MAX.min(*files);
    let threads = &mut grants.limits.max_threads;
    *threads = THREADS_MAX.min(*threads);
    grants.limits.timeout.get_or_insert(TIMEOUT);
    grants.limits.max_cpu.get_or_insert(MAX_CPU);
    grants.limits.max_memory.get_or_insert(MEMORY_MAX);
    Ok(grants)
}
