//! The time stamp counter of x86-64.

use std::arch::x86_64::{__cpuid, _rdtsc};

/// The leaf of `cpuid` that tells whether the counter runs at one rate, in every state of the
/// processor; and the bit.
const POWER_LEAF: u32 = 0x8000_0007;
const INVARIANT: u32 = 1 << 8;

/// Returns true if the counter runs at one rate on all cores.
pub(super) fn is_invariant() -> bool {
    has_leaf() && leaf(POWER_LEAF) & INVARIANT != 0
}

fn has_leaf() -> bool {
    const HIGHEST: u32 = 0x8000_0000;
    // SAFETY: every x86-64 processor has the instruction.
    #[allow(unused_unsafe, reason = "safe in newer versions of Rust")]
    let highest = unsafe { __cpuid(HIGHEST) }.eax;
    highest >= POWER_LEAF
}

fn leaf(number: u32) -> u32 {
    // SAFETY: as above.
    #[allow(unused_unsafe, reason = "safe in newer versions of Rust")]
    unsafe { __cpuid(number) }.edx
}

/// Returns the counter.
#[inline]
pub(super) fn read() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { _rdtsc() }
}
