//! What the command line and a policy file grant, together.

use std::fs;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use wasisocket_host::{Grants, Limit, List};
use wasmtime::error::Context as _;
use wasmtime::{Error, Result};

/// The lists of the commands that let no guest listen.
const REACH: [List; 6] = [
    List::AllowNet,
    List::DenyNet,
    List::AllowLookup,
    List::DenyLookup,
    List::Resolve,
    List::Dns,
];

/// The lists of what a guest may listen at.
const LISTEN: [List; 2] = [List::AllowListen, List::DenyListen];

/// The flags that grant and limit, of each command that starts a guest: those of [`REACH`], all limits, and a file.
#[derive(Debug)]
pub(crate) struct GrantArgs {
    lists: Vec<(List, String)>,
    limits: Vec<(Limit, String)>,
    policy: Option<PathBuf>,
}

/// The flags of [`LISTEN`].
#[derive(Debug, Default)]
pub(crate) struct ListenArgs(Vec<(List, String)>);

fn list_arg(list: List) -> Arg {
    let arg = Arg::new(list.name())
        .long(list.name())
        .value_name(list.placeholder())
        .help(list.help())
        .help_heading("Network")
        .hide_short_help(!matches!(list, List::AllowNet | List::AllowListen))
        .action(ArgAction::Append);
    match list {
        // The addresses of a name have commas between them.
        List::Resolve => arg,
        List::Dns => arg.value_delimiter(','),
        _ => arg
            .value_delimiter(',')
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("*"),
    }
}

fn limit_arg(limit: Limit) -> Arg {
    Arg::new(limit.name())
        .long(limit.name())
        .value_name(limit.placeholder())
        .help(limit.help())
        .help_heading("Limits")
        .hide_short_help(true)
}

/// The file of rules and limits.
const POLICY: &str = "policy";

fn policy_arg() -> Arg {
    Arg::new(POLICY)
        .long(POLICY)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Read rules and limits from a file too (TOML)")
        .help_heading("Network")
        .hide_short_help(true)
}

fn given(matches: &ArgMatches, lists: &[List]) -> Vec<(List, String)> {
    let texts = |list: &List| {
        let texts = matches.get_many::<String>(list.name());
        let texts = texts.into_iter().flatten().cloned();
        texts.map(|text| (*list, text)).collect::<Vec<_>>()
    };
    lists.iter().flat_map(texts).collect()
}

impl FromArgMatches for GrantArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let limit = |limit: &Limit| {
            let text = matches.get_one::<String>(limit.name())?;
            Some((*limit, text.clone()))
        };
        Ok(Self {
            lists: given(matches, &REACH),
            limits: Limit::ALL.iter().filter_map(limit).collect(),
            policy: matches.get_one(POLICY).cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for GrantArgs {
    fn augment_args(command: Command) -> Command {
        command
            .args(REACH.map(list_arg))
            .arg(policy_arg())
            .args(Limit::ALL.iter().copied().map(limit_arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ListenArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(given(matches, &LISTEN)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ListenArgs {
    fn augment_args(command: Command) -> Command {
        command.args(LISTEN.map(list_arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl ListenArgs {
    pub(crate) fn add_to(&self, grants: &mut Grants) -> Result<()> {
        add_all(grants, &self.0)
    }
}

impl GrantArgs {
    /// The grants of the file, if there is one, and of the flags. Lists are combined; for limits, the flag overrides
    /// the file.
    pub(crate) fn read(&self) -> Result<Grants> {
        self.read_over(Grants::default())
    }

    /// The same over grants that are there: limits that neither sets stay.
    pub(crate) fn read_over(&self, mut grants: Grants) -> Result<Grants> {
        if let Some(file) = &self.policy {
            let read = fs::read_to_string(file).map_err(Error::from);
            let added = read.and_then(|text| Ok(grants.add_toml(&text)?));
            added.with_context(|| format!("--policy {}", file.display()))?;
        }
        add_all(&mut grants, &self.lists)?;
        for (limit, value) in &self.limits {
            let set = grants.limits.set(*limit, value);
            set.with_context(|| format!("--{limit}"))?;
        }
        Ok(grants)
    }
}

fn add_all(grants: &mut Grants, entries: &[(List, String)]) -> Result<()> {
    for (list, text) in entries {
        let added = grants.add(*list, text);
        added.with_context(|| format!("--{list}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{GrantArgs, ListenArgs};
    use clap::Parser;
    use std::io::Write as _;
    use std::time::Duration;
    use wasisocket_host::{Grants, Limit, List};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        grants: GrantArgs,
        #[command(flatten)]
        listen: ListenArgs,
    }

    fn read(options: &[&str]) -> Result<Grants, String> {
        let words = ["run"].iter().chain(options);
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let grants = line.grants.read().and_then(|mut grants| {
            line.listen.add_to(&mut grants)?;
            Ok(grants)
        });
        grants.map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn flags_have_the_names_of_the_files_keys() {
        let file = |line: String| Grants::from_toml(&line).map_err(|error| error.to_string());
        for limit in Limit::ALL {
            let mut grants = Grants::default();
            grants.limits.set(*limit, "7").unwrap();
            assert_ne!(grants, Grants::default());
            assert_eq!(read(&[&format!("--{limit}=7")]).as_ref(), Ok(&grants));
            assert_eq!(file(format!("{limit} = 7")), Ok(grants));
        }
        for list in List::ALL {
            let text = match list {
                List::Resolve => "a.test:10.0.0.5",
                _ => "10.0.0.5",
            };
            let mut grants = Grants::default();
            grants.add(*list, text).unwrap();
            assert_ne!(grants, Grants::default());
            assert_eq!(read(&[&format!("--{list}={text}")]).as_ref(), Ok(&grants));
            assert_eq!(file(format!("{list} = ['{text}']")), Ok(grants));
        }
    }

    #[test]
    fn lists_of_a_file_and_of_flags_are_combined_and_flags_override_limits() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(
            b"allow-net = ['example.com']\ndns = ['192.0.2.1']\nmax-sockets = 5\ntimeout = 5\n",
        )
        .unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let grants = read(&[
            "--allow-net=example.org,example.net:80",
            "--resolve=db.test:10.0.0.5,10.0.0.6",
            "--dns=192.0.2.2,192.0.2.3:54",
            "--max-sockets=7",
            "--policy",
            &path,
        ])
        .unwrap();
        let rules: Vec<_> = grants.policy.rules().map(|(_, rule)| rule).collect();
        assert_eq!(rules, ["example.com", "example.org", "example.net:80"]);
        let servers = grants.resolver.servers().iter().map(ToString::to_string);
        assert_eq!(
            servers.collect::<Vec<_>>(),
            ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:54"]
        );
        assert_eq!(grants.limits.max_sockets, 7);
        assert_eq!(grants.limits.timeout, Some(Duration::from_secs(5)));

        file.write_all(b"max-bytes = 1\n").unwrap();
        let error = read(&["--policy", &path]).unwrap_err();
        let wanted = format!("--policy {path}: line 5, column 1: there is no key \"max-bytes\"");
        assert!(error.starts_with(&wanted), "{error}");
        let error = read(&["--policy", "/nowhere.toml"]).unwrap_err();
        assert!(error.starts_with("--policy /nowhere.toml: "), "{error}");
    }

    #[test]
    fn error_of_a_flag_begins_with_its_name() {
        for (option, text) in [
            ("--allow-net=127.0.0.1:0", "--allow-net: rule"),
            ("--deny-net=a b", "--deny-net: rule"),
            ("--allow-lookup=a:80", "--allow-lookup: rule"),
            ("--resolve=a", "--resolve: rule"),
            ("--dns=a", "--dns: rule"),
            (
                "--timeout=1d",
                "--timeout: \"1d\": \"d\" is no unit of time",
            ),
        ] {
            let error = read(&[option]).unwrap_err();
            assert!(error.starts_with(text), "{error}");
        }
    }
}
