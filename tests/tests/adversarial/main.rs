//! Attacks on the policy, each with a name, against the real host.
//!
//! | attack | tested in |
//! |---|---|
//! | rebinding: first answer public, second 127.0.0.1 | `rebinding` |
//! | an old answer that is kept alive | `ctx/lookup.rs` of the host: `old_answer_is_not_covered_by_collecting_it_again`, `verdict_that_is_remembered_for_sending_ends_with_the_answer` |
//! | v4-mapped, NAT64 and tunnelled spellings | `spellings`; all of them in `policy/address.rs` of the host |
//! | 0.0.0.0 | `spellings`; hostile: `unspecified_destination_is_loopback` |
//! | decimal and octal IPs in names | `names` |
//! | trailing dots, mixed case, IDNA look-alikes | `names` |
//! | look-ups of names and addresses that no rule covers, as a channel to a server | `names` |
//! | a resolver that must not be asked | `resolvers` |
//! | UDP sendto on a connected socket | `sockets`; hostile: `each_destination_is_checked` |
//! | reuse of a closed handle's number | `sockets`; hostile: `bad_handles_are_bad_descriptors` |
//! | accept from a forbidden peer | `sockets`; hostile: `peer_of_a_deny_rule_is_not_accepted` |
//! | datagrams of a forbidden peer | hostile: `deny_rule_keeps_a_peers_datagrams_away`, `deny_rule_beats_an_answer` |
//! | a socket passed by number between two guests | `sockets` |
//! | a listener on a wildcard | `sockets`; hostile: `listening_unbound_needs_a_grant_for_the_wildcard`, `both_families_are_not_turned_on_where_one_was_granted` |
//! | a port that another guest holds | `sockets/port.rs` of the host: `kernel_never_picks_a_port_that_another_holds_with_the_flag` |
//! | operations that the host does not approve | `approval` |
//! | rules and policy files with any text | `grammar` |

/// The stores of these tests are synchronous.
const ASYNC: bool = false;

mod approval;
mod grammar;
// The attacks do not use all of its functions.
#[allow(dead_code)]
#[path = "../hostile/guest.rs"]
mod guest;
mod lookups;
mod names;
mod rebinding;
mod resolvers;
mod sockets;
mod spellings;
