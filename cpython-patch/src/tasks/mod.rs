//! The subcommands of `cargo xtask` besides the steps of the build.

pub(crate) mod bench;
pub(crate) mod clean;
pub(crate) mod cpython_tests;
pub(crate) mod dist;
pub(crate) mod doctor;
pub(crate) mod install;
pub(crate) mod lint;
pub(crate) mod native_packages;
pub(crate) mod profile;
pub(crate) mod run;
pub(crate) mod test;
