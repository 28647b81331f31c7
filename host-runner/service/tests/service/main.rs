//! The example service, with a real client and tenants that must not disturb each other.

mod operation;
mod process;
mod requests;
