//! A thread that does what may never return, so that whoever wants it done waits no longer than a deadline.
//!
//! Sled waits for its own threads without a limit. Where the machine gives none, and where they ended in
//! a panic, it waits for ever, with the store's lock held. Its threads are those of the process: once one
//! wait was given up, no other catalog of this process is opened.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::Trouble;

/// How long sled may take for one thing. It is never long at it: what it holds is rare.
const ANSWER_S_MAX: u64 = 10;

/// Whether sled was given up in this process.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Something to be done.
type Work = Box<dyn FnOnce() + Send>;

/// The thread.
pub(super) struct Hand {
    work: Sender<Work>,
    deadline: Duration,
    given_up: &'static AtomicBool,
}

impl Hand {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The machine has no thread to give, or sled was given up before.
    pub(super) fn start() -> Result<Self, Trouble> {
        Self::start_with(Duration::from_secs(ANSWER_S_MAX), &GIVEN_UP)
    }

    fn start_with(deadline: Duration, given_up: &'static AtomicBool) -> Result<Self, Trouble> {
        if given_up.load(Ordering::Acquire) {
            return Err(Trouble::Machine("sled's threads do not work in this process".to_owned()));
        }
        let (work, wanted) = mpsc::channel::<Work>();
        let named = thread::Builder::new().name("onceward-catalog".to_owned());
        named.spawn(move || wanted.into_iter().for_each(|work| work())).map_err(no_thread)?;
        Ok(Self { work, deadline, given_up })
    }

    /// Has `f` done, and returns what it returned. `f` does not panic.
    ///
    /// # Errors
    ///
    /// What `f` said; or it did not return in time: then it is left alone, with all that it holds.
    pub(super) fn ask<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> Result<R, Trouble> + Send + 'static,
    ) -> Result<R, Trouble> {
        let (answer, answered) = mpsc::sync_channel(1);
        let work = Box::new(move || {
            // Who does not wait any more wants no answer.
            drop(answer.send(f()));
        });
        // What cannot be handed over is not done, and its answer never comes.
        drop(self.work.send(work));
        if self.given_up.load(Ordering::Acquire) {
            return Err(self.silent());
        }
        answered.recv_timeout(self.deadline).unwrap_or_else(|_nothing_came| {
            self.given_up.store(true, Ordering::Release);
            Err(self.silent())
        })
    }

    fn silent(&self) -> Trouble {
        let seconds = self.deadline.as_secs();
        Trouble::Machine(format!("sled did not answer within {seconds} s and is left alone"))
    }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").finish_non_exhaustive()
    }
}

/// Whether the machine has a thread to give. Sled's own take its place once it has ended.
///
/// # Errors
///
/// It has none.
pub(super) fn probe() -> Result<(), Trouble> {
    let probe = thread::Builder::new().name("onceward-probe".to_owned()).spawn(|| ());
    // It does nothing, so it does not panic either.
    probe.map_err(no_thread)?.join().unwrap_or_default();
    Ok(())
}

/// The trouble of a machine without threads.
#[expect(clippy::needless_pass_by_value, reason = "it is passed where a function is asked for")]
fn no_thread(error: std::io::Error) -> Trouble {
    Trouble::Machine(format!("no thread can be started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_returns_is_given_up_and_nothing_is_begun_after_it() {
        static GIVEN_UP: AtomicBool = AtomicBool::new(false);
        let hand = Hand::start_with(Duration::from_secs(60), &GIVEN_UP).unwrap();
        assert_eq!(hand.ask(|| Ok(7)), Ok(7), "control");
        let hand = Hand { deadline: Duration::ZERO, ..hand };
        let (release, released) = mpsc::channel::<()>();
        let stuck = hand.ask(move || Ok(released.recv().is_ok()));
        assert!(matches!(stuck, Err(Trouble::Machine(_))), "{stuck:?}");
        let late = hand.ask(|| Ok(()));
        assert!(matches!(late, Err(Trouble::Machine(_))), "{late:?}");
        let next = Hand::start_with(Duration::from_secs(60), &GIVEN_UP);
        assert!(matches!(next, Err(Trouble::Machine(_))));
        release.send(()).unwrap();
    }
}
