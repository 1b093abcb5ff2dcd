//! An index whose files were damaged or forged opens without a panic, in memory that is bounded, and each of
//! its answers is right, or it says that it has none.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libfuzzer_sys::fuzz_target;
use onceward_fuzz::index::Heap;

/// Bytes that are taken from the heap.
static HELD: AtomicU64 = AtomicU64::new(0);
/// Most of them at a time.
static MOST: AtomicU64 = AtomicU64::new(0);

struct Counting;

/// A number of bytes.
fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Notes that `bytes` are taken.
fn take(bytes: usize) {
    let held = HELD.fetch_add(wide(bytes), Relaxed).wrapping_add(wide(bytes));
    MOST.fetch_max(held, Relaxed);
}

/// Notes that `bytes` are given back.
fn give(bytes: usize) {
    HELD.fetch_sub(wide(bytes), Relaxed);
}

// SAFETY: everything is passed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: the pointer came from here, thus from the system.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        take(bytes);
        give(layout.size());
        // SAFETY: the pointer came from here, and the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Begins to watch.
fn watch() -> u64 {
    let held = HELD.load(Relaxed);
    MOST.store(held, Relaxed);
    held
}

fuzz_target!(|data: &[u8]| {
    onceward_fuzz::index::open(data, Heap { watch, most: || MOST.load(Relaxed) });
});
