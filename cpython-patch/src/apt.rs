//! Debian packages: installs tools, and fetches files of another suite without changing the machine's
//! configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::Build;
use crate::process;
use crate::progress::Running;

/// Whether this machine has apt and dpkg.
pub(crate) fn available() -> bool {
    process::find("apt-get").is_some() && process::find("dpkg-deb").is_some()
}

/// Whether a build on this machine may install missing packages.
pub(crate) fn may_install(build: &Build) -> bool {
    available() && !build.options.no_install && rustix::process::geteuid().is_root()
}

/// Installs `packages` after printing a note. If it may not install, the error contains the command to run.
pub(crate) fn install(
    build: &Build,
    running: &Running,
    packages: &[String],
    why: &str,
) -> Result<()> {
    let names = packages.join(" ");
    let by_hand = format!("apt-get install -y --no-install-recommends {names}");
    if !available() {
        bail!("{why}: install what this system calls the Debian packages {names}");
    }
    if build.options.no_install {
        bail!("{why}, and --no-install was given: run `{by_hand}` as root");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("{why}: run `sudo apt-get update && sudo {by_hand}`, then this again");
    }
    let _lock = build.cache.lock("apt-install", running)?;
    running.note(&format!("{why}: installing the Debian packages {names}"));
    let install = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages);
        process::run(running, &mut command)
    };
    with_new_lists(running, install)
        .with_context(|| format!("{why}, and installing the Debian packages {names} failed"))
}

/// Repeats a failed attempt with new package lists: those of a fresh machine are missing or old. Only root may
/// update them.
fn with_new_lists(running: &Running, attempt: impl Fn() -> Result<()>) -> Result<()> {
    attempt().or_else(|error| {
        if !rustix::process::geteuid().is_root() {
            return Err(error);
        }
        process::run(running, Command::new("apt-get").arg("update"))?;
        attempt()
    })
}

/// Downloads a package from this system's own sources into `folder`.
pub(crate) fn download(running: &Running, name: &str, folder: &Path) -> Result<()> {
    with_new_lists(running, || {
        let mut download = Command::new("apt-get");
        download
            // The user _apt may not write to the cache folder.
            .args(["-o", "APT::Sandbox::User=root", "download", name])
            .current_dir(folder);
        process::run(running, &mut download)
    })
}

/// Unpacks the files of a package into `folder`, and runs none of its scripts.
pub(crate) fn unpack(running: &Running, package: &Path, folder: &Path) -> Result<()> {
    let mut unpack = Command::new("dpkg-deb");
    process::run(running, unpack.arg("--extract").args([package, folder]))
}

/// Installs the commands in `names` that are missing.
pub(crate) fn require(build: &Build, running: &Running, names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| process::find(name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<String> = missing
        .iter()
        .flat_map(|name| match build.pins.tools.get(*name) {
            Some(packages) => packages.clone(),
            None => vec![(*name).to_owned()],
        })
        .collect();
    let why = format!("{} not found in PATH", missing.join(", "));
    install(build, running, &packages, &why)
}

/// Another suite on the machine's Debian mirror, read with separate package lists and a separate cache.
pub(crate) struct OtherSuite {
    folder: PathBuf,
    sources: PathBuf,
}

impl OtherSuite {
    /// The mirror of this machine. The error says why this machine cannot fetch from Debian.
    pub(crate) fn mirror(build: &Build) -> Result<String> {
        if !available() {
            bail!("no apt on this machine");
        }
        let keyring = Path::new(&build.pins.wasi_libc.keyring);
        if !keyring.is_file() {
            bail!("no Debian keyring at {}", keyring.display());
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .map(|value| value.trim_matches('"'));
        debian_mirror(&configured_sources(), codename)
            .context("no mirror of Debian's main archive among this machine's apt sources")
    }

    /// Fetches the package lists of the pinned suite.
    pub(crate) fn open(build: &Build, running: &Running) -> Result<Self> {
        let mirror = Self::mirror(build)?;
        let pin = &build.pins.wasi_libc;
        let folder = build.cache.folder("apt")?;
        let this = Self {
            sources: folder.join("debian.sources"),
            folder,
        };
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(this.folder.join(part))?;
        }
        let source = format!(
            "Types: deb deb-src\nURIs: {mirror}\nSuites: {}\nComponents: main\nSigned-By: {}\n",
            pin.suite, pin.keyring
        );
        fs::write(&this.sources, source)?;
        running.note(&format!("asking {mirror} for Debian's suite {}", pin.suite));
        process::run(running, this.apt_get().arg("update"))?;
        Ok(this)
    }

    fn apt_get(&self) -> Command {
        let mut command = Command::new("apt-get");
        let set = |name: &str, path: &Path| format!("{name}={}", path.display());
        for option in [
            set("Dir::Etc::SourceList", &self.sources),
            set("Dir::Etc::SourceParts", Path::new("/dev/null")),
            set("Dir::State::Lists", &self.folder.join("lists")),
            set("Dir::Cache", &self.folder.join("cache")),
            // The user _apt may not read the cache folder.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Retries=2".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// Downloads a binary package file into `folder`.
    pub(crate) fn package(&self, running: &Running, name: &str, folder: &Path) -> Result<()> {
        let mut command = self.apt_get();
        command.args(["download", name]).current_dir(folder);
        process::run(running, &mut command)
    }

    /// Downloads the upstream archive of a source package into `folder`.
    pub(crate) fn source(&self, running: &Running, name: &str, folder: &Path) -> Result<()> {
        let mut command = self.apt_get();
        command
            .args(["source", "--download-only", "--tar-only", name])
            .current_dir(folder);
        process::run(running, &mut command)
    }
}

/// One entry of apt's configured sources.
#[derive(Debug, Default, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: String,
}

fn configured_sources() -> Vec<Source> {
    let apt = Path::new("/etc/apt");
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(apt.join("sources.list.d")) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).ok()?;
        match file.extension()?.to_str()? {
            "list" => Some(one_line_sources(&text)),
            "sources" => Some(deb822_sources(&text)),
            _ => None,
        }
    };
    files.into_iter().filter_map(read).flatten().collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// sources.list(5), "One-Line-Style Format".
fn one_line_sources(text: &str) -> Vec<Source> {
    let parse = |line: &str| {
        let line = line.split('#').next()?;
        let rest = line.trim().strip_prefix("deb")?;
        let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => ("", rest),
        };
        let mut fields = words(rest).into_iter();
        Some(Source {
            uris: vec![fields.next()?],
            suites: vec![fields.next()?],
            components: fields.collect(),
            signed_by: words(options)
                .iter()
                .find_map(|option| option.strip_prefix("signed-by="))
                .unwrap_or_default()
                .to_owned(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// sources.list(5), "deb822-Style Format".
fn deb822_sources(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let uncommented = text.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<&str> = uncommented.collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in stanza {
            if line.starts_with(char::is_whitespace) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let field = |wanted: &str| {
            let found = fields.iter().find(|(name, _)| name == wanted);
            found.map_or("", |(_, value)| value)
        };
        let disabled = ["no", "false", "off", "0"].contains(&field("enabled"));
        if disabled || !words(field("types")).iter().any(|kind| kind == "deb") {
            continue;
        }
        sources.push(Source {
            uris: words(field("uris")),
            suites: words(field("suites")),
            components: words(field("components")),
            signed_by: field("signed-by").to_owned(),
        });
    }
    sources
}

/// The mirror of Debian's main archive among `sources`.
///
/// Other archives use the names of Debian's suites and components too, so entries are ranked by properties
/// that only Debian's own have: an `-updates` suite beside the release, Debian's keyring, the usual path.
fn debian_mirror(sources: &[Source], codename: Option<&str>) -> Option<String> {
    const SUITES: &[&str] = &["stable", "testing", "unstable", "sid", "oldstable"];
    let mut best = None;
    for source in sources {
        if !source
            .components
            .iter()
            .any(|component| component == "main")
        {
            continue;
        }
        for uri in &source.uris {
            let same_archive = |suite: &str| {
                let mut others = sources.iter().filter(|other| other.uris.contains(uri));
                others.any(|other| other.suites.iter().any(|name| name == suite))
            };
            for suite in &source.suites {
                let exact = codename == Some(suite);
                if !exact && !SUITES.contains(&suite.as_str()) {
                    continue;
                }
                let rank = (
                    same_archive(&format!("{suite}-updates")),
                    source.signed_by.contains("debian-archive-keyring"),
                    uri.trim_end_matches('/').ends_with("debian"),
                    exact,
                );
                let debian = rank.0 || rank.1 || rank.2;
                if debian && best.as_ref().is_none_or(|(other, _)| rank > *other) {
                    best = Some((rank, uri.clone()));
                }
            }
        }
    }
    best.map(|(_, uri)| uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb
# an older address
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no
";

    const ONE_LINE: &str = "\
# deb http://commented.example/debian bookworm main
deb http://tools.example/apt tools-bookworm main
deb [arch=amd64 signed-by=/etc/tools.gpg] https://vendor.example/debian/ stable main
deb [ trusted=yes ] http://mirror.example/deb-main bookworm main contrib # comment
deb http://mirror.example/deb-main bookworm-updates main
deb-src http://sources.example/debian bookworm main
";

    #[test]
    fn deb822_stanzas_comments_and_continuations() {
        let sources = deb822_sources(DEB822);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].components, ["main", "contrib"]);
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
        let mirror = debian_mirror(&sources, Some("bookworm"));
        assert_eq!(mirror.as_deref(), Some("http://mirror.example/debian"));
    }

    #[test]
    fn one_line_options_comments_and_source_entries() {
        let sources = one_line_sources(ONE_LINE);
        assert_eq!(sources.len(), 4);
        assert_eq!(sources[1].signed_by, "/etc/tools.gpg");
        assert_eq!(sources[2].uris, ["http://mirror.example/deb-main"]);
    }

    #[test]
    fn mirror_with_updates_wins_over_other_vendors() {
        let sources = one_line_sources(ONE_LINE);
        let mirror = debian_mirror(&sources, Some("bookworm"));
        assert_eq!(mirror.as_deref(), Some("http://mirror.example/deb-main"));
    }

    #[test]
    fn vendors_that_only_use_debian_names_are_not_mirrors() {
        let vendor = "deb http://tools.example/apt bookworm main\n";
        assert_eq!(
            debian_mirror(&one_line_sources(vendor), Some("bookworm")),
            None
        );
        assert_eq!(debian_mirror(&[], Some("bookworm")), None);
    }
}
