//! Denials on standard error.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use wasisocket_host::Denial;

use crate::say;

/// The most lines that one run prints: a guest decides how many denials there are.
const LINES_MAX: usize = 100;

/// Prints denials, without duplicates.
#[derive(Debug, Default)]
pub(crate) struct DenialLines(Mutex<HashSet<String>>);

impl DenialLines {
    pub(crate) fn print(&self, denial: &Denial) {
        let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if printed.len() > LINES_MAX {
            return;
        }
        let line = denial.to_string();
        if printed.contains(&line) {
            return;
        }
        if printed.len() == LINES_MAX {
            say(format_args!("further denials are not printed"));
        } else {
            say(format_args!("{line}"));
        }
        printed.insert(line);
    }
}
