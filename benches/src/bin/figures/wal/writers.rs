//! Many threads that each append one event and wait until it is durable.

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use onceward_benches::gathering::Gathering;
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;

use super::stock::{FRAME_BYTES, raw_slice};
use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};
use crate::pairing::{Plan, Slice, paired};

/// Different events of the floor.
const FLOOR_EVENTS: usize = 64;

/// What is asked of `writers` threads.
fn asked(writers: usize) -> Asked {
    let figure = match writers {
        2 => "writers_2",
        8 => "writers_8",
        _ => "writers_64",
    };
    Asked { figure, unit: "ratio to gathering group commit", must: Must::AtLeast(0.95) }
}

/// Measures `writers` threads beside the gathering floor, and that beside the raw limit.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    (gathering, raw): (&Gathering, &mut RawFile),
    writers: usize,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(asked(writers)) {
        return Ok(());
    }
    let Setting { plan, payloads, stock, .. } = setting;
    let one = payloads.for_floor(FLOOR_EVENTS);
    let all = payloads.for_floor(writers);
    let slice = plan.slice * 2;
    let mut limits = Vec::new();
    let turns = paired(
        Plan { slices: plan.slices.div_ceil(2), ..*plan },
        || {
            stock.make_room().unwrap();
            in_threads(writers, |thread| {
                until(slice, |round| stock.append(round * writers + thread))
            })
        },
        || {
            limits.push(raw_slice(raw, &all, writers, plan.slice / 4));
            in_threads(writers, |thread| {
                until(slice, |round| {
                    let at = (round * writers + thread) % FLOOR_EVENTS * FRAME_BYTES;
                    gathering.commit(&one[at..at + FRAME_BYTES]).unwrap();
                })
            })
        },
    )?;
    let limits: Vec<f64> = limits.iter().map(|limit| limit.seconds / limit.events).collect();
    let limit = Spread::of(&limits).ok_or("no rounds")?.median;
    let mut detail = sides(&turns);
    detail.insert("limit_events_per_s", 1.0 / limit);
    detail.insert("thing_of_limit", limit / turns.thing.median);
    detail.insert("floor_of_limit", limit / turns.floor.median);
    Ok(sheet.add(asked(writers), turns.share, detail)?)
}

/// Calls `work` with 0, 1, .. for `slice`; returns how often.
fn until(slice: Duration, mut work: impl FnMut(usize)) -> usize {
    let began = Instant::now();
    let mut count = 0;
    loop {
        work(count);
        count += 1;
        if began.elapsed() >= slice {
            return count;
        }
    }
}

/// Runs `work`, which returns how many events it made durable, in `threads` threads at once.
///
/// The time is that from the first thread's begin to the last one's end: starting them does not count.
pub(super) fn in_threads(threads: usize, work: impl Fn(usize) -> usize + Sync) -> Slice {
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

    #[test]
    fn work_is_done_at_least_once() {
        let mut seen = Vec::new();
        assert_eq!(until(Duration::ZERO, |count| seen.push(count)), 1);
        assert_eq!(seen, [0]);
    }
}
