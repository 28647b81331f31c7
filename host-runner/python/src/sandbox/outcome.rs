//! What came of a run.

use std::fmt;
use std::time::Duration;

use wasisocket_host::{Event, Limit, LimitReached};
use wasmtime::Error;

use super::value::Value;
use crate::end::End;

/// What came of a run in a [`Sandbox`](super::Sandbox).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The value of the last statement, if that was an expression, or what a function returned.
    pub value: Value,
    /// The exception that ended it.
    pub error: Option<GuestError>,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// How many bytes of both were not kept, for want of room.
    pub cut: u64,
    /// What it used.
    pub usage: Usage,
    /// What it did with its sockets, and what was denied: the first thousand events.
    pub events: Vec<Event>,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Wall time.
    pub elapsed: Duration,
    /// CPU time.
    pub cpu_time: Duration,
    /// The size of the guest's memory afterwards, in bytes. It never shrinks.
    pub memory: usize,
}

/// An exception of Python that ended a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestError {
    /// The name of its type.
    pub type_name: String,
    /// `str()` of it.
    pub message: String,
    /// The traceback as Python prints it, with the exception and those that it came from.
    pub traceback: String,
    /// The frames of the traceback, the outermost first.
    pub frames: Vec<Frame>,
}

/// A line that was running when an exception was raised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 if it is not known.
    pub line: u32,
    /// The function.
    pub function: String,
    /// The text of the line; empty if it is not known.
    pub text: String,
}

/// Why a run has no outcome.
#[derive(Debug)]
#[non_exhaustive]
pub enum SandboxError {
    /// The guest reached this limit, and was ended.
    Limit {
        /// `timeout` or `max-cpu`.
        limit: Limit,
        /// What it had written until then.
        outcome: Box<Outcome>,
    },
    /// The guest has ended: by itself, by an earlier limit, or because a run was given up.
    Ended {
        /// How.
        end: End,
        /// What it had written until then.
        outcome: Box<Outcome>,
    },
    /// The host could not do it.
    Host(Error),
}

impl Outcome {
    /// The value, or the exception as an error.
    ///
    /// # Errors
    /// There is one.
    pub fn check(self) -> Result<Value, GuestError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.value),
        }
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            value: Value::None,
            error: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            cut: 0,
            usage: Usage::default(),
            events: Vec::new(),
        }
    }
}

impl From<Error> for SandboxError {
    fn from(error: Error) -> Self {
        match error.downcast_ref::<LimitReached>() {
            // While it began, which for a copy is code that the guest can change.
            Some(reached) => Self::Limit {
                limit: reached.limit(),
                outcome: Box::default(),
            },
            None => Self::Host(error),
        }
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit, .. } => write!(f, "the guest reached its limit {limit}"),
            Self::Ended { end, .. } => match end {
                End::Exit(status) => write!(f, "the guest has ended with status {status}"),
                End::Limit(limit) => write!(f, "the guest has ended by its limit {limit}"),
                End::Trap(text) => write!(f, "the guest has ended: {text}"),
            },
            Self::Host(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SandboxError {}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.is_empty() {
            true => f.write_str(&self.type_name),
            false => write!(f, "{}: {}", self.type_name, self.message),
        }
    }
}

impl std::error::Error for GuestError {}

/// Reads an answer of `_wasisocket_session.py`. A guest can answer anything.
pub(super) fn parse(answer: &[u8]) -> (Value, Option<GuestError>) {
    let answer = match Value::read(answer) {
        Some(Value::Tuple(parts)) => <[Value; 2]>::try_from(parts).ok(),
        _ => None,
    };
    match answer {
        Some([Value::Str(kind), value]) if kind == "value" => (value, None),
        Some([Value::Str(kind), error]) if kind == "error" => {
            (Value::None, Some(GuestError::of(error)))
        }
        _ => {
            let unreadable = Value::Other {
                type_name: "object".into(),
                repr: "<a value that is too large, or too deep>".into(),
            };
            (unreadable, None)
        }
    }
}

impl GuestError {
    fn of(error: Value) -> Self {
        let parts = match error {
            Value::Tuple(parts) => <[Value; 4]>::try_from(parts).ok(),
            _ => None,
        };
        let [type_name, message, traceback, frames] = parts.unwrap_or([const { Value::None }; 4]);
        let frames = match frames {
            Value::List(frames) => frames.into_iter().filter_map(Frame::of).collect(),
            _ => Vec::new(),
        };
        Self {
            type_name: text(type_name),
            message: text(message),
            traceback: text(traceback),
            frames,
        }
    }
}

impl Frame {
    fn of(frame: Value) -> Option<Self> {
        let Value::Tuple(parts) = frame else {
            return None;
        };
        let [file, line, function, text_of_line] = <[Value; 4]>::try_from(parts).ok()?;
        let line = match line {
            Value::Int(line) => line.try_into().unwrap_or(0),
            _ => 0,
        };
        Some(Self {
            file: text(file),
            line,
            function: text(function),
            text: text(text_of_line),
        })
    }
}

fn text(value: Value) -> String {
    match value {
        Value::Str(text) => text,
        _ => String::new(),
    }
}
