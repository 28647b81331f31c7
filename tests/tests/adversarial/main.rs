//! Attacks on the policy, each by name, against the real host. What a guest tries here is what it would gain from.
//!
//! | attack | held by |
//! |---|---|
//! | rebinding: first answer public, second 127.0.0.1 | `rebinding` |
//! | an old answer that is kept alive | `ctx/lookup.rs` of the host: `old_answer_is_not_covered_by_collecting_it_again`, `verdict_that_is_remembered_for_sending_ends_with_the_answer` |
//! | v4-mapped, NAT64 and tunnelled spellings | `spellings`; `policy/address.rs` of the host has them all |
//! | 0.0.0.0 | `spellings`; hostile: `unspecified_destination_is_loopback` |
//! | decimal and octal IPs in names | `names` |
//! | trailing dots, mixed case, IDNA look-alikes | `names` |
//! | names and addresses that no rule covers, asked of a server | `names` |
//! | a resolver that must not be asked | `resolvers` |
//! | UDP sendto on a connected socket | `sockets`; hostile: `each_destination_is_asked_about` |
//! | reuse of a closed handle's number | `sockets`; hostile: `bad_handles_are_bad_descriptors` |
//! | accept from a forbidden peer | `sockets`; hostile: `peer_of_a_deny_rule_is_not_accepted` |
//! | datagrams of a forbidden peer | hostile: `deny_rule_keeps_a_peers_datagrams_away`, `deny_rule_beats_an_answer` |
//! | a socket passed by number between two guests | `sockets` |
//! | a listener on a wildcard | `sockets`; hostile: `listening_unbound_needs_a_grant_for_the_wildcard`, `both_families_are_not_turned_on_where_one_was_granted` |
//! | a port that another guest holds | `sockets/port.rs` of the host: `kernel_never_picks_a_port_that_another_holds_with_the_flag` |
//! | what the host itself does not approve | `approval` |
//! | rules and policy files of any text | `grammar` |

/// The stores of these tests are synchronous.
const ASYNC: bool = false;

mod approval;
mod grammar;
// Not every one of its ways to call an import has a part in an attack.
#[allow(dead_code)]
#[path = "../hostile/guest.rs"]
mod guest;
mod lookups;
mod names;
mod rebinding;
mod resolvers;
mod sockets;
mod spellings;
