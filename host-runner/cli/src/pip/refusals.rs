//! Why pip found no package, in words for whoever asked for it. pip itself says that none matches.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::say;

/// Most of the log that is read: the guest writes it. The page of a large package makes 2 MB.
const LOG_MAX: u64 = 32 << 20;

/// Most packages that are spoken of.
const PACKAGES_MAX: usize = 10;

/// What pip's log has of one package.
#[derive(Debug, Default)]
struct Package {
    name: String,
    found: bool,
    for_others: bool,
    as_source: bool,
}

/// Says which packages there are, but not for this platform.
pub(super) fn explain(log: &Path) {
    // The guest may have put a link there.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(log) = rustix::fs::open(log, flags, Mode::empty()) else {
        return;
    };
    for line in explanations(File::from(log)) {
        say(format_args!("{line}"));
    }
}

fn explanations(log: impl Read) -> Vec<String> {
    let mut packages: Vec<Package> = Vec::new();
    let lines = BufReader::new(log.take(LOG_MAX)).lines();
    for line in lines.map_while(Result::ok) {
        if let Some((_, name)) = line.split_once("location(s) to search for versions of ") {
            packages.push(Package {
                name: name.trim_end_matches(':').to_owned(),
                ..Package::default()
            });
        }
        // One that was named as a file.
        if let Some((start, _)) = line.split_once(" is not a supported wheel on this platform")
            && let Some((_, name)) = start.rsplit_once(' ')
        {
            packages.push(Package {
                name: name.to_owned(),
                for_others: true,
                ..Package::default()
            });
        }
        let Some(package) = packages.last_mut() else {
            continue;
        };
        package.found |= line.contains("Found link ");
        package.for_others |= line.contains("Skipping link: none of the wheel's tags");
        package.as_source |= line.contains("Skipping link: No sources permitted");
    }
    packages
        .iter()
        .filter(|package| !package.found)
        .filter_map(|package| {
            let name: String = package.name.chars().take(100).collect();
            let name = name.escape_debug();
            match (package.for_others, package.as_source) {
                (true, _) => Some(format!(
                    "{name} has compiled parts, and no wheel for this platform. If it can do without \
                     them, as many packages can, --platform manylinux2014_x86_64 installs it"
                )),
                (false, true) => Some(format!(
                    "{name} comes as source only: building it needs processes, which a guest has not; \
                     build its wheel outside (`pip wheel {name}`) and name the file"
                )),
                (false, false) => None,
            }
        })
        .take(PACKAGES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::explanations;

    fn log(lines: &[&str]) -> Vec<String> {
        let text: String = lines
            .iter()
            .map(|line| format!("2026-01-01T00:00:00,000 {line}\n"))
            .collect();
        explanations(text.as_bytes())
    }

    const TAGS: &str =
        "  Skipping link: none of the wheel's tags (cp313-cp313-linux) are compatible";
    const SOURCE: &str =
        "  Skipping link: No sources permitted for it: https://example.com/it.tar.gz";

    #[test]
    fn package_for_other_platforms_is_explained() {
        let told = log(&[
            "1 location(s) to search for versions of fine:",
            TAGS,
            "  Found link https://example.com/fine-1-py3-none-any.whl, version: 1",
            "1 location(s) to search for versions of compiled:",
            SOURCE,
            TAGS,
            "1 location(s) to search for versions of unknown:",
        ]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("compiled has compiled parts"),
            "{told:?}"
        );
        let told =
            log(&["ERROR: it-1-cp313-none-any.whl is not a supported wheel on this platform."]);
        assert!(
            told[0].starts_with("it-1-cp313-none-any.whl has"),
            "{told:?}"
        );
    }

    #[test]
    fn package_without_wheels_is_explained() {
        let told = log(&["1 location(s) to search for versions of it:", SOURCE]);
        assert!(told[0].starts_with("it comes as source only"), "{told:?}");
    }

    #[test]
    fn log_does_not_reach_the_terminal_as_it_is() {
        let told = log(&["1 location(s) to search for versions of \x1b[2Jit:", TAGS]);
        assert!(told[0].starts_with("\\u{1b}[2Jit has"), "{told:?}");
    }
}
