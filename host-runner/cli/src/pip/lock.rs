//! Lock files of packages: pylock.toml, as PEP 751 and
//! <https://packaging.python.org/en/latest/specifications/pylock-toml/> define it.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail, ensure, format_err};

use super::notes;

/// The packages of a lock file: wheels, with their hashes.
#[derive(Debug, PartialEq, Eq)]
pub struct Lock {
    packages: Vec<Package>,
}

#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    /// When the package is installed at all (PEP 508).
    marker: Option<String>,
    /// The SHA-256 of each of its wheels, in hexadecimal.
    hashes: Vec<String>,
    /// All wheels are known to have compiled parts.
    is_compiled: bool,
}

/// Is this the name of a lock file? The specification knows `pylock.toml` and `pylock.NAME.toml`.
pub(super) fn is_lock(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    let Some(middle) = name
        .and_then(|name| name.strip_prefix("pylock"))
        .and_then(|name| name.strip_suffix(".toml"))
    else {
        return false;
    };
    let name = middle.strip_prefix('.');
    middle.is_empty() || name.is_some_and(|name| !name.is_empty() && !name.contains('.'))
}

impl Lock {
    /// Reads the content of a lock file.
    ///
    /// # Errors
    /// It is no TOML, or has another version than 1.x, or one of its packages has no version, or no wheel with a SHA-256.
    /// The error names the package.
    pub fn parse(text: &str) -> Result<Self> {
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format_err!("line {line}: {}", error.message().replace('\n', "; "))
        })?;
        let table = table.get_ref();
        let version = text_of(table, "lock-version");
        let version = version.context("there is no lock-version: this is no pylock.toml")?;
        ensure!(
            version == "1" || version.starts_with("1."),
            "its lock-version is {version:?}, and only 1.x is known"
        );
        let packages = table
            .get("packages")
            .and_then(|packages| packages.get_ref().as_array())
            .context("there are no packages")?;
        let packages = packages.iter().enumerate().map(|(index, package)| {
            let table = package.get_ref().as_table();
            let table = table.with_context(|| format!("package {} is no table", index + 1))?;
            let name = text_of(table, "name").filter(|name| notes::is_plain(name));
            let name = name.with_context(|| format!("package {} has no name", index + 1))?;
            Package::parse(name, table).with_context(|| format!("package {name}"))
        });
        Ok(Self {
            packages: packages.collect::<Result<_>>()?,
        })
    }

    /// The packages as a requirements file, for a pip that knows no lock files, with `--no-deps --require-hashes`.
    pub(super) fn requirements(&self) -> String {
        let line = |package: &Package| {
            let Package { name, version, .. } = package;
            let mut line = format!("{name}=={version}");
            if let Some(marker) = &package.marker {
                line += &format!(" ; {marker}");
            }
            for hash in &package.hashes {
                line += &format!(" --hash=sha256:{hash}");
            }
            line + "\n"
        };
        self.packages.iter().map(line).collect()
    }

    /// # Errors
    /// A package has no wheel that a guest could load.
    pub(super) fn check_pure(&self) -> Result<()> {
        // Whether a marker holds is for pip to say.
        let compiled = |package: &&Package| package.is_compiled && package.marker.is_none();
        if let Some(package) = self.packages.iter().find(compiled) {
            bail!(
                "package {}: all its wheels have compiled parts, which a guest cannot load; `wasisocket pip lock` finds \
                 versions without them",
                package.name
            );
        }
        Ok(())
    }
}

impl Package {
    fn parse(name: &str, table: &DeTable<'_>) -> Result<Self> {
        for source in ["archive", "directory", "vcs"] {
            ensure!(
                table.get(source).is_none(),
                "it is of the kind {source}, and only wheels of an index can be installed"
            );
        }
        let version = text_of(table, "version").context("it has no version")?;
        ensure!(
            notes::is_plain(version),
            "its version is no version: {version:?}"
        );
        let marker = text_of(table, "marker");
        if let Some(marker) = marker {
            check_marker(marker)?;
        }
        let wheels = table
            .get("wheels")
            .and_then(|wheels| wheels.get_ref().as_array());
        let wheels = wheels.map_or(&[] as &[_], |wheels| wheels.as_ref());
        let wheels: Vec<_> = wheels
            .iter()
            .filter_map(|wheel| wheel.get_ref().as_table())
            .collect();
        ensure!(
            !wheels.is_empty(),
            "it has no wheel, and nothing else can be installed in a guest"
        );
        let mut hashes: Vec<_> = wheels.iter().copied().filter_map(sha256).collect();
        hashes.sort();
        hashes.dedup();
        ensure!(!hashes.is_empty(), "none of its wheels has a SHA-256");
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            marker: marker.map(ToOwned::to_owned),
            hashes,
            is_compiled: wheels.iter().all(|wheel| {
                // Without a platform (PEP 425), it has none.
                wheel_name(wheel).is_some_and(|name| !name.ends_with("-any.whl"))
            }),
        })
    }
}

fn text_of<'a>(table: &'a DeTable<'_>, key: &str) -> Option<&'a str> {
    table.get(key).map(Spanned::get_ref)?.as_str()
}

fn sha256(wheel: &DeTable<'_>) -> Option<String> {
    let hashes = wheel.get("hashes").map(Spanned::get_ref);
    let hash = text_of(hashes.and_then(DeValue::as_table)?, "sha256")?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| hash.to_lowercase())
}

/// The name of a wheel's file, if the lock has it: it is the end of its place otherwise.
fn wheel_name<'a>(wheel: &'a DeTable<'_>) -> Option<&'a str> {
    let place = || text_of(wheel, "path").or_else(|| text_of(wheel, "url"));
    let name = text_of(wheel, "name").or_else(place)?;
    let name = name.split(['?', '#']).next()?.rsplit('/').next()?;
    name.ends_with(".whl").then_some(name)
}

/// Could pip read something else in this marker than a marker (pip/_internal/req/req_file.py)?
fn check_marker(marker: &str) -> Result<()> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b" _.,<>=!~()'\"*+/:-".contains(&byte);
    let is_option = |word: &str| word.starts_with('-');
    ensure!(
        marker.bytes().all(known) && !marker.split(' ').any(is_option),
        "its marker cannot be passed to pip: {marker:?}"
    );
    let mut words =
        marker.split(|character: char| !character.is_alphanumeric() && character != '_');
    ensure!(
        !words.any(|word| ["extra", "extras", "dependency_groups"].contains(&word)),
        "its marker is about extras or groups, which cannot be chosen here: {marker:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Lock, is_lock};
    use std::path::Path;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

    fn error(text: &str) -> String {
        format!("{:#}", Lock::parse(text).unwrap_err())
    }

    #[test]
    fn packages_become_requirements_with_the_hashes_of_all_wheels() {
        let text = format!(
            "lock-version = '1.0'\ncreated-by = 'other'\n\
             [[packages]]\nname = 'requests'\nversion = '2.0+local'\nsdist = {{name = 'requests-2.0.tar.gz'}}\n\
             wheels = [\n\
             {{name = 'requests-2.0-py3-none-any.whl', url = 'https://example.com/x', hashes = {{sha256 = '{B}', md5 = '0'}}}},\n\
             {{url = 'https://example.com/requests-2.0-cp313-cp313-win32.whl', hashes = {{sha256 = '{A}'}}}},\n\
             {{url = 'https://example.com/y.whl', hashes = {{sha512 = '0'}}}}]\n\
             [[packages]]\nname = 'colorama'\nversion = '0.4'\nmarker = \"sys_platform == 'win32'\"\n\
             wheels = [{{name = 'colorama-0.4-cp313-cp313-win32.whl', hashes = {{sha256 = '{A}'}}}}]\n"
        );
        let lock = Lock::parse(&text).unwrap();
        assert_eq!(
            lock.requirements(),
            format!(
                "requests==2.0+local --hash=sha256:{A} --hash=sha256:{}\n\
                 colorama==0.4 ; sys_platform == 'win32' --hash=sha256:{A}\n",
                B.to_lowercase()
            )
        );
        lock.check_pure().unwrap();
        let lock = Lock::parse("lock-version = '1.9'\npackages = []").unwrap();
        assert_eq!(lock.requirements(), "");
    }

    #[test]
    fn what_cannot_be_installed_is_named() {
        for (text, told) in [
            ("", "there is no lock-version"),
            ("lock-version = 1", "there is no lock-version"),
            ("lock-version = '2.0'", "its lock-version is \"2.0\""),
            ("lock-version = '10'", "its lock-version is \"10\""),
            ("lock-version = '1.0'", "there are no packages"),
            (
                "lock-version = '1.0'\npackages = [1]",
                "package 1 is no table",
            ),
            ("lock-version = '1.0'\nx = {\n", "line "),
        ] {
            let error = error(text);
            assert!(error.starts_with(told), "{text}: {error}");
        }
        let wheel = format!("wheels = [{{hashes = {{sha256 = '{A}'}}}}]");
        for (package, told) in [
            ("version = '1'", "package 2 has no name"),
            ("name = 'a b'\nversion = '1'", "package 2 has no name"),
            ("name = 'hello'", "package hello: it has no version"),
            (
                "name = 'hello'\narchive = {url = 'https://example.com/hello-1-py3-none-any.whl'}",
                "package hello: it is of the kind archive",
            ),
            (
                "name = 'hello'\nversion = '1 --index-url=x'",
                "package hello: its version is no version",
            ),
            (
                "name = 'hello'\nversion = '1'",
                "package hello: it has no wheel",
            ),
            (
                "name = 'hello'\nversion = '1'\nwheels = [{hashes = {sha256 = 'a'}}]",
                "package hello: none of its wheels has a SHA-256",
            ),
            (
                &format!("name = 'hello'\nversion = '1'\nmarker = \"a == 'b'\\n-r c\"\n{wheel}"),
                "package hello: its marker cannot be passed to pip",
            ),
            (
                &format!("name = 'hello'\nversion = '1'\nmarker = \"a == 'b' -r c\"\n{wheel}"),
                "package hello: its marker cannot be passed to pip",
            ),
            (
                &format!("name = 'hello'\nversion = '1'\nmarker = \"'x' in extras\"\n{wheel}"),
                "package hello: its marker is about extras",
            ),
        ] {
            let error = error(&format!(
                "lock-version = '1.0'\n[[packages]]\nname = 'first'\nversion = '1'\n{wheel}\n[[packages]]\n{package}\n"
            ));
            assert!(error.starts_with(told), "{package}: {error}");
        }
    }

    #[test]
    fn package_of_which_all_wheels_are_compiled_is_named() {
        let text = format!(
            "lock-version = '1.0'\n[[packages]]\nname = 'jiter'\nversion = '1'\n\
             wheels = [{{url = 'https://example.com/jiter-1-cp313-cp313-win32.whl#x', hashes = {{sha256 = '{A}'}}}}]\n"
        );
        let error = Lock::parse(&text).unwrap().check_pure().unwrap_err();
        let told = "package jiter: all its wheels have compiled parts";
        assert!(error.to_string().starts_with(told), "{error}");
    }

    #[test]
    fn lock_file_is_known_by_its_name() {
        for (name, is) in [
            ("pylock.toml", true),
            ("a/pylock.dev.toml", true),
            ("pylock..toml", false),
            ("pylock.a.b.toml", false),
            ("pylockdev.toml", false),
            ("requirements.txt", false),
            ("pylock.toml.txt", false),
        ] {
            assert_eq!(is_lock(Path::new(name)), is, "{name}");
        }
    }
}
