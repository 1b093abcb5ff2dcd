//! An append that was warmed up and its wait take nothing from the heap; reading a log takes no more of it, and
//! no more open files, the longer the log is.
//! Method: an allocator that counts what the test's thread asks for and holds, on real files.

// A program of its own: the allocator is the program's.

#[cfg(test)]
#[path = "wal/scenario.rs"]
#[expect(dead_code, reason = "this program uses a part of it")]
mod scenario;

#[cfg(test)]
mod tests {
    #![expect(unsafe_code, reason = "an allocator can only be wrapped by unsafe functions")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::sync::Arc;

    use onceward_vfs::{OsVfs, Vfs};
    use onceward_wal::{Log, NewFrame, Options, Placed, Purpose, Stamp, examine, lock};

    use super::scenario::{KIND, OPTIONS, bodies, body, open, open_with, put};

    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
        static HELD: Cell<isize> = const { Cell::new(0) };
        static HELD_MAX: Cell<isize> = const { Cell::new(0) };
    }

    /// Notes that so many bytes more are held; frees of what another thread took make it less.
    fn hold(bytes: usize, sign: isize) {
        let held = HELD.get() + sign * isize::try_from(bytes).unwrap_or(0);
        HELD.set(held);
        HELD_MAX.set(HELD_MAX.get().max(held));
    }

    struct Counting;

    // SAFETY: everything is passed on to the system's allocator as it came; counting allocates nothing,
    // because the cell is constant and needs no destructor.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            COUNT.with(|count| count.set(count.get() + 1));
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
            COUNT.with(|count| count.set(count.get() + 1));
            hold(layout.size(), -1);
            hold(bytes, 1);
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

    #[test]
    fn a_batch_of_any_size_allocates_nothing_once_its_size_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
        let options = Options { segment_bytes: 32 << 20, ..OPTIONS };
        let (log, ..) = open_with(&vfs, options).unwrap();
        let one = [7; 200];
        let parts: [&[u8]; 4] = [&one[..3], &one[..40], &one[..8], &one];
        let frame = NewFrame { kind: KIND, flags: 0, parts: &parts };
        let append = |count: usize| {
            let mut bytes = 0;
            let frames = std::iter::repeat_n(&frame, count);
            let placed = |placed: Placed| bytes += usize::try_from(placed.bytes).unwrap();
            log.append_each(frames, 0, Purpose::Capture, placed).unwrap().wait().unwrap();
            assert_eq!(bytes, count * log.frame_bytes(251));
        };
        let first = count(|| append(500));
        assert!((1..50).contains(&first), "control: memory for the first ones, {first}");
        (0..3).for_each(|_| append(500));
        for size in [1, 2, 7, 100, 499, 500] {
            assert_eq!(count(|| (0..20).for_each(|_| append(size))), 0, "{size} frames");
        }
        assert_eq!(log.segments().len(), 1, "control: rolling is another matter");
    }

    /// A log of so many segments.
    fn of_segments(dir: &tempfile::TempDir, count: usize) -> Arc<dyn Vfs> {
        let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
        let (log, ..) = open(&vfs).unwrap();
        while log.segments().len() < count {
            put(&log, &body(1, 40_000)).unwrap();
        }
        log.close().unwrap();
        vfs
    }

    /// T16.
    #[test]
    fn examining_and_opening_a_log_takes_as_much_memory_however_long_it_is() {
        let held = |count| {
            let dir = tempfile::tempdir().unwrap();
            let vfs = of_segments(&dir, count);
            let before = HELD.get();
            HELD_MAX.set(before);
            let lock = lock(&*vfs).unwrap();
            let mut frames = 0;
            let examined = examine(&*vfs, &mut |_| frames += 1).unwrap().unwrap();
            assert!(frames > count * 5, "control: {frames}");
            drop(Log::start(vfs, lock, examined, OPTIONS, Stamp::default()).unwrap());
            HELD_MAX.get() - before
        };
        let (short, long) = (held(4), held(60));
        assert!(short > 100_000, "control: {short}");
        // What is kept of a segment is small beside its 256 KiB.
        assert!(long < short + 60 * 8 * 1024, "{short} bytes for 4 segments, {long} for 60");
    }

    /// T24, D29.
    #[test]
    fn a_long_log_needs_no_more_open_files_than_a_short_one() {
        let open_files = |count| {
            let dir = tempfile::tempdir().unwrap();
            let vfs = of_segments(&dir, count);
            let (log, ..) = open(&vfs).unwrap();
            #[expect(
                clippy::disallowed_methods,
                reason = "the system knows what is open, not a `Vfs`"
            )]
            let files = std::fs::read_dir("/proc/self/fd").unwrap();
            let links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
            let count = links.filter(|link| link.starts_with(dir.path())).count();
            drop(log);
            count
        };
        let (short, long) = (open_files(4), open_files(40));
        assert!(short > 1, "control: {short}");
        assert!(long < short + 10, "{short} open files for 4 segments, {long} for 40");
    }
}
