//! Work that many threads do at once.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::pairing::Slice;

/// Runs `work`, which returns how many events it made durable, in `threads` threads at once.
///
/// The time is that from the first thread's begin to the last one's end: starting them does not count.
///
/// # Panics
///
/// If `work` does.
pub fn in_threads(threads: usize, work: impl Fn(usize) -> usize + Sync) -> Slice {
    let start = Barrier::new(threads);
    let spans: Vec<(Instant, Instant, usize)> = thread::scope(|scope| {
        let (start, work) = (&start, &work);
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    start.wait();
                    let began = Instant::now();
                    let events = work(thread);
                    (began, Instant::now(), events)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let began = spans.iter().map(|(began, ..)| *began).min();
    let ended = spans.iter().map(|(_, ended, _)| *ended).max();
    let (Some(began), Some(ended)) = (began, ended) else { return Slice::default() };
    let events: usize = spans.iter().map(|(.., events)| events).sum();
    Slice { seconds: (ended - began).as_secs_f64(), events: events as f64 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_events_of_all_threads_count_and_the_longest_span() {
        let nap = Duration::from_millis(20);
        let slice = in_threads(3, |thread| {
            if thread == 1 {
                thread::sleep(nap);
            }
            thread + 1
        });
        assert!((slice.events - 6.0).abs() < f64::EPSILON);
        assert!(slice.seconds >= nap.as_secs_f64());
    }
}
