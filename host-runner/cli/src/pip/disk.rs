//! How much disk pip's guests may use.

use std::fs;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use toml::de::DeTable;
use wasisocket_host::{Limit, Limits};

/// What is installed may take so many bytes, unless the user says otherwise.
pub(super) const DISK: u64 = 4 << 30;

/// Where the user may have set the limit: as a flag, or in the file of `--policy`. Its value does not tell, as it may be
/// that of the default. These flags are those of the other grants; none is added.
#[derive(Debug)]
pub(super) struct DiskArgs {
    has_flag: bool,
    policy: Option<PathBuf>,
}

impl DiskArgs {
    /// Replaces the default.
    pub(super) fn apply(&self, limits: &mut Limits) {
        if !self.has_flag && !self.is_in_policy() {
            limits.max_disk = Some(DISK);
        }
    }

    fn is_in_policy(&self) -> bool {
        // Whoever read the grants has said what is wrong with the file.
        let text = self
            .policy
            .as_ref()
            .and_then(|file| fs::read_to_string(file).ok());
        text.is_some_and(|text| {
            let table = DeTable::parse(&text);
            table.is_ok_and(|table| table.get_ref().contains_key(Limit::MaxDisk.name()))
        })
    }
}

impl FromArgMatches for DiskArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            has_flag: matches.contains_id(Limit::MaxDisk.name()),
            policy: matches.get_one("policy").cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for DiskArgs {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
