//! The stacks of a profile. Their number is bounded: a guest chooses its functions, and how deep they call each other.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, SystemTime};

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, Frame, FrameFlags, FrameHandle, FrameInfo, ProcessHandle,
    Profile, StackHandle, ThreadHandle, Timestamp,
};

use super::INTERVAL;
use super::frames::Function;

/// The most different stacks, with those of the callers. Of others the outer functions are recorded.
const STACKS_MAX: usize = 1_000_000;

/// The most different functions and lines. Others have one name.
const LABELS_MAX: usize = 50_000;

/// A function in a stack.
pub(super) enum Label<'a> {
    Python(Function),
    /// The line at which the innermost Python function is.
    Line {
        function: Function,
        line: u32,
    },
    C {
        index: u32,
        name: Option<&'a str>,
    },
}

/// What the viewer knows a function by.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Python(Function),
    Line(Function, u32),
    C(u32),
    Other,
}

/// A profile with one thread.
pub(super) struct Stacks {
    profile: Profile,
    process: ProcessHandle,
    thread: ThreadHandle,
    python: CategoryHandle,
    c: CategoryHandle,
    labels: HashMap<Key, FrameHandle>,
    stacks: HashMap<(Option<StackHandle>, FrameHandle), StackHandle>,
}

impl Stacks {
    pub(super) fn new() -> Self {
        let mut profile = Profile::new("wasisocket", SystemTime::now().into(), INTERVAL.into());
        let start = Timestamp::from_nanos_since_reference(0);
        let process = profile.add_process("python.wasm", 0, start);
        let thread = profile.add_thread(process, 0, start, true);
        profile.set_thread_name(thread, "guest");
        let python = profile.add_category("Python", CategoryColor::Yellow);
        let c = profile.add_category("C", CategoryColor::Blue);
        Self {
            profile,
            process,
            thread,
            python,
            c,
            labels: HashMap::new(),
            stacks: HashMap::new(),
        }
    }

    /// Adds a sample: the stack at this time, innermost first, and the processor time since the last sample.
    pub(super) fn add(&mut self, time: Duration, used: Duration, stack: Vec<Label<'_>>) {
        let mut handle = None;
        for label in stack.into_iter().rev() {
            let frame = self.frame(label);
            let known = self.stacks.get(&(handle, frame)).copied();
            handle = match known {
                Some(known) => Some(known),
                None if self.stacks.len() == STACKS_MAX => break,
                None => {
                    let new = self.profile.intern_stack(self.thread, handle, frame);
                    self.stacks.insert((handle, frame), new);
                    Some(new)
                }
            };
        }
        // The time of calls of the host, which have no samples of their own.
        let weight =
            used.as_micros().saturating_add(INTERVAL.as_micros() / 2) / INTERVAL.as_micros();
        let weight = i32::try_from(weight).unwrap_or(i32::MAX).max(1);
        self.profile
            .add_sample(self.thread, timestamp(time), handle, used.into(), weight);
    }

    fn frame(&mut self, label: Label<'_>) -> FrameHandle {
        let (key, name) = match label {
            Label::Python(function) => (Key::Python(function), None),
            Label::Line { function, line } => (Key::Line(function, line), None),
            Label::C { index, name } => (Key::C(index), name),
        };
        if let Some(frame) = self.labels.get(&key) {
            return *frame;
        }
        let is_full = self.labels.len() >= LABELS_MAX;
        let key = if is_full { Key::Other } else { key };
        if let Some(frame) = self.labels.get(&key) {
            return *frame;
        }
        let text = match &key {
            Key::Python(Function { name, file, line }) => format!("{name} ({file}:{line})"),
            Key::Line(Function { file, .. }, line) => format!("{file}:{line}"),
            Key::C(index) => name.map_or_else(|| format!("C function {index}"), str::to_owned),
            Key::Other => "(other functions)".into(),
        };
        let (category, flags) = match key {
            // The viewer can show these alone: for it they are JavaScript.
            Key::Python(_) | Key::Line(..) => (self.python, FrameFlags::IS_JS),
            Key::C(_) | Key::Other => (self.c, FrameFlags::empty()),
        };
        let frame = FrameInfo {
            frame: Frame::Label(self.profile.intern_string(&text)),
            category_pair: category.into(),
            flags,
        };
        let frame = self.profile.intern_frame(self.thread, frame);
        self.labels.insert(key, frame);
        frame
    }

    /// Writes the profile, which ends at this time.
    pub(super) fn write(&mut self, end: Duration, output: impl io::Write) -> io::Result<()> {
        let end = timestamp(end);
        self.profile.set_thread_end_time(self.thread, end);
        self.profile.set_process_end_time(self.process, end);
        Ok(serde_json::to_writer(output, &self.profile)?)
    }
}

fn timestamp(since_start: Duration) -> Timestamp {
    let nanos = u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos_since_reference(nanos)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Function, LABELS_MAX, Label, Stacks};

    #[test]
    fn functions_beyond_the_bound_have_one_name() {
        let mut stacks = Stacks::new();
        for line in 0..LABELS_MAX as u32 + 10 {
            let function = Function {
                name: "f".into(),
                file: "a.py".into(),
                line,
            };
            stacks.add(
                Duration::ZERO,
                Duration::ZERO,
                vec![Label::Python(function)],
            );
        }
        assert_eq!(stacks.labels.len(), LABELS_MAX + 1);
        let mut json = Vec::new();
        stacks.write(Duration::from_secs(1), &mut json).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.contains("f (a.py:7)") && json.contains("(other functions)"));
    }
}
