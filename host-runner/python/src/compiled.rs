//! python.wasm as machine code: compiling it takes seconds, and loading the result again milliseconds.

use std::fs::{self, File};
use std::hash::{Hash as _, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tracing::debug;
use wasmtime::error::Context as _;
use wasmtime::{Engine, Error, Module, Result};

use crate::mapped;
use crate::trusted_folder::{TrustedFolder, hex};
use crate::whole_file::replace_file;

/// A module that was loaded.
pub(crate) struct Loaded {
    pub(crate) module: Module,
    /// The SHA-256 of its file, in hexadecimal, if there is a folder.
    pub(crate) wasm_hash: Option<String>,
    /// Why the next start will have to compile it too, if it will.
    pub(crate) error: Option<Error>,
}

/// The SHA-256 of a python.wasm, in hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn hash(wasm: &Path, folder: Option<&TrustedFolder>) -> Result<String> {
    let hash = || -> Result<_> {
        match folder {
            Some(folder) => Ok(folder.hash_of(&File::open(wasm)?)?),
            None => Ok(hex(&Sha256::digest(fs::read(wasm)?))),
        }
    };
    hash().with_context(|| cannot_load(wasm))
}

/// Takes a module with this hash from the folder, or from beside its file, if it is there for this engine.
pub(crate) fn find(
    engine: &Engine,
    wasm: &Path,
    hash: &str,
    folder: Option<&TrustedFolder>,
) -> Option<Loaded> {
    let started = Instant::now();
    let from_folder = folder.and_then(|folder| from_folder(engine, folder, &name(engine, hash)));
    let module = from_folder.or_else(|| shipped(engine, wasm, hash));
    debug!(elapsed = ?started.elapsed(), "module looked for");
    module.map(|module| Loaded::known(module, hash, folder))
}

fn cannot_load(wasm: &Path) -> String {
    format!("cannot load {}", wasm.display())
}

impl Loaded {
    /// A module that had been compiled before.
    pub(crate) fn known(module: Module, hash: &str, folder: Option<&TrustedFolder>) -> Self {
        Self {
            module,
            wasm_hash: folder.map(|_| hash.to_owned()),
            error: None,
        }
    }
}

/// Compiles a module, and keeps it in the folder.
///
/// # Errors
/// The file cannot be read, or it is no WebAssembly module.
pub(crate) fn compile(
    engine: &Engine,
    wasm: &Path,
    folder: Option<&TrustedFolder>,
) -> Result<Loaded> {
    let started = Instant::now();
    let compile = || -> Result<_> {
        let wasm = fs::read(wasm)?;
        let module = Module::from_binary(engine, &wasm)?;
        let Some(folder) = folder else {
            return Ok(Loaded {
                module,
                wasm_hash: None,
                error: None,
            });
        };
        let wasm_hash = hex(&Sha256::digest(&wasm));
        let name = name(engine, &wasm_hash);
        let added = folder.add(&name, &module.serialize()?);
        // This process maps it as well: its pages are then shared with others, and the system can drop them.
        let mapped = from_folder(engine, folder, &name);
        Ok(Loaded {
            module: mapped.unwrap_or(module),
            wasm_hash: Some(wasm_hash),
            error: added.err().map(Error::from),
        })
    };
    let compiled = compile().with_context(|| cannot_load(wasm));
    debug!(elapsed = ?started.elapsed(), "module compiled");
    compiled
}

fn from_folder(engine: &Engine, folder: &TrustedFolder, name: &str) -> Option<Module> {
    match mapped::load(engine, folder.get(name)?) {
        Ok(module) => Some(module),
        // It is compiled again then.
        Err(error) => {
            debug!("{name}: {error:#}");
            None
        }
    }
}

/// The name of the module that [`precompile`] makes of a python.wasm with this hash, with time limits or without.
fn shipped_name(wasm_hash: &str, has_time_limits: bool) -> String {
    let limits = if has_time_limits { "-limits" } else { "" };
    format!("python-{wasm_hash}{limits}.module")
}

/// The module that was compiled in advance and lies beside a python.wasm.
pub(crate) fn shipped(engine: &Engine, wasm: &Path, wasm_hash: &str) -> Option<Module> {
    [true, false].into_iter().find_map(|has_time_limits| {
        let path = wasm.with_file_name(shipped_name(wasm_hash, has_time_limits));
        match mapped::load_shipped(engine, File::open(&path).ok()?)? {
            Ok(module) => Some(module),
            // It is for processors that have more than this one, or for other settings.
            Err(error) => {
                debug!("{}: {error:#}", path.display());
                None
            }
        }
    })
}

/// Compiles a python.wasm by this engine into a file in a folder, which has to be beside the python.wasm to be used. It
/// replaces a file that is there.
pub(crate) fn precompile(
    engine: &Engine,
    has_time_limits: bool,
    wasm: &Path,
    folder: &Path,
) -> Result<PathBuf> {
    let wasm = fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
    let path = folder.join(shipped_name(&hex(&Sha256::digest(&wasm)), has_time_limits));
    let module = engine.precompile_module(&wasm)?;
    replace_file(&path, 0o644, |file| Ok(file.write_all(&module)?))?;
    Ok(path)
}

/// The name of a module with this hash, compiled by this engine with its settings.
fn name(engine: &Engine, wasm_hash: &str) -> String {
    let mut hash = EngineHash(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    hash.0.update(wasm_hash);
    format!("{}.module", hex(&hash.0.finalize()))
}

/// [`Hash`](std::hash::Hash) of the standard library makes too few bits, by a function that it may change.
struct EngineHash(Sha256);

impl Hasher for EngineHash {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::Loaded;
    use crate::trusted_folder::TrustedFolder;
    use std::fs;
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
    use std::path::{Path, PathBuf};
    use std::thread;
    use wasmtime::{Config, Engine, Instance, Result, Store};

    fn load(engine: &Engine, wasm: &Path, folder: Option<&TrustedFolder>) -> Result<Loaded> {
        let hash = super::hash(wasm, folder)?;
        match super::find(engine, wasm, &hash, folder) {
            Some(loaded) => Ok(loaded),
            None => super::compile(engine, wasm, folder),
        }
    }

    struct Files {
        temporary: tempfile::TempDir,
        wasm: PathBuf,
        folder: TrustedFolder,
    }

    fn files() -> Files {
        let temporary = tempfile::tempdir().unwrap();
        let folder = TrustedFolder::open(&temporary.path().join("modules")).unwrap();
        let files = Files {
            wasm: temporary.path().join("a.wasm"),
            folder,
            temporary,
        };
        files.write(7);
        files
    }

    impl Files {
        fn write(&self, value: i32) {
            let module = format!(r#"(module (func (export "f") (result i32) i32.const {value}))"#);
            fs::write(&self.wasm, wat::parse_str(module).unwrap()).unwrap();
        }

        /// The modules in the folder, with the time of their last change.
        fn modules(&self) -> Vec<(PathBuf, std::time::SystemTime)> {
            fs::read_dir(self.temporary.path().join("modules"))
                .unwrap()
                .map(|entry| entry.unwrap())
                .filter(|entry| entry.path().extension().unwrap() == "module")
                .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
                .collect()
        }
    }

    /// What the module's function returns.
    fn value(engine: &Engine, wasm: &Path, folder: Option<&TrustedFolder>) -> i32 {
        let loaded = load(engine, wasm, folder).unwrap();
        assert!(loaded.error.is_none(), "{:?}", loaded.error);
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &loaded.module, &[]).unwrap();
        let function = instance.get_typed_func::<(), i32>(&mut store, "f").unwrap();
        function.call(&mut store, ()).unwrap()
    }

    #[test]
    fn module_is_compiled_once_for_each_content_and_engine() {
        let files = files();
        let engine = Engine::default();
        for _ in 0..2 {
            assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 7);
        }
        let first = files.modules();
        assert_eq!(first.len(), 1);
        // A copy of the file, or a change back, is the same module.
        files.write(8);
        assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 8);
        files.write(7);
        assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 7);
        assert_eq!(files.modules().len(), 2);
        assert!(files.modules().contains(&first[0]));
        let other = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        let mut store = Store::new(&other, ());
        store.set_epoch_deadline(1);
        load(&other, &files.wasm, Some(&files.folder)).unwrap();
        assert_eq!(files.modules().len(), 3);
        assert_eq!(value(&engine, &files.wasm, None), 7);
    }

    #[test]
    fn module_that_was_compiled_in_advance_is_used() {
        let files = files();
        let engine = Engine::default();
        let beside = files.wasm.parent().unwrap();
        let shipped = super::precompile(&engine, false, &files.wasm, beside).unwrap();
        for folder in [None, Some(&files.folder)] {
            assert_eq!(value(&engine, &files.wasm, folder), 7);
        }
        assert_eq!(files.modules().len(), 0);
        // Not if it is for other settings, or everybody may write to it, or for another python.wasm.
        let other = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        load(&other, &files.wasm, Some(&files.folder)).unwrap();
        assert_eq!(files.modules().len(), 1);
        fs::set_permissions(&shipped, fs::Permissions::from_mode(0o646)).unwrap();
        assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 7);
        assert_eq!(files.modules().len(), 2);
        fs::set_permissions(&shipped, fs::Permissions::from_mode(0o644)).unwrap();
        files.write(8);
        assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 8);
        assert_eq!(files.modules().len(), 3);
    }

    #[test]
    fn damaged_module_is_compiled_again() {
        let files = files();
        let engine = Engine::default();
        let changes: [fn(&fs::File); 3] = [
            |file| {
                file.write_at(&[0xcc; 64], file.metadata().unwrap().len() / 2)
                    .unwrap();
            },
            |file| file.set_len(file.metadata().unwrap().len() - 1).unwrap(),
            |file| file.set_len(0).unwrap(),
        ];
        for change in changes {
            assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 7);
            let (module, written) = files.modules().remove(0);
            thread::sleep(std::time::Duration::from_millis(30));
            change(&fs::File::options().write(true).open(&module).unwrap());
            assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 7);
            assert!(files.modules()[0].1 > written);
        }
    }

    #[test]
    fn module_of_another_engine_is_refused_and_compiled_again() {
        let files = files();
        let engine = Engine::default();
        let other = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        load(&other, &files.wasm, Some(&files.folder)).unwrap();
        let wrong = fs::read(&files.modules()[0].0).unwrap();
        load(&engine, &files.wasm, Some(&files.folder)).unwrap();
        for (module, _) in files.modules() {
            let name = module.file_name().unwrap().to_str().unwrap();
            files.folder.add(name, &wrong).unwrap();
        }
        assert_eq!(value(&engine, &files.wasm, Some(&files.folder)), 7);
    }

    #[test]
    fn first_starts_at_the_same_time_all_load_it() {
        let files = files();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = TrustedFolder::open(&files.temporary.path().join("modules"));
                    let engine = Engine::default();
                    assert_eq!(value(&engine, &files.wasm, Some(&folder.unwrap())), 7);
                });
            }
        });
        assert_eq!(files.modules().len(), 1);
    }

    #[test]
    fn module_that_cannot_be_written_is_used_all_the_same() {
        let files = files();
        let engine = Engine::default();
        fs::remove_dir_all(files.temporary.path().join("modules")).unwrap();
        let loaded = load(&engine, &files.wasm, Some(&files.folder)).unwrap();
        assert!(loaded.error.is_some());
        fs::write(&files.wasm, "no module").unwrap();
        let error = load(&engine, &files.wasm, None).err().unwrap().to_string();
        assert!(error.starts_with("cannot load "), "{error}");
    }
}
