//! What a guest runs, and what it is given.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use tracing::debug;
use wasisocket_host::{Grants, SocketsCtxBuilder};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::etc::{Certificates, is_granted};
use crate::folders::Folder;
use crate::monotonic::Monotonic;
use crate::private_folder::PrivateFolder;
use crate::snapshot::{Preload, SEARCH_PATH, WatchedRandom};
use crate::stdio::{Capture, Input, Output};
use crate::time_zones::TimeZones;

/// The guest's folder for temporary files.
pub(crate) const TEMPORARY_FOLDER: &str = "/tmp";

/// The home of the guest's user in there: see [`etc`](crate::etc).
const HOME: &str = "home";

type ConfigureSockets = Box<dyn FnOnce(SocketsCtxBuilder) -> SocketsCtxBuilder + Send>;

/// A Python program and all that it is given: arguments, environment, folders, grants, standard streams.
///
/// By default it has no arguments, no environment, an empty standard input, and its output is discarded. It sees the
/// standard library, its script's folder or else an empty one as `/`, the certificates that the host trusts in
/// `/etc/ssl`, the host's time zones in `/usr/share/zoneinfo`, all for reading, and it reaches nothing.
#[must_use = "a program does nothing until it is run"]
#[derive(Default)]
pub struct Program {
    /// Options of Python, before what it runs.
    pub(crate) options: Vec<String>,
    /// A script of the host, or a folder with a program, if that is what is run.
    pub(crate) script: Option<PathBuf>,
    pub(crate) arguments: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) folders: Vec<Folder>,
    pub(crate) grants: Grants,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) time_zones: Option<TimeZones>,
    pub(crate) stdin: Input,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    /// Where its random bytes come from, if not from the system.
    pub(crate) random: Option<WatchedRandom>,
    pub(crate) configure_sockets: Option<ConfigureSockets>,
    /// Its clock, if it is not a new one.
    pub(crate) clock: Option<Monotonic>,
}

impl Program {
    /// Python with these arguments, as they would follow its name on a command line: options, and then `-c CODE`,
    /// `-m MODULE`, or the path of a script as the guest sees it.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Python code to run: `python -c CODE`.
    pub fn code(code: impl Into<String>) -> Self {
        Self::new(["-c".into(), code.into()])
    }

    /// A module to run: `python -m MODULE`.
    pub fn module(module: impl Into<String>) -> Self {
        Self::new(["-m".into(), module.into()])
    }

    /// A script of the host. The guest sees the folder of the script as `/`, for reading, unless another folder is
    /// granted as `/`: then the script has to be below that. Of a symbolic link, as of `python3`, it is the folder of
    /// its target, and the guest sees the target's name.
    ///
    /// A folder with a `__main__.py` is a script too. The guest sees the folder itself, in `/` and under its own name.
    pub fn script(script: impl Into<PathBuf>) -> Self {
        Self {
            script: Some(resolve_link(script.into())),
            ..Self::default()
        }
    }

    /// Adds options of Python, which come before what it runs: `-u`, or `-X` and `dev`.
    pub fn options(mut self, options: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// Adds arguments for the program: what it finds in `sys.argv` after its own name.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable. The last value of a name counts.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.env.retain(|(other, _)| *other != name);
        self.env.push((name, value));
        self
    }

    /// The value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.env.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| &**value)
    }

    /// Shows it a folder of the host.
    pub fn folder(mut self, folder: Folder) -> Self {
        self.folders.push(folder);
        self
    }

    /// Sets what it may reach and how much it may use. By default it reaches nothing, and has the default
    /// [`Limits`](wasisocket_host::Limits).
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// Sets the certificates that it trusts. By default those that the host trusts.
    pub fn certificates(mut self, certificates: Certificates) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// Sets the time zones that it knows. By default those that the host knows. Its local time is UTC unless the variable
    /// `TZ` ([`Program::env`]) names another zone.
    pub fn time_zones(mut self, time_zones: TimeZones) -> Self {
        self.time_zones = Some(time_zones);
        self
    }

    /// Gives it these bytes for its standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Input::Bytes(bytes.into());
        self
    }

    /// Gives it this process's standard input. Only one guest of a process should have it.
    pub fn inherit_stdin(mut self) -> Self {
        self.stdin = Input::Inherit;
        self
    }

    /// Captures its standard output.
    pub fn stdout(mut self, capture: &Capture) -> Self {
        self.stdout = Output::Capture(capture.clone());
        self
    }

    /// Lets it write to this process's standard output. A write that has to wait blocks the thread.
    pub fn inherit_stdout(mut self) -> Self {
        self.stdout = Output::Inherit;
        self
    }

    /// Captures its standard error.
    pub fn stderr(mut self, capture: &Capture) -> Self {
        self.stderr = Output::Capture(capture.clone());
        self
    }

    /// Lets it write to this process's standard error. A write that has to wait blocks the thread.
    pub fn inherit_stderr(mut self) -> Self {
        self.stderr = Output::Inherit;
        self
    }

    /// Changes how its sockets are made, after grants and folders were set: to see what it does, or to decide about
    /// each operation ([`SocketsCtxBuilder`]). A later call is applied after an earlier one.
    pub fn sockets(
        mut self,
        configure: impl FnOnce(SocketsCtxBuilder) -> SocketsCtxBuilder + Send + 'static,
    ) -> Self {
        let earlier = self.configure_sockets.take();
        self.configure_sockets = Some(Box::new(move |builder| match earlier {
            Some(earlier) => configure(earlier(builder)),
            None => configure(builder),
        }));
        self
    }

    /// The same again, but for where its output goes. `None` if something of it cannot be done twice.
    pub(crate) fn again(&self) -> Option<Self> {
        if self.configure_sockets.is_some() || self.random.is_some() {
            return None;
        }
        Some(Self {
            options: self.options.clone(),
            script: self.script.clone(),
            arguments: self.arguments.clone(),
            env: self.env.clone(),
            folders: self.folders.clone(),
            grants: self.grants.clone(),
            certificates: self.certificates.clone(),
            time_zones: self.time_zones.clone(),
            stdin: self.stdin.clone(),
            stdout: Output::Discard,
            stderr: Output::Discard,
            random: None,
            configure_sockets: None,
            clock: None,
        })
    }

    /// The same with the folders of an image in its search path, behind its own.
    pub(crate) fn with_search_path(self, preload: &Preload) -> Self {
        let Some(mut path) = preload.search_path() else {
            return self;
        };
        let own = self.env.iter().find(|(name, _)| name == SEARCH_PATH);
        if let Some((_, own)) = own.filter(|(_, own)| !own.is_empty()) {
            path = format!("{own}:{path}");
        }
        self.env(SEARCH_PATH, path)
    }

    /// The folder of the host that it sees as `/`, if it is granted one.
    pub(crate) fn root(&self) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.is_root())
    }

    /// A new folder for its `/tmp`; `None` if it was granted one, or if there is no room for it, which is no reason not
    /// to run.
    pub(crate) fn private_temporary(&self) -> Option<PrivateFolder> {
        let name = TEMPORARY_FOLDER.trim_start_matches('/');
        // A link is not followed: the guest may have made it.
        let in_root = |root: &Folder| root.host().join(name).symlink_metadata().is_ok();
        if is_granted(&self.folders, TEMPORARY_FOLDER) || self.root().is_some_and(in_root) {
            return None;
        }
        PrivateFolder::new()
            .and_then(|folder| fs::create_dir(folder.path().join(HOME)).map(|()| folder))
            .inspect_err(|error| debug!("no folder for temporary files: {error}"))
            .ok()
    }

    /// The folder of the host that it sees because of its script, if it is not granted one as `/`.
    pub(crate) fn script_folder(&self) -> Option<Folder> {
        let script = self.script.as_deref()?;
        if self.root().is_some() {
            return None;
        }
        Some(match script.is_dir() {
            true => Folder::read_only(script, Path::new("/").join(name(script)).to_string_lossy()),
            false => Folder::read_only(parent(script), "/"),
        })
    }

    /// The path of its script as it sees it.
    pub(crate) fn script_in_guest(&self) -> Result<Option<String>> {
        let Some(script) = self.script.as_deref() else {
            return Ok(None);
        };
        if !script.is_file() && !script.join("__main__.py").is_file() {
            bail!("no such script: {}", script.display());
        }
        let place = match self.root() {
            Some(root) if script.is_dir() => root.relative(script)?,
            Some(root) => root.relative(parent(script))?.join(name(script)),
            None => PathBuf::from(name(script)),
        };
        let path = Path::new("/").join(place);
        let path = path.to_str().map(str::to_owned);
        let not_utf8 = || {
            format!(
                "the path of {} is not UTF-8, as WASI wants it",
                script.display()
            )
        };
        path.with_context(not_utf8).map(Some)
    }
}

/// The folder that a file or folder is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) => Path::new("."),
        None => path,
    }
}

fn name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// The target of a script that is a symbolic link, and the true path of a folder: that of `.` has a name.
fn resolve_link(script: PathBuf) -> PathBuf {
    let is_neighbour = |target: &Path| {
        let mut names = target.components();
        let is_name = matches!(names.next(), Some(Component::Normal(_))) && names.next().is_none();
        is_name && !parent(&script).join(target).is_symlink()
    };
    match fs::read_link(&script) {
        // The guest sees the link itself.
        Ok(target) if is_neighbour(&target) && !script.is_dir() => script,
        Err(_) if !script.is_dir() => script,
        _ => script.canonicalize().unwrap_or(script),
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values of variables may be secrets.
        let env: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Program")
            .field("options", &self.options)
            .field("script", &self.script)
            .field("arguments", &self.arguments)
            .field("env", &env)
            .field("folders", &self.folders)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Program;
    use crate::Folder;

    #[test]
    fn last_value_of_a_variable_counts() {
        let program = Program::code("pass")
            .env("A", "1")
            .env("B", "2")
            .env("A", "3");
        let env = program
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        assert_eq!(env.collect::<Vec<_>>(), ["B=2", "A=3"]);
    }

    #[test]
    fn link_to_a_script_is_resolved_unless_both_are_in_one_folder() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(at("app")).unwrap();
        for name in ["app/__main__.py", "app/my.py"] {
            std::fs::write(at(name), "").unwrap();
        }
        symlink("app/my.py", at("away")).unwrap();
        symlink("my.py", at("app/beside")).unwrap();
        symlink("beside", at("app/twice")).unwrap();
        symlink("app", at("folder")).unwrap();
        for (script, path, host, guest) in [
            ("app/my.py", "/my.py", "app", "/"),
            ("folder/my.py", "/my.py", "folder", "/"),
            ("away", "/my.py", "app", "/"),
            ("app/beside", "/beside", "app", "/"),
            ("app/twice", "/my.py", "app", "/"),
            ("app", "/app", "app", "/app"),
            ("app/../app/.", "/app", "app", "/app"),
            ("folder", "/app", "app", "/app"),
        ] {
            let program = Program::script(at(script));
            assert_eq!(program.script_in_guest().unwrap().unwrap(), path);
            let folder = Folder::read_only(at(host), guest);
            assert_eq!(program.script_folder(), Some(folder), "{script}");
            let rooted = program.folder(Folder::read_only(at("app"), "/"));
            let path = path.strip_prefix("/app").map_or(path, |_| "/");
            assert_eq!(rooted.script_in_guest().unwrap().unwrap(), path);
        }
    }

    #[test]
    fn script_is_found_below_the_folder_that_is_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let script = folder.path().join("sub/my.py");
        let program = |root: &str| {
            Program::script(&script).folder(Folder::read_only(folder.path().join(root), "/"))
        };
        let error = program("").script_in_guest().unwrap_err().to_string();
        assert!(error.starts_with("no such script: "), "{error}");
        std::fs::write(&script, "").unwrap();
        let path = Program::script(&script).script_in_guest().unwrap();
        assert_eq!(path.unwrap(), "/my.py");
        let path = program("").script_in_guest().unwrap();
        assert_eq!(path.unwrap(), "/sub/my.py");
        std::fs::create_dir(folder.path().join("other")).unwrap();
        let error = program("other").script_in_guest().unwrap_err().to_string();
        assert!(error.contains("not below it"), "{error}");
    }
}
