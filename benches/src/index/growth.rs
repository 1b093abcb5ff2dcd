//! An index that grows as in a store: one thread takes keys, another one makes the checkpoints.

use std::error::Error;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::CHECKPOINT_KEYS;
use super::keys::key;
use super::stock::Stock;

/// Gives `stock` the keys `first..=last`, and passes to `took` how long each took from its bytes to the end of its
/// confirmation. Settling and asking for a checkpoint do not count. Ends with a checkpoint.
///
/// # Errors
///
/// What the index says, to either thread.
///
/// # Panics
///
/// If the thread that makes checkpoints does.
pub fn grow_beside(
    stock: &Stock,
    (first, last): (u64, u64),
    mut took: impl FnMut(Duration),
) -> Result<(), Box<dyn Error>> {
    thread::scope(|scope| {
        let (ask, asked) = mpsc::channel();
        let checkpoints = scope.spawn(move || {
            while asked.recv().is_ok() {
                // Who is late makes one for all that are due.
                while asked.try_recv().is_ok() {}
                stock.checkpoint().map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        });
        for number in first..=last {
            let key = key(number);
            let began = Instant::now();
            let slice = stock.take(number, &key)?;
            took(began.elapsed());
            stock.settle(number, slice);
            if number.is_multiple_of(CHECKPOINT_KEYS) {
                // If nobody hears it, the other thread has failed, and its answer says why.
                ask.send(()).unwrap_or_default();
            }
        }
        drop(ask);
        checkpoints.join().expect("the thread of checkpoints panicked")?;
        stock.checkpoint()?;
        Ok(())
    })
}

/// The longest gap between two looks at the clock in a loop that does nothing else, for so long: what the machine
/// does to anybody.
#[must_use]
pub fn longest_hiccup(length: Duration) -> Duration {
    let began = Instant::now();
    let (mut last, mut longest) = (began, Duration::ZERO);
    while last - began < length {
        let now = Instant::now();
        longest = longest.max(now - last);
        last = now;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::stock::Flow;

    #[test]
    fn every_key_is_taken_and_timed_and_all_are_written_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let count = 2 * CHECKPOINT_KEYS + 5;
        let flow = Flow { slice_count: 24, keys_a_window: count };
        let stock = Stock::open(dir.path(), flow).unwrap();
        let mut timed = 0;
        grow_beside(&stock, (1, count), |_| timed += 1).unwrap();
        assert_eq!((timed, stock.index.len(), stock.index.unwritten()), (count, count, 0));
        drop(stock);
        Stock::open(dir.path(), flow).unwrap().touch(count);
    }

    #[test]
    fn a_hiccup_is_no_longer_than_the_loop() {
        let length = Duration::from_millis(2);
        let began = Instant::now();
        let longest = longest_hiccup(length);
        assert!(longest > Duration::ZERO && longest <= began.elapsed());
    }
}
