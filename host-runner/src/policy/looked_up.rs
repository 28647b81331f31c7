//! What one guest's own look-ups returned, and for how long name rules cover it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Policy;
use super::rule::Rule;
use crate::list::List;

/// Most answers that are remembered for one guest's allow rules, and as many for its deny rules; the oldest
/// are forgotten first.
pub(super) const LOOKED_UP_MAX: usize = 4096;

/// How long a rule for a name covers an answer at least, whatever time to live it has. Programs look a name
/// up and connect a while later, and getaddrinfo(3) reports no time to live.
pub(super) const COVERED_AT_LEAST: Duration = Duration::from_secs(5 * 60);

/// The longest time to live that is believed (RFC 8767, 4).
const COVERED_AT_MOST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Pairs of address and name.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    /// Answers for names in allow rules: covered for a time.
    allowed: Answers,
    /// Answers for names in deny rules. They are stored separately, so that no number of allowed names displaces them,
    /// and do not expire: an address does not become harmless because a guest waits.
    forbidden: Answers,
    changes: u64,
}

#[derive(Debug, Default)]
struct Answers(VecDeque<Answer>);

#[derive(Debug)]
struct Answer {
    ip: IpAddr,
    name: String,
    until: Instant,
}

/// What rules for names say about an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Coverage<'a> {
    /// No rule is for a name with this address.
    No,
    /// A rule is, but the answer is too old.
    Expired { rule: &'a Rule, name: &'a str },
    /// A rule covers the address until then.
    Until { rule: &'a Rule, until: Instant },
}

impl LookedUp {
    /// Records an answer with its time to live, if a rule is for the name: only then can it matter. The time counts
    /// from when the answer came, however often and late a guest collects it.
    pub(crate) fn record(
        &mut self,
        policy: &Policy,
        name: &str,
        addresses: &[IpAddr],
        came: Instant,
        ttl: Option<Duration>,
    ) {
        let covered = ttl
            .unwrap_or_default()
            .clamp(COVERED_AT_LEAST, COVERED_AT_MOST);
        // A clock that cannot tell that time covers nothing.
        let until = came.checked_add(covered).unwrap_or(came);
        for (mut rules, answers) in [
            (policy.list(List::AllowNet), &mut self.allowed),
            (policy.list(List::DenyNet), &mut self.forbidden),
        ] {
            if !rules.any(|rule| rule.names(name)) {
                continue;
            }
            for ip in addresses.iter().map(IpAddr::to_canonical) {
                answers.record(ip, name, until);
                self.changes += 1;
            }
        }
    }

    /// Grows with every change: a verdict holds as long as this stays the same, and until its time is over.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Did a name that this deny rule is for ever lead to the address?
    pub(super) fn forbids(&self, rule: &Rule, ip: IpAddr) -> bool {
        self.forbidden
            .of(ip)
            .any(|answer| rule.covers_name(&answer.name))
    }

    /// Does a name lead to the address that one of these allow rules is for?
    pub(super) fn coverage<'a>(
        &'a self,
        rules: impl Iterator<Item = &'a Rule> + Clone,
        ip: IpAddr,
        now: Instant,
    ) -> Coverage<'a> {
        let covering = self.allowed.of(ip).filter_map(|answer| {
            let rule = rules.clone().find(|rule| rule.covers_name(&answer.name))?;
            Some((rule, answer))
        });
        match covering.max_by_key(|(_, answer)| answer.until) {
            None => Coverage::No,
            Some((rule, answer)) if now > answer.until => Coverage::Expired {
                rule,
                name: &answer.name,
            },
            Some((rule, answer)) => Coverage::Until {
                rule,
                until: answer.until,
            },
        }
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.allowed.0.len(), self.forbidden.0.len())
    }
}

impl Answers {
    fn record(&mut self, ip: IpAddr, name: &str, mut until: Instant) {
        let known = self
            .0
            .iter()
            .position(|answer| answer.ip == ip && answer.name == name);
        if let Some(known) = known.and_then(|place| self.0.remove(place)) {
            // An older answer may be collected later.
            until = until.max(known.until);
        } else if self.0.len() == LOOKED_UP_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Answer {
            ip,
            name: name.to_owned(),
            until,
        });
    }

    fn of(&self, ip: IpAddr) -> impl Iterator<Item = &Answer> {
        self.0.iter().filter(move |answer| answer.ip == ip)
    }
}
