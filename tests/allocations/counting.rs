//! An allocator that counts.

#![allow(
    unsafe_code,
    reason = "an allocator that counts is unsafe to write; all it does is to count and to pass on"
)]
#![allow(dead_code, reason = "each who counts uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
pub(crate) static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The allocations of this thread.
    pub(crate) static OWN: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on as it is to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // A thread that ends may allocate when its locals are gone.
        let _ = OWN.try_with(|own| own.set(own.get() + 1));
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
