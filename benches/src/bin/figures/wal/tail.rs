//! Reading beside writers: how fast all that is durable is shown, and how soon what is new.

use std::error::Error;
use std::hint::black_box;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use onceward_benches::pairing::Plan;
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;
use onceward_benches::wal::reading;
use onceward_wal::{Log, Lsn};

use super::Setting;
use super::laps::Laps;
use super::passes::{self, SEGMENTS, UNIT};
use crate::figure::{Asked, Detail, Must, Sheet};

/// How fast a reader goes through what is there.
const READ: Asked = Asked { figure: "tail_read", unit: UNIT, must: Must::BeReported };
/// How soon a reader that waits has what is new.
const WAKE: Asked = Asked {
    figure: "tail_wake_us",
    unit: "us from the return of a durable append to a waiting reader's frame",
    must: Must::BeReported,
};
/// After this a waiting thread looks whether the slice is over; a commit takes far less.
const LOOK: Duration = Duration::from_millis(20);

/// Shows all durable frames of three full segments.
pub(super) fn measure_read(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(READ) {
        return Ok(());
    }
    let Setting { plan, stock, .. } = setting;
    stock.fill_segments(SEGMENTS)?;
    passes::measure(sheet, *plan, stock, READ, || reading::tail(&stock.log))
}

/// Wakes a reader, and in turn a thread that waits for nothing but a number beside the raw limit.
pub(super) fn measure_wake(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    raw: &mut RawFile,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(WAKE) {
        return Ok(());
    }
    let Setting { plan, payloads, stock, .. } = setting;
    let plan = *plan;
    let bytes = payloads.for_floor(1);
    let (mut of_thing, mut of_floor) = (Laps::default(), Laps::default());
    let began = Instant::now();
    for round in 0..plan.rounds {
        if !plan.has_time_for(round, began) {
            break;
        }
        for _ in 0..plan.slices {
            stock.make_room()?;
            let mut number = 0;
            let append = || {
                number += 1;
                stock.append(number).last.get()
            };
            wakes(plan, &mut of_thing, append, |watch| follow(&stock.log, watch));
            plain(plan, &mut of_floor, raw, &bytes);
        }
    }
    let in_us = |laps: &Laps| -> Result<Spread, Box<dyn Error>> {
        let rounds = laps.medians(plan).ok_or("a slice without operations")?;
        let rounds: Vec<f64> = rounds.iter().map(|seconds| seconds * 1e6).collect();
        Ok(Spread::of(&rounds).ok_or("no rounds")?)
    };
    let detail = Detail::from([
        ("p50", of_thing.quantile_us(0.5)),
        ("p99", of_thing.quantile_us(0.99)),
        ("condition_variable_p50", of_floor.quantile_us(0.5)),
        ("condition_variable_p99", of_floor.quantile_us(0.99)),
        ("condition_variable", in_us(&of_floor)?.median),
    ]);
    Ok(sheet.add(WAKE, in_us(&of_thing)?, detail)?)
}

/// What a thread that waits is given.
#[derive(Debug)]
struct Watch {
    /// Takes the numbers that it was shown, and when.
    shown: Sender<(u64, Instant)>,
    /// Closed when the slice is over.
    running: Receiver<()>,
}

impl Watch {
    /// Whether the slice goes on.
    fn goes_on(&self) -> bool {
        self.running.try_recv() == Err(TryRecvError::Empty)
    }

    /// Notes that `number` is in hand.
    fn has(&self, number: u64) {
        // Nobody hears it if the slice is over.
        self.shown.send((number, Instant::now())).unwrap_or_default();
    }
}

/// Takes the time from the end of each `write`, which returns a number, to the moment when the thread that
/// runs `watcher` has this number: below 0 if it is faster than the way back.
///
/// A write begins when that thread has the one before. It syncs, which takes long enough for the thread to
/// wait again. The first one does not count: the thread is only started.
fn wakes(
    plan: Plan,
    laps: &mut Laps,
    mut write: impl FnMut() -> u64,
    watcher: impl FnOnce(Watch) + Send,
) {
    let (shown, seen) = mpsc::channel();
    thread::scope(|scope| {
        // Closed at the end of this scope's work, even if it panics.
        let (_goes_on, running) = mpsc::channel();
        scope.spawn(move || watcher(Watch { shown, running }));
        let mut lap = || {
            let number = write();
            let returned = Instant::now();
            let has = seen.iter().find(|(shown, _)| *shown >= number);
            let (_, at) = has.expect("the watcher ended early");
            at.saturating_duration_since(returned).as_secs_f64()
                - returned.saturating_duration_since(at).as_secs_f64()
        };
        lap();
        let began = Instant::now();
        while began.elapsed() < plan.slice {
            laps.push(lap());
        }
        laps.end_slice();
    });
}

/// Reads the log from its end on, and waits there.
fn follow(log: &Log, watch: Watch) {
    let end = log.wait_beyond(0, Duration::ZERO);
    let from = Lsn::from_u64(end).unwrap_or(Lsn::FIRST);
    let mut reader = log.read_from(from).unwrap();
    while watch.goes_on() {
        if !reader.wait(LOOK) {
            continue;
        }
        while let Some(slice) = reader.next_slice().unwrap() {
            if let Some(frame) = slice.frames().last() {
                watch.has(black_box(frame).lsn.get());
            }
        }
    }
}

/// The floor: writes to the raw file, and passes the number of the write through a condition variable.
fn plain(plan: Plan, laps: &mut Laps, raw: &mut RawFile, bytes: &[u8]) {
    let (durable, more) = (Mutex::new(0_u64), Condvar::new());
    let write = || {
        raw.write_synced(bytes).unwrap();
        let mut guard = durable.lock().unwrap();
        *guard += 1;
        let number = *guard;
        drop(guard);
        more.notify_all();
        number
    };
    wakes(plan, laps, write, |watch| {
        let mut had = 0;
        while watch.goes_on() {
            let guard = durable.lock().unwrap();
            let (guard, _) = more.wait_timeout_while(guard, LOOK, |now| *now <= had).unwrap();
            let now = *guard;
            drop(guard);
            if now > had {
                had = now;
                watch.has(now);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use onceward_benches::wal::stock::new_log;
    use onceward_wal::{KIND_HOST_MIN, NewFrame, Preparation, Purpose, SEGMENT_BYTES_MIN};

    use super::*;

    const PLAN: Plan =
        Plan { rounds: 1, slices: 1, slice: Duration::from_millis(5), ..Plan::QUICK };

    #[test]
    fn a_reader_at_the_end_is_shown_every_append_and_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let log = new_log(dir.path(), SEGMENT_BYTES_MIN, Preparation::OnDemand).unwrap();
        let frame = NewFrame { kind: KIND_HOST_MIN, flags: 0, parts: &[b"event"] };
        let (mut laps, mut appends) = (Laps::default(), 0);
        let append = || {
            appends += 1;
            log.append(frame, 0, Purpose::Capture).unwrap().last.get()
        };
        wakes(PLAN, &mut laps, append, |watch| follow(&log, watch));
        assert!(appends > 1, "one to begin with, and those of the slice");
        assert_eq!(laps.medians(PLAN).map(|rounds| rounds.len()), Some(1));
    }

    #[test]
    fn a_thread_that_is_late_is_waited_for_and_its_time_is_taken() {
        let late = Duration::from_millis(2);
        let mut laps = Laps::default();
        let (told, numbers) = mpsc::channel();
        let mut number = 0;
        let write = || {
            number += 1;
            told.send(number).unwrap();
            number
        };
        wakes(PLAN, &mut laps, write, move |watch| {
            while watch.goes_on() {
                if let Ok(number) = numbers.recv_timeout(LOOK) {
                    thread::sleep(late);
                    watch.has(number);
                }
            }
        });
        assert!(laps.quantile_us(1.0) >= 1_000.0, "{laps:?}");
    }

    #[test]
    fn the_floor_is_measured_in_slices_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let raw = &mut RawFile::create(&dir.path().join("raw"), 1).unwrap();
        let mut laps = Laps::default();
        plain(PLAN, &mut laps, raw, b"ab");
        assert_eq!(laps.medians(PLAN).map(|rounds| rounds.len()), Some(1));
    }
}
