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

/// `struct if_nameindex *if_nameindex(void)`: index and name of each interface that the host shows.
///
/// # Errors
/// Those of the host.
pub fn if_nameindex() -> Result<Vec<(u32, Vec<u8>)>> {
    let mut entries = vec![Interface::default(); INTERFACES_MAX];
    let count = Imp::net_interfaces(&mut entries)?;
    let found = entries.iter().take(count);
    Ok(found
        .map(|entry| (entry.index, name(entry).to_vec()))
        .collect())
}

/// `unsigned if_nametoindex(const char *name)`. `None` for an unknown name.
#[must_use]
pub fn if_nametoindex(wanted: &[u8]) -> Option<u32> {
    let mut interfaces = if_nameindex().ok()?.into_iter();
    interfaces.find_map(|(index, name)| (name == wanted).then_some(index))
}

/// `char *if_indextoname(unsigned index, char *name)`. `None` for an unknown index.
#[must_use]
pub fn if_indextoname(wanted: u32) -> Option<Vec<u8>> {
    let mut interfaces = if_nameindex().ok()?.into_iter();
    interfaces.find_map(|(index, name)| (index == wanted).then_some(name))
}
