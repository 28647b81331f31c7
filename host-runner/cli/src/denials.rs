//! Denials on standard error.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use wasisocket_host::{Denial, Event};

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

/// The last files that a guest did not get at, for want of a folder that is granted. Programs look for files that need not
/// be there: only those of one that failed are told.
#[derive(Debug, Default)]
pub(crate) struct FileRefusals(Mutex<VecDeque<String>>);

impl FileRefusals {
    /// How many are kept.
    const KEPT: usize = 3;

    pub(crate) fn keep(&self, refusal: &Event) {
        let line = refusal.to_string();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| *other != line);
        if kept.len() == Self::KEPT {
            kept.pop_front();
        }
        kept.push_back(line);
    }

    pub(crate) fn print(&self) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in &*kept {
            say(format_args!("{line}"));
        }
    }
}
