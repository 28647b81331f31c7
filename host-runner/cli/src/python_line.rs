//! What of the command line is Python's: its options, and what it runs.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use wasmtime::{Error, Result, format_err};

/// What Python runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// Code of the line itself, its standard input, or nothing, as with `-V`.
    Code,
    /// A module, which may be in the current folder.
    Module(String),
    /// The script, folder or archive of this word.
    Script(usize),
}

/// What Python runs with these words, as its own main program takes them (`_PyOS_GetOpt` and `config_parse_cmdline` in
/// CPython's Python/getopt.c and Python/initconfig.c). What is wrong with the words of a known option, Python says.
///
/// # Errors
/// An option is not Python's.
pub(crate) fn parse(words: &[OsString]) -> Result<Runs> {
    let mut has_folder = true;
    let mut runs_nothing = false;
    let mut at = 0;
    while let Some(option) = words
        .get(at)
        .and_then(|word| word.to_str()?.strip_prefix('-'))
    {
        if option.is_empty() {
            break;
        }
        at += 1;
        match option.strip_prefix('-') {
            Some("") => break,
            Some("help" | "help-all" | "help-env" | "help-xoptions" | "version") => {
                runs_nothing = true;
                continue;
            }
            Some("check-hash-based-pycs") => {
                at += 1;
                continue;
            }
            Some(_) => return Err(unknown(option)),
            None => {}
        }
        let mut letters = option.chars();
        while let Some(letter) = letters.next() {
            match letter {
                'c' => return Ok(Runs::Code),
                'm' => {
                    let own = Some(letters.as_str()).filter(|own| !own.is_empty());
                    let name = own.or_else(|| words.get(at)?.to_str());
                    return Ok(match name.filter(|_| has_folder && !runs_nothing) {
                        Some(name) => Runs::Module(name.to_owned()),
                        None => Runs::Code,
                    });
                }
                'W' | 'X' => {
                    at += usize::from(letters.as_str().is_empty());
                    break;
                }
                'I' | 'P' => has_folder = false,
                'h' | 'V' | '?' => runs_nothing = true,
                'b' | 'B' | 'd' | 'E' | 'i' | 'O' | 'q' | 'R' | 's' | 'S' | 't' | 'u' | 'v'
                | 'x' => {}
                _ => return Err(unknown(option)),
            }
        }
    }
    Ok(match words.get(at) {
        Some(script) if script != "-" && !runs_nothing => Runs::Script(at),
        _ => Runs::Code,
    })
}

/// The error for an option, which is given without its first dash.
fn unknown(option: &str) -> Error {
    const LISTS: &str =
        "`wasisocket run --help` lists its options, and `wasisocket run -- --help` those of Python";
    let name = option.split('=').next().unwrap_or(option);
    let command = crate::command().find_subcommand("run").cloned();
    let Some((command, long)) = command.zip(name.strip_prefix('-')) else {
        return format_err!("there is no option -{name}; {LISTS}");
    };
    if command
        .get_arguments()
        .any(|own| own.get_long() == Some(long))
    {
        return format_err!(
            "--{long} is an option of wasisocket: write it before the options of Python"
        );
    }
    let parsed = command
        .mut_arg("words", |words| words.allow_hyphen_values(false))
        .try_get_matches_from(["run", &format!("--{long}")]);
    let similar = parsed
        .err()
        .and_then(|error| match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(similar)) => Some(format!(" (is it {similar}?)")),
            _ => None,
        });
    let similar = similar.unwrap_or_default();
    format_err!("there is no option --{long}{similar}; {LISTS}")
}

#[cfg(test)]
mod tests {
    use super::{Runs, parse};
    use std::ffi::OsString;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ')
            .filter(|word| !word.is_empty())
            .map(OsString::from)
            .collect()
    }

    #[test]
    fn options_end_where_pythons_end() {
        let module = |name: &str| Runs::Module(name.into());
        for (line, runs) in [
            ("", Runs::Code),
            ("-", Runs::Code),
            ("-u - x", Runs::Code),
            ("-c pass", Runs::Code),
            ("-cpass -m x", Runs::Code),
            ("-uBc pass s.py", Runs::Code),
            ("-m a.b s.py", module("a.b")),
            ("-um a", module("a")),
            ("-ma", module("a")),
            ("-Im a", Runs::Code),
            ("-P -m a", Runs::Code),
            ("-m", Runs::Code),
            ("-V s.py", Runs::Code),
            ("-hm a", Runs::Code),
            ("--help-env", Runs::Code),
            ("s.py -c x", Runs::Script(0)),
            ("-u s.py", Runs::Script(1)),
            ("-X dev s.py", Runs::Script(2)),
            ("-Xdev s.py", Runs::Script(1)),
            ("-uX dev -Werror -W ignore s.py", Runs::Script(5)),
            ("-OO -bb -iqsSEBvdRxtP s.py", Runs::Script(3)),
            ("--check-hash-based-pycs always s.py", Runs::Script(2)),
            ("-u -- -s.py", Runs::Script(2)),
            ("-X", Runs::Code),
        ] {
            assert_eq!(parse(&words(line)).unwrap(), runs, "{line}");
        }
    }

    #[test]
    fn unknown_option_has_a_hint() {
        for (line, hint) in [
            ("-Z s.py", "no option -Z; `wasisocket run --help`"),
            ("-uJ s.py", "no option -uJ"),
            (
                "--alow-net=x s.py",
                "no option --alow-net (is it --allow-net?)",
            ),
            ("--nothing s.py", "no option --nothing; `wasisocket"),
            (
                "-u --timeout=3 s.py",
                "--timeout is an option of wasisocket: write it before",
            ),
        ] {
            let error = parse(&words(line)).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
