//! How slow a disk is: delays on the machine's clock, and gates at which calls wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::testing::{DiskCall, Hook};
use parking_lot::{Condvar, Mutex};

use super::clock::MachineClock;
use super::disk::DiskOperation;

/// How long a test waits for a call that does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds calls of a disk up.
#[derive(Debug)]
pub(super) struct DiskPace {
    clock: MachineClock,
    state: Mutex<DiskPaceState>,
    changed: Condvar,
}

/// What holds calls up, and who waits.
#[derive(Debug, Default)]
struct DiskPaceState {
    delays: Vec<(DiskOperation, Duration)>,
    /// Closed gates, each with its number.
    closed: Vec<(u64, DiskOperation)>,
    /// The number of the next gate.
    next: u64,
    /// What waits at gates, a call each.
    waiting: Vec<DiskOperation>,
}

impl DiskPace {
    /// No delays and no gates.
    pub(super) fn new(clock: MachineClock) -> Self {
        Self { clock, state: Mutex::default(), changed: Condvar::new() }
    }

    /// From now on every such operation takes so long.
    pub(super) fn delay(&self, operation: DiskOperation, time: Duration) {
        let delays = &mut self.state.lock().delays;
        delays.retain(|(delayed, _)| *delayed != operation);
        delays.push((operation, time));
    }

    /// Takes all delays back.
    pub(super) fn forget_delays(&self) {
        self.state.lock().delays.clear();
    }
}

impl Hook for DiskPace {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let Some(operation) = DiskOperation::of(&call.operation) else { return Ok(()) };
        let mut state = self.state.lock();
        if let Some((_, time)) = state.delays.iter().find(|(delayed, _)| *delayed == operation) {
            self.clock.advance(*time);
        }
        let is_closed = |state: &DiskPaceState| state.closed.iter().any(|(_, it)| *it == operation);
        if is_closed(&state) {
            state.waiting.push(operation);
            self.changed.notify_all();
            self.changed.wait_while(&mut state, |state| is_closed(state));
            if let Some(at) = state.waiting.iter().position(|it| *it == operation) {
                state.waiting.swap_remove(at);
            }
        }
        Ok(())
    }
}

/// A gate at which calls of a disk wait. It is opened when it is dropped, too.
///
/// ```
/// use onceward::testing::{DiskOperation, Machine};
/// use onceward::Config;
///
/// let machine = Machine::new();
/// let gate = machine.disk().close_gate(DiskOperation::Open);
/// std::thread::scope(|scope| {
///     let opening = scope.spawn(|| machine.open(Config::new()));
///     gate.wait_until_reached();
///     assert!(!opening.is_finished(), "the till shows that it starts");
///     gate.open();
///     assert!(opening.join().unwrap().is_ok());
/// });
/// ```
#[derive(Debug)]
pub struct DiskGate {
    pace: Arc<DiskPace>,
    operation: DiskOperation,
    number: u64,
}

impl DiskGate {
    /// Closes a gate before every such operation.
    pub(super) fn close(pace: &Arc<DiskPace>, operation: DiskOperation) -> Self {
        let mut state = pace.state.lock();
        let number = state.next;
        state.next += 1;
        state.closed.push((number, operation));
        drop(state);
        Self { pace: Arc::clone(pace), operation, number }
    }

    /// Waits until a call waits at the gate.
    ///
    /// # Panics
    ///
    /// If none comes within a minute.
    pub fn wait_until_reached(&self) {
        let mut state = self.pace.state.lock();
        while !state.waiting.contains(&self.operation) {
            let waited = self.pace.changed.wait_for(&mut state, PATIENCE);
            let is_there = state.waiting.contains(&self.operation);
            assert!(is_there || !waited.timed_out(), "nobody comes to the gate");
        }
    }

    /// Lets all pass that wait, and all that come.
    pub fn open(self) {
        drop(self);
    }
}

impl Drop for DiskGate {
    fn drop(&mut self) {
        self.pace.state.lock().closed.retain(|(number, _)| *number != self.number);
        self.pace.changed.notify_all();
    }
}
