//! Tickets that are futures: one thread of the store waits for the disk on behalf of all of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use onceward_vfs::OpenedBy;
use onceward_wal::Lsn;

use super::tickets::{BatchTicket, Ticket};
use super::verdict::Verdict;
use crate::base::{Monitor, Result};
use crate::store::Shared;

/// Wakes the tasks that wait for tickets. The thread begins with the first of them.
#[derive(Debug)]
pub(crate) struct Waking {
    shared: Arc<WakingShared>,
    /// The process that has the thread.
    process: OpenedBy,
}

/// What the thread and the others share.
#[derive(Debug, Default)]
struct WakingShared {
    waiting: Monitor<Waiting>,
}

/// The tasks that wait for tickets.
#[derive(Debug, Default)]
struct Waiting {
    /// The waker of each ticket, by its seat.
    tasks: BTreeMap<Seat, Waker>,
    /// Seats that were given out.
    seats: u64,
    has_thread: bool,
    /// Whether nobody has a handle of the store any more.
    is_over: bool,
}

/// Where a ticket waits: the frame whose end it waits for, and a number of its own.
pub(super) type Seat = (Lsn, u64);

impl Waking {
    /// Nobody waits.
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default(), process: OpenedBy::this_process() }
    }

    /// Wakes a task once it is known what became of the frame `lsn`; `seat` is the ticket's, and only the task that
    /// came last is woken. `false`: there is no thread to do it, as on a machine that has none left.
    fn wake_after(
        &self,
        store: &Arc<Shared>,
        (lsn, seat): (Lsn, &mut Option<Seat>),
        task: &Waker,
    ) -> bool {
        // Executors' own code runs at each step of a task's life: never under the lock.
        let task = task.clone();
        let before = self.shared.waiting.change(|waiting| {
            if !waiting.has_thread {
                let (shared, store) = (Arc::clone(&self.shared), Arc::downgrade(store));
                let named = std::thread::Builder::new().name("onceward-wake".to_owned());
                waiting.has_thread = named.spawn(move || shared.run(&store)).is_ok();
            }
            if !waiting.has_thread {
                return Err(task);
            }
            let before = seat.and_then(|seat| waiting.tasks.remove(&seat));
            waiting.seats += 1;
            let new = (lsn, waiting.seats);
            *seat = Some(new);
            waiting.tasks.insert(new, task);
            Ok(before)
        });
        before.is_ok()
    }

    /// A ticket does not wait any more.
    fn leave(&self, seat: Seat) {
        if !self.process.is_this_process() {
            // A fork: the thread is the parent's, and may hold the lock.
            return;
        }
        let task = self.shared.waiting.lock().tasks.remove(&seat);
        drop(task);
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        if !self.process.is_this_process() {
            // A fork: the thread is the parent's, and may hold the lock.
            return;
        }
        // It may be the thread itself that dropped the last handle, so nobody waits for it here.
        self.shared.waiting.change(|waiting| waiting.is_over = true);
    }
}

impl WakingShared {
    /// The thread: waits for the last frame that anybody waits for. Those before it are decided by then too, and who
    /// comes meanwhile shares the next sync.
    fn run(&self, store: &Weak<Shared>) {
        loop {
            let (last, _) = {
                let idle = |waiting: &mut Waiting| waiting.tasks.is_empty() && !waiting.is_over;
                let waiting = self.waiting.wait_while(idle);
                let Some((last, _)) = waiting.tasks.last_key_value() else { return };
                *last
            };
            if let Some(store) = store.upgrade() {
                // Whoever is woken asks for their own frame, and is told of an error then.
                drop(store.log.wait(last));
            }
            let decided = {
                let mut waiting = self.waiting.lock();
                let later = waiting.tasks.split_off(&(last, u64::MAX));
                std::mem::replace(&mut waiting.tasks, later)
            };
            for task in decided.into_values() {
                // A task that panics when it is woken leaves the others theirs. Its panic was reported by the hook, and
                // what it says may panic itself when it is dropped.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task.wake())) {
                    std::mem::forget(panic);
                }
            }
        }
    }
}

/// As [`Ticket::wait`], without keeping the thread that polls.
///
/// ```
/// # use std::future::Future;
/// use onceward::{Event, Result, Store, Verdict};
///
/// async fn sell(store: &Store, sale: &Event) -> Result<bool> {
///     let verdict = store.capture_deferred(sale)?.await?;
///     Ok(matches!(verdict, Verdict::Fresh { .. } | Verdict::Duplicate { .. }))
/// }
/// # fn sent<F: Future + Send>(_: F) {}
/// # fn check(store: &Store, sale: &Event) { sent(sell(store, sale)) }
/// ```
impl Future for Ticket {
    type Output = Result<Verdict>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let batch = &mut self.get_mut().batch;
        batch.poll_ended(context).map(|ended| ended.and_then(|()| batch.verdict()))
    }
}

/// As [`BatchTicket::wait`], without keeping the thread that polls.
impl Future for BatchTicket {
    type Output = Result<Vec<Verdict>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.get_mut();
        ticket.poll_ended(context).map(|ended| ended.map(|()| ticket.verdicts()))
    }
}

impl BatchTicket {
    fn poll_ended(&mut self, context: &Context<'_>) -> Poll<Result<()>> {
        let store = Arc::clone(&self.store.inner);
        // In a forked process nobody would ever wake it.
        if store.log.is_forked() {
            store.refuse_if_closed()?;
        }
        loop {
            let mut awaited = None;
            let has_ended = self.resolve(|inner, lsn| {
                let told = inner.log.poll(lsn);
                awaited = told.is_none().then_some(lsn);
                told
            })?;
            if has_ended {
                return Poll::Ready(Ok(()));
            }
            match awaited {
                // Some were captured again.
                None => {}
                Some(lsn) => {
                    let (waking, task) = (&store.waking, context.waker());
                    if waking.wake_after(&store, (lsn, &mut self.seat), task) {
                        return Poll::Pending;
                    }
                    drop(store.log.wait(lsn));
                }
            }
        }
    }
}

impl Drop for BatchTicket {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            self.store.inner.waking.leave(seat);
        }
    }
}
