//! Grants in writing: by the names of the command's flags.

mod resolve;
