//! if_nameindex(3), if_nametoindex(3).

use wasisocket_abi::v1::{INTERFACES_MAX, Interface};

use crate::Result;
use crate::host::{Host as _, Imp};

fn name(interface: &Interface) -> &[u8] {
    let end = interface.name.iter().position(|byte| *byte == 0);
    interface
        .name
        .get(..end.unwrap_or(interface.name.len()))
        .unwrap_or_default()
}

fn interfaces() -> Result<Vec<Interface>> {
    let mut entries = vec![Interface::default(); INTERFACES_MAX];
    let count = Imp::net_interfaces(&mut entries)?;
    entries.truncate(count);
    Ok(entries)
}

/// `struct if_nameindex *if_nameindex(void)`: index and name of each interface that the host shows.
///
/// # Errors
/// Those of the host.
pub fn if_nameindex() -> Result<Vec<(u32, Vec<u8>)>> {
    let entries = interfaces()?;
    Ok(entries
        .iter()
        .map(|entry| (entry.index, name(entry).to_vec()))
        .collect())
}

/// `unsigned if_nametoindex(const char *name)`. `None` for an unknown name.
#[must_use]
pub fn if_nametoindex(wanted: &[u8]) -> Option<u32> {
    let entries = interfaces().ok()?;
    entries
        .iter()
        .find(|entry| name(entry) == wanted)
        .map(|entry| entry.index)
}

/// `char *if_indextoname(unsigned index, char *name)`. `None` for an unknown index.
#[must_use]
pub fn if_indextoname(index: u32) -> Option<Vec<u8>> {
    let entries = interfaces().ok()?;
    entries
        .iter()
        .find(|entry| entry.index == index)
        .map(|entry| name(entry).to_vec())
}
