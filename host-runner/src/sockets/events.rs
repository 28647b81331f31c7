//! Poll and epoll events, in the ABI's numbers and in the system's: the one translation.

use rustix::event::PollFlags;
use rustix::event::epoll::EventFlags;
use wasisocket_abi::v1::{
    EVENT_EDGE, EVENT_ERR, EVENT_HUP, EVENT_IN, EVENT_NVAL, EVENT_ONESHOT, EVENT_OUT, EVENT_PRI,
    EVENT_RDHUP,
};

const POLL: [(u32, PollFlags); 7] = [
    (EVENT_IN, PollFlags::IN),
    (EVENT_PRI, PollFlags::PRI),
    (EVENT_OUT, PollFlags::OUT),
    (EVENT_ERR, PollFlags::ERR),
    (EVENT_HUP, PollFlags::HUP),
    (EVENT_NVAL, PollFlags::NVAL),
    (EVENT_RDHUP, PollFlags::RDHUP),
];

const INTEREST: [(u32, EventFlags); 8] = [
    (EVENT_IN, EventFlags::IN),
    (EVENT_PRI, EventFlags::PRI),
    (EVENT_OUT, EventFlags::OUT),
    (EVENT_ERR, EventFlags::ERR),
    (EVENT_HUP, EventFlags::HUP),
    (EVENT_RDHUP, EventFlags::RDHUP),
    (EVENT_ONESHOT, EventFlags::ONESHOT),
    (EVENT_EDGE, EventFlags::ET),
];

/// The events to ask poll(2) for. Unknown bits are ignored, as poll(2) does.
pub(crate) fn poll_from_abi(bits: u16) -> PollFlags {
    let bits = u32::from(bits);
    POLL.iter()
        .filter(|(abi, _)| bits & abi != 0)
        .fold(PollFlags::empty(), |flags, (_, flag)| flags | *flag)
}

/// The events that poll(2) reported.
pub(crate) fn poll_to_abi(flags: PollFlags) -> u16 {
    POLL.iter()
        .filter(|(_, flag)| flags.contains(*flag))
        .fold(0, |bits, (abi, _)| bits | *abi as u16)
}

/// The events for epoll_ctl(2). `None` for a bit that the ABI has no name for: EPOLLEXCLUSIVE and EPOLLWAKEUP concern
/// more than the guest.
pub(crate) fn interest_from_abi(bits: u32) -> Option<EventFlags> {
    let mut flags = EventFlags::empty();
    let mut left = bits;
    for (abi, flag) in INTEREST {
        if bits & abi != 0 {
            flags |= flag;
            left &= !abi;
        }
    }
    (left == 0).then_some(flags)
}

/// The events that epoll_wait(2) reported.
pub(crate) fn interest_to_abi(flags: EventFlags) -> u32 {
    INTEREST
        .iter()
        .filter(|(_, flag)| flags.contains(*flag))
        .fold(0, |bits, (abi, _)| bits | abi)
}

#[cfg(test)]
mod tests {
    use super::{INTEREST, POLL, interest_from_abi, interest_to_abi, poll_from_abi, poll_to_abi};

    #[test]
    fn events_survive_the_way_there_and_back() {
        for (abi, flag) in POLL {
            assert_eq!(poll_from_abi(abi as u16), flag);
            assert_eq!(u32::from(poll_to_abi(flag)), abi);
        }
        for (abi, flag) in INTEREST {
            assert_eq!(interest_from_abi(abi), Some(flag));
            assert_eq!(interest_to_abi(flag), abi);
        }
    }

    #[test]
    fn what_has_no_name_is_not_asked_for() {
        assert!(poll_from_abi(0x1400).is_empty());
        for bit in [1 << 28, 1 << 29, 0x40, 0x400] {
            assert_eq!(interest_from_abi(bit | 1), None, "{bit:#x}");
        }
    }
}
