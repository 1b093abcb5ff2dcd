//! How many bytes of the heap a thread holds at most while something runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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

/// Runs `run`, and says how many bytes it held at most besides what the thread held before.
pub fn most_while(run: impl FnOnce()) -> usize {
    let before = HELD.get();
    HELD_MAX.set(before);
    run();
    usize::try_from(HELD_MAX.get() - before).unwrap_or(0)
}
