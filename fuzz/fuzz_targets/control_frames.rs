//! No bytes make the engine's decoders panic or take more memory than their limit, and what passes is
//! written again as it was.
//!
//! The first byte says which control body the rest is; the same bytes are read as the bodies of events,
//! with it as their flags.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onceward::fuzzing::{control_bodies, control_body, event_bodies};

/// What decoding one body may hold at once: 16 MiB are its limit, besides what the test takes itself.
const HELD_BYTES_MAX: isize = 20 * 1024 * 1024;
/// Zeros that are tried as a body, at most.
const ZEROS_MAX: usize = 512;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static HELD_MAX: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread holds.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn hold(bytes: usize, sign: isize) {
    let held = HELD.get() + sign * isize::try_from(bytes).unwrap_or(0);
    HELD.set(held);
    HELD_MAX.set(HELD_MAX.get().max(held));
}

// SAFETY: everything is passed on to the system's allocator as it came; counting allocates nothing,
// because the cells are constant and need no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size(), 1);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(layout.size(), -1);
        // SAFETY: the pointer came from `alloc` or `realloc` here, thus from the system.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        hold(layout.size(), -1);
        hold(bytes, 1);
        // SAFETY: the pointer came from here, and the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// Control: each body passes as so many zeros, or a target that reads nothing would find nothing.
static CONTROL: LazyLock<()> = LazyLock::new(|| {
    let zeros = [0; ZEROS_MAX];
    for number in 0..control_bodies() {
        let passes =
            |count: &usize| control_body(number, &zeros[..*count]).is_some_and(|(_, is)| is);
        let name = control_body(number, &[]).map(|(name, _)| name);
        assert!((0..=ZEROS_MAX).any(|count| passes(&count)), "{name:?} is never a body of zeros");
    }
});

fuzz_target!(|data: &[u8]| {
    LazyLock::force(&CONTROL);
    let Some((first, rest)) = data.split_first() else { return };
    let before = HELD.get();
    HELD_MAX.set(before);
    let read = control_body(usize::from(*first) % control_bodies(), rest);
    event_bodies(*first, rest);
    let held = HELD_MAX.get() - before;
    assert!(held <= HELD_BYTES_MAX, "{read:?} took {held} bytes");
});
