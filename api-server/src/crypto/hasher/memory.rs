//! The memory that one thread hashes in.

use argon2::Block;

/// What one thread's memory reserves of the address space, in blocks of 1 KiB:
/// more than it uses. glibc maps a request above 32 MiB afresh and unmaps it
/// when freed, whatever came before; a smaller one is kept in the heap from
/// the second time on, and idle memory would never go back to the system.
/// Pages that are never touched cost nothing.
const RESERVED_BLOCKS: usize = 33 * 1024;

/// Blocks that are mapped once and used for many hashes.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// How much this thread may hold, in KiB.
    pub(super) granted_kib: u64,
}

impl Memory {
    /// Lets the thread hold so much, from now on. What it held before is
    /// unmapped; the new is mapped when it is first used.
    pub(super) fn grant(&mut self, kib: u64) {
        self.blocks = Vec::new();
        self.granted_kib = kib;
    }

    /// So many blocks, if they were granted.
    pub(super) fn blocks(&mut self, count: usize) -> Option<&mut [Block]> {
        let granted = usize::try_from(self.granted_kib).ok()?;
        if count <= granted && self.blocks.is_empty() {
            self.blocks = Vec::with_capacity(RESERVED_BLOCKS.max(granted));
            self.blocks.resize(granted, Block::new());
        }
        self.blocks.get_mut(..count)
    }
}
