//! The stack of a thread in the guest's memory: what compiled code keeps at addresses. Return addresses and locals without
//! an address are the host's.

/// What stacks are aligned to (the C ABI of WebAssembly).
type Unit = u128;

const UNIT: usize = size_of::<Unit>();

/// The smallest stack, in bytes. Less is too little for some calls of libc and OpenSSL, and an overflow is seen late.
const MIN: usize = 256 << 10;

/// What lies at the end of a stack, as long as that was not reached.
const GUARD: [Unit; 32] = [0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834; 32];

/// Memory for a stack, which grows down. Pages that are never used cost address space only.
pub(super) struct Stack(Vec<Unit>);

impl Stack {
    /// `None` if there is no memory.
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let mut memory = Vec::new();
        memory
            .try_reserve_exact(bytes.max(MIN).div_ceil(UNIT))
            .ok()?;
        memory.extend_from_slice(&GUARD);
        Some(Self(memory))
    }

    /// Whether it never grew beyond its size.
    pub(super) fn is_intact(&self) -> bool {
        self.0.starts_with(&GUARD)
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.0.capacity().saturating_mul(UNIT)
    }

    /// Where it begins: one past its highest byte.
    pub(super) fn top(&self) -> u32 {
        self.0
            .as_ptr()
            .expose_provenance()
            .saturating_add(self.size()) as u32
    }
}
