//! Waits until the other threads of this process have nothing to do.
//!
//! What a store has handed to its threads is then done, whatever it is: nothing is asked of the store.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// Looks in a row at which nothing was going on.
const LOOKS: usize = 3;
/// After this it is an error: a thread that never rests.
const MOST: Duration = Duration::from_secs(120);

/// What the other threads do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Activity {
    /// Time that they had a processor, in nanoseconds.
    ran_ns: u64,
    /// One of them runs, or waits for the disk.
    is_busy: bool,
}

/// Returns once no other thread of this process has run for a while, and none waits for the disk.
///
/// # Errors
///
/// The system does not say what threads do; they do not come to rest.
#[inline(never)]
pub fn wait_until_idle() -> io::Result<()> {
    let began = Instant::now();
    let (mut last, mut looks) = (activity()?, 0);
    while looks < LOOKS {
        if began.elapsed() > MOST {
            return Err(io::Error::other("the threads of this process do not come to rest"));
        }
        thread::sleep(LOOK);
        let now = activity()?;
        looks = if now == last && !now.is_busy { looks + 1 } else { 0 };
        last = now;
    }
    Ok(())
}

/// Looks at all threads but this one.
fn activity() -> io::Result<Activity> {
    let own = fs::read_link("/proc/thread-self")?;
    let mut all = Activity::default();
    for entry in fs::read_dir("/proc/self/task")? {
        let dir = entry?.path();
        if dir.file_name() == own.file_name() {
            continue;
        }
        // One that is gone by now does nothing.
        let (Ok(stat), Ok(times)) =
            (fs::read_to_string(dir.join("stat")), fs::read_to_string(dir.join("schedstat")))
        else {
            continue;
        };
        all.is_busy |= is_busy(&stat);
        all.ran_ns += ran_ns(&times).ok_or_else(|| io::Error::other("no times of a thread"))?;
    }
    Ok(all)
}

/// Whether a thread's `stat` says that it runs or waits for the disk.
fn is_busy(stat: &str) -> bool {
    // The name stands in brackets, and may have brackets.
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    matches!(state, Some('R' | 'D'))
}

/// The time in a thread's `schedstat`.
fn ran_ns(times: &str) -> Option<u64> {
    times.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn states_and_times_are_read() {
        assert!(is_busy("77 (a) b) R 1 1"));
        assert!(is_busy("77 (onceward-log) D 1 1"));
        assert!(!is_busy("77 (R) S 1 1"));
        assert_eq!(ran_ns("1234567 89 10\n"), Some(1_234_567));
        assert_eq!(ran_ns(""), None);
    }

    #[test]
    fn a_thread_that_works_is_waited_for() {
        let is_done = &AtomicBool::new(false);
        let (end, ended) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                let began = Instant::now();
                while began.elapsed() < 20 * LOOK {
                    std::hint::spin_loop();
                }
                is_done.store(true, Ordering::Release);
                // Rests until the test is over.
                ended.recv().unwrap_or_default();
            });
            wait_until_idle().unwrap();
            assert!(is_done.load(Ordering::Acquire));
            drop(end);
        });
    }
}
