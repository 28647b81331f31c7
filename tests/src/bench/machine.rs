//! The machine that measures, and whether it does other things at the same time.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// The part of all CPUs' time above which what others use is said to disturb a measurement.
const OTHERS_MAX: f64 = 0.05;
/// The same for time that the hypervisor gave to other machines.
const STEAL_MAX: f64 = 0.02;

/// The processor, the number of CPUs and the kernel.
#[must_use]
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cpus} CPUs, Linux {}", kernel.trim())
}

/// CPU time of this process, or of its children that ended and their children (getrusage(2)).
///
/// # Panics
/// The system call fails.
#[must_use]
pub fn cpu_time(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("it is allowed");
    let duration = |time: TimeVal| {
        let part = |value: i64| u64::try_from(value).unwrap_or_default();
        Duration::from_secs(part(time.tv_sec())) + Duration::from_micros(part(time.tv_usec()))
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// The first line of /proc/stat, in clock ticks (proc_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    total: u64,
    /// In processes and for them in the kernel. Interrupts are left out: of those, most are the network traffic of
    /// the benchmarks themselves.
    busy: u64,
    stolen: u64,
}

impl Ticks {
    /// `None` if the text has another form.
    fn of(stat: &str) -> Option<Self> {
        let mut fields = stat
            .lines()
            .next()?
            .strip_prefix("cpu ")?
            .split_whitespace();
        let mut next = || fields.next()?.parse::<u64>().ok();
        let [user, nice, system, idle] = [next()?, next()?, next()?, next()?];
        let [iowait, irq, softirq, stolen] = [next()?, next()?, next()?, next()?];
        let busy = user + nice + system;
        Some(Self {
            total: busy + idle + iowait + irq + softirq + stolen,
            busy,
            stolen,
        })
    }

    fn now() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?)
    }
}

/// The CPU time of this process and of the children that it has waited for.
fn own_time() -> Duration {
    cpu_time(UsageWho::RUSAGE_SELF) + cpu_time(UsageWho::RUSAGE_CHILDREN)
}

/// An observation of the machine's load, which has begun.
#[derive(Debug)]
pub struct Load {
    average: Option<f64>,
    begun: Instant,
    own: Duration,
    ticks: Option<Ticks>,
}

impl Load {
    /// Begins one.
    #[must_use]
    pub fn begin() -> Self {
        let average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            average: average
                .split(' ')
                .next()
                .and_then(|first| first.parse().ok()),
            begun: Instant::now(),
            own: own_time(),
            ticks: Ticks::now(),
        }
    }

    /// What the machine did beside this process and its children.
    #[must_use]
    pub fn end(&self) -> Busy {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let capacity = self.begun.elapsed().as_secs_f64() * cpus as f64;
        let own = (own_time() - self.own).as_secs_f64() / capacity;
        let parts = self.ticks.zip(Ticks::now()).map(|(before, after)| {
            let total = (after.total - before.total).max(1) as f64;
            let busy = (after.busy - before.busy) as f64 / total;
            let stolen = (after.stolen - before.stolen) as f64 / total;
            ((busy - own).max(0.0), stolen)
        });
        Busy {
            average: self.average,
            others: parts.map(|(others, _)| others),
            stolen: parts.map(|(_, stolen)| stolen),
        }
    }
}

/// The load of the machine while something was measured. What the system does not tell is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    /// The load average over a minute, before it began: runnable processes, those of a build just before included.
    pub average: Option<f64>,
    /// The part of the CPUs' time that other processes used.
    pub others: Option<f64>,
    /// The part that the hypervisor gave to other machines.
    pub stolen: Option<f64>,
}

impl Busy {
    /// Whether other work disturbed the measurement.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        self.others.is_some_and(|part| part > OTHERS_MAX)
            || self.stolen.is_some_and(|part| part > STEAL_MAX)
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_disturbed() {
            f.write_str("THE MACHINE WAS BUSY: ")?;
        }
        let percent = |part: Option<f64>| match part {
            Some(part) => format!("{:.0} %", part * 100.0),
            None => "an unknown part".to_owned(),
        };
        write!(
            f,
            "other processes used {} of the CPUs, the hypervisor {}; load average before ",
            percent(self.others),
            percent(self.stolen)
        )?;
        match self.average {
            Some(average) => write!(f, "{average:.1}"),
            None => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_those_of_the_line_of_all_cpus() {
        let stat = "cpu  100 20 30 800 9 1 2 38 5 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        let wanted = Ticks {
            total: 1000,
            busy: 150,
            stolen: 38,
        };
        assert_eq!(Ticks::of(stat), Some(wanted));
        assert_eq!(Ticks::of("cpu  1 2 3\n"), None);
    }

    #[test]
    fn work_of_others_is_disturbing_and_is_said() {
        let busy = |others, stolen| Busy {
            average: Some(3.0),
            others: Some(others),
            stolen: Some(stolen),
        };
        assert!(!busy(0.01, 0.0).is_disturbed());
        assert!(busy(0.3, 0.0).is_disturbed());
        assert!(busy(0.0, 0.1).is_disturbed());
        let said = busy(0.3, 0.0).to_string();
        assert!(said.starts_with("THE MACHINE WAS BUSY: other processes used 30 %"));
    }

    #[test]
    fn cpu_time_of_this_process_grows() {
        let before = cpu_time(UsageWho::RUSAGE_SELF);
        let begun = Instant::now();
        while cpu_time(UsageWho::RUSAGE_SELF) == before {
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
    }
}
