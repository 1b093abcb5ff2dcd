//! An append that was warmed up and its wait take nothing from the heap.
//! Method: an allocator that counts what the test's thread asks for, on real files.

#[cfg(test)]
mod scenario;

#[cfg(test)]
mod tests {
    #![expect(unsafe_code, reason = "an allocator can only be wrapped by unsafe functions")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::sync::Arc;

    use onceward_vfs::{OsVfs, Vfs};
    use onceward_wal::{NewFrame, Purpose};

    use super::scenario::{KIND, bodies, open};

    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }

    struct Counting;

    // SAFETY: everything is passed on to the system's allocator as it came; counting allocates nothing,
    // because the cell is constant and needs no destructor.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            COUNT.with(|count| count.set(count.get() + 1));
            // SAFETY: the caller's promise about `layout` is passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the pointer came from `alloc` or `realloc` here, thus from the system.
            unsafe { System.dealloc(pointer, layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            COUNT.with(|count| count.set(count.get() + 1));
            // SAFETY: the pointer came from here, and the caller's promises are passed on.
            unsafe { System.realloc(pointer, layout, bytes) }
        }
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;

    /// What `work` takes from the heap on this thread.
    fn count(work: impl FnOnce()) -> u64 {
        let before = COUNT.with(Cell::get);
        work();
        COUNT.with(Cell::get) - before
    }

    #[test]
    fn a_steady_append_and_its_wait_allocate_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
        let (log, ..) = open(&vfs).unwrap();
        let one = [7; 200];
        let parts: [&[u8]; 2] = [&one, &one[..100]];
        let frames = [NewFrame { kind: KIND, flags: 0, parts: &parts }; 10];
        let append = |count: usize| {
            let appended =
                log.append_deferred(&frames[..count], 0, Purpose::Capture).unwrap().appended();
            log.wait(appended.last).unwrap();
        };
        (0..4).for_each(|_| append(10));
        assert!(count(|| drop(vec![1_u8])) > 0, "control: it counts");
        assert_eq!(count(|| (0..50).for_each(|_| append(1))), 0, "lone appends");
        assert_eq!(count(|| (0..50).for_each(|_| append(10))), 0, "batches");
        let deferred = || {
            let first = log.append_deferred(&frames[..1], 0, Purpose::Capture).unwrap().appended();
            assert!(log.poll(first.last).is_none());
            append(1);
            assert!(matches!(log.poll(first.last), Some(Ok(()))));
        };
        assert_eq!(count(|| (0..20).for_each(|_| deferred())), 0, "deferred ones and polling");
        assert_eq!(log.segments().len(), 1, "control: rolling is another matter");
        drop(log);
        assert_eq!(bodies(&*vfs).len(), 40 + 50 + 500 + 40);
    }
}
