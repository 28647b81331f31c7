//! What the command line and a policy file grant, together.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use wasisocket_host::Grants;
use wasmtime::error::Context as _;
use wasmtime::{Error, Result};

/// The flags that grant and limit, of each command that starts a guest.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// Let the guest reach these hosts; without rules, every host
    #[arg(long, value_name = "RULE,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    allow_net: Vec<String>,
    /// Keep the guest from these hosts, whatever else is allowed; without rules, from every host
    #[arg(long, value_name = "RULE,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    deny_net: Vec<String>,
    /// Let the guest look these names up, which lets it reach nothing; without names, all
    #[arg(long, value_name = "HOST,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    allow_lookup: Vec<String>,
    /// Keep the guest from looking these names up; without names, any
    #[arg(long, value_name = "HOST,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    deny_lookup: Vec<String>,
    /// Give a name these addresses; without --dns, other names are then unknown
    #[arg(long, value_name = "NAME:IP,...")]
    resolve: Vec<String>,
    /// Ask these name servers, and not the system's resolver, which is `system`
    #[arg(long, value_name = "SERVER[:PORT],...", value_delimiter = ',')]
    dns: Vec<String>,
    /// Read rules and limits from a file too (TOML)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
}

/// For each of them: a heading for the whole struct would go on to what comes after it.
const HEADING: &str = "Limits";

#[derive(Debug, Args)]
struct LimitArgs {
    /// The most sockets that the guest may have open [default: 256]
    #[arg(long, help_heading = HEADING, value_name = "N")]
    max_sockets: Option<String>,
    /// The most connections in all, made and accepted
    #[arg(long, help_heading = HEADING, value_name = "N")]
    max_connections: Option<String>,
    /// The most connections that the guest makes a second
    #[arg(long, help_heading = HEADING, value_name = "N")]
    connect_rate: Option<String>,
    /// The most bytes that it receives in all; 16M, 1G
    #[arg(long, help_heading = HEADING, value_name = "SIZE")]
    max_bytes_in: Option<String>,
    /// The most bytes that it sends in all
    #[arg(long, help_heading = HEADING, value_name = "SIZE")]
    max_bytes_out: Option<String>,
    /// The most bytes that it receives a second
    #[arg(long, help_heading = HEADING, value_name = "SIZE")]
    rate_in: Option<String>,
    /// The most bytes that it sends a second
    #[arg(long, help_heading = HEADING, value_name = "SIZE")]
    rate_out: Option<String>,
    /// The most look-ups of names and addresses; the two families of a name are one
    #[arg(long, help_heading = HEADING, value_name = "N")]
    max_lookups: Option<String>,
    /// End the guest after this time, with status 124; 10, 0.5, 10s, 5m, 2h
    #[arg(long, help_heading = HEADING, value_name = "TIME")]
    timeout: Option<String>,
    /// End the guest when processors have worked so long for it, with status 124
    #[arg(long, help_heading = HEADING, value_name = "TIME")]
    max_cpu: Option<String>,
    /// The most memory that the guest may have; 256M, 1G
    #[arg(long, help_heading = HEADING, value_name = "SIZE")]
    max_memory: Option<String>,
}

impl LimitArgs {
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("max-sockets", &self.max_sockets),
            ("max-connections", &self.max_connections),
            ("connect-rate", &self.connect_rate),
            ("max-bytes-in", &self.max_bytes_in),
            ("max-bytes-out", &self.max_bytes_out),
            ("rate-in", &self.rate_in),
            ("rate-out", &self.rate_out),
            ("max-lookups", &self.max_lookups),
            ("timeout", &self.timeout),
            ("max-cpu", &self.max_cpu),
            ("max-memory", &self.max_memory),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

impl GrantArgs {
    /// The file's, if there is one, and the flags': lists are joined, and of a limit the flag holds.
    pub(crate) fn read(&self) -> Result<Grants> {
        let mut grants = match &self.policy {
            Some(file) => of_file(file)?,
            None => Grants::default(),
        };
        for (list, texts) in [
            ("allow-net", &self.allow_net),
            ("deny-net", &self.deny_net),
            ("allow-lookup", &self.allow_lookup),
            ("deny-lookup", &self.deny_lookup),
            ("resolve", &self.resolve),
            ("dns", &self.dns),
        ] {
            add(&mut grants, list, texts)?;
        }
        for (name, value) in self.limits.given() {
            let set = grants.limits.set(name, value);
            set.with_context(|| format!("--{name}"))?;
        }
        Ok(grants)
    }
}

/// What a flag that is a list adds.
pub(crate) fn add(grants: &mut Grants, list: &str, texts: &[String]) -> Result<()> {
    for text in texts {
        let added = grants.add(list, text);
        added.with_context(|| format!("--{list}"))?;
    }
    Ok(())
}

fn of_file(file: &Path) -> Result<Grants> {
    let read = fs::read_to_string(file).map_err(Error::from);
    let grants = read.and_then(|text| Ok(Grants::from_toml(&text)?));
    grants.with_context(|| format!("--policy {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::GrantArgs;
    use clap::Parser;
    use std::io::Write as _;
    use std::time::Duration;
    use wasisocket_host::Grants;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        grants: GrantArgs,
    }

    fn read(options: &[&str]) -> Result<Grants, String> {
        let words = ["run"].iter().chain(options);
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.grants.read().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn flags_have_the_names_of_the_files_keys() {
        for name in wasisocket_host::Limits::NAMES {
            let flag = format!("--{name}=7");
            let mut grants = Grants::default();
            grants.limits.set(name, "7").unwrap();
            assert_eq!(read(&[&flag]), Ok(grants));
        }
    }

    #[test]
    fn lists_of_a_file_and_of_flags_are_joined_and_a_limit_is_the_flags() {
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
    fn wrong_flag_is_told_with_its_name() {
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
