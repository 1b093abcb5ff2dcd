//! A ticket is a future: its task is woken once its event is durable, or surely is not.
//! Method: tasks are polled by hand, so a test says when; what the disk does is held by gates.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use onceward::{Config, Event, Key, Payload, Scope, State, Store, Verdict};

/// A task that counts how often it was woken.
#[derive(Default)]
struct Task {
    woken: Mutex<usize>,
    changed: Condvar,
}

impl Task {
    /// Waits until it was woken so often altogether.
    fn wait_until_woken(&self, times: usize) {
        let woken = self.woken.lock().unwrap();
        drop(self.changed.wait_while(woken, |woken| *woken < times).unwrap());
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let (task, mut future) = (Arc::new(Task::default()), pin!(future));
    let waker = Waker::from(Arc::clone(&task));
    for polled in 1.. {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        task.wait_until_woken(polled);
    }
    unreachable!("it is polled until it is done")
}

fn sale(key: &str) -> Event {
    Event::new(Scope::default(), Key::new(key).unwrap(), Payload::json("{}").unwrap())
}

fn is_kept(store: &Store, key: &str) -> bool {
    let outcome = store.outcome(&Scope::default(), &Key::new(key).unwrap()).unwrap();
    outcome.state == State::Pending
}

#[test]
fn awaited_tickets_have_the_verdicts_of_those_that_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store"), Config::new()).unwrap();
    let verdicts = block_on(async {
        let first = store.capture_deferred(&sale("a"))?;
        let again = store.capture_deferred(&sale("a"))?;
        let batch = store.capture_batch_deferred(&[sale("b"), sale("a")])?;
        // The last first: the order does not matter.
        let mut verdicts = batch.await?;
        verdicts.push(again.await?);
        verdicts.push(first.await?);
        Ok::<_, onceward::Error>(verdicts)
    })
    .unwrap();
    let [
        Verdict::Fresh { .. },
        Verdict::Duplicate { lsn: in_batch, .. },
        Verdict::Duplicate { lsn: again, .. },
        Verdict::Fresh { lsn: first },
    ] = verdicts[..]
    else {
        panic!("{verdicts:?}");
    };
    assert_eq!((in_batch, again), (first, first));
    store.close().unwrap();
    let store = Store::open(dir.path().join("store"), Config::new()).unwrap();
    assert!(is_kept(&store, "a") && is_kept(&store, "b"));
}

#[test]
fn a_ticket_of_a_closed_store_has_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store"), Config::new()).unwrap();
    let ticket = store.capture_deferred(&sale("a")).unwrap();
    store.close().unwrap();
    assert!(matches!(block_on(ticket), Ok(Verdict::Fresh { .. })));
}

#[test]
fn a_thousand_tasks_on_several_threads_are_all_woken() {
    const EACH: usize = 125;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store"), Config::new()).unwrap();
    let fresh = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, fresh) = (&store, &fresh);
            scope.spawn(move || {
                for n in 0..EACH {
                    // Each key is captured by two threads.
                    let sale = sale(&format!("k-{}-{n}", thread / 2));
                    let captured = async { store.capture_deferred(&sale)?.await };
                    if let Verdict::Fresh { .. } = block_on(captured).unwrap() {
                        fresh.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(fresh.into_inner(), 4 * EACH);
}

#[cfg(feature = "testing")]
mod on_a_machine {
    use std::pin::Pin;

    use onceward::ErrorKind;
    use onceward::testing::{DiskError, DiskOperation, Machine};

    use super::*;

    fn poll<F: Future + Unpin>(future: &mut F, task: &Arc<Task>) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(task));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    /// A store with a segment, so that the next capture only appends to it.
    fn begun(machine: &Machine) -> Store {
        let store = machine.open(Config::new()).unwrap();
        store.capture(&sale("before")).unwrap();
        store
    }

    #[test]
    fn polling_waits_for_nothing_and_the_task_is_woken_once_however_often_it_was_polled() {
        let machine = Machine::new();
        let store = begun(&machine);
        let gate = machine.disk().close_gate(DiskOperation::Sync);
        let mut ticket = store.capture_deferred(&sale("a")).unwrap();
        let task = Arc::new(Task::default());
        assert!(poll(&mut ticket, &task).is_pending());
        gate.wait_until_reached();
        // Others that come while the disk is at work, and poll again and again.
        let mut late = store.capture_deferred(&sale("b")).unwrap();
        let late_task = Arc::new(Task::default());
        for _ in 0..100 {
            assert!(poll(&mut late, &late_task).is_pending());
        }
        assert_eq!(*task.woken.lock().unwrap(), 0);
        gate.open();
        task.wait_until_woken(1);
        assert!(matches!(poll(&mut ticket, &task), Poll::Ready(Ok(Verdict::Fresh { .. }))));
        late_task.wait_until_woken(1);
        assert!(matches!(poll(&mut late, &late_task), Poll::Ready(Ok(Verdict::Fresh { .. }))));
        assert_eq!((*task.woken.lock().unwrap(), *late_task.woken.lock().unwrap()), (1, 1));
    }

    #[test]
    fn only_the_task_that_polled_last_is_woken_and_a_dropped_ticket_holds_none() {
        let machine = Machine::new();
        let store = begun(&machine);
        let gate = machine.disk().close_gate(DiskOperation::Sync);
        let mut ticket = store.capture_deferred(&sale("a")).unwrap();
        let (first, last) = (Arc::new(Task::default()), Arc::new(Task::default()));
        assert!(poll(&mut ticket, &first).is_pending());
        gate.wait_until_reached();
        assert!(poll(&mut ticket, &last).is_pending());
        assert_eq!(Arc::strong_count(&first), 1, "its waker is dropped");
        let (dropped, mut late) =
            (Arc::new(Task::default()), store.capture_deferred(&sale("b")).unwrap());
        assert!(poll(&mut late, &dropped).is_pending());
        drop(late);
        assert_eq!(Arc::strong_count(&dropped), 1, "its waker is dropped before the disk answers");
        gate.open();
        last.wait_until_woken(1);
        assert!(matches!(poll(&mut ticket, &last), Poll::Ready(Ok(Verdict::Fresh { .. }))));
        assert_eq!((*first.woken.lock().unwrap(), *dropped.woken.lock().unwrap()), (0, 0));
        store.capture(&sale("c")).unwrap();
        assert!(is_kept(&store, "b"), "with whoever is waited for next");
    }

    #[test]
    fn a_task_that_is_dropped_takes_nothing_back_and_one_that_panics_leaves_the_others_theirs() {
        struct Panicking;
        impl Wake for Panicking {
            fn wake(self: Arc<Self>) {
                std::panic::resume_unwind(Box::new("of the test"));
            }
        }
        let machine = Machine::new();
        let store = begun(&machine);
        let task = Arc::new(Task::default());
        let gate = machine.disk().close_gate(DiskOperation::Sync);
        let mut dropped = store.capture_deferred(&sale("dropped")).unwrap();
        assert!(poll(&mut dropped, &task).is_pending());
        drop(dropped);
        let mut panicking = store.capture_deferred(&sale("panicking")).unwrap();
        let waker = Waker::from(Arc::new(Panicking));
        assert!(Pin::new(&mut panicking).poll(&mut Context::from_waker(&waker)).is_pending());
        gate.open();
        assert!(matches!(
            block_on(store.capture_deferred(&sale("next")).unwrap()),
            Ok(Verdict::Fresh { .. })
        ));
        assert!(["dropped", "panicking", "next"].iter().all(|key| is_kept(&store, key)));
    }

    #[test]
    fn what_the_disk_refused_is_told_and_the_key_is_free_again() {
        let machine = Machine::new();
        let store = begun(&machine);
        let ticket = store.capture_deferred(&sale("a")).unwrap();
        let again = store.capture_deferred(&sale("a")).unwrap();
        machine.disk().fail_next(DiskOperation::Write, DiskError::Full);
        assert_eq!(block_on(ticket).unwrap_err().kind(), ErrorKind::Full);
        // Whoever waited for the one that is absent captures it itself.
        assert!(matches!(block_on(again), Ok(Verdict::Fresh { .. })));
    }

    #[test]
    fn a_failed_sync_leaves_all_who_wait_in_doubt() {
        let machine = Machine::new();
        let store = begun(&machine);
        machine.disk().fail_next(DiskOperation::Sync, DiskError::Failed);
        let (a, b) = (sale("a"), sale("b"));
        let tickets = [&a, &b].map(|it| store.capture_deferred(it).unwrap());
        for ticket in tickets {
            let error = block_on(ticket).unwrap_err();
            assert!(error.in_doubt(), "{error}");
        }
    }

    #[test]
    fn no_thread_holds_a_store_that_nobody_has_a_handle_of() {
        let machine = Machine::new();
        for n in 0..20 {
            // Locked, if anybody still had the one before.
            let store = machine.open(Config::new()).unwrap();
            let ticket = store.capture_deferred(&sale(&format!("k{n}"))).unwrap();
            assert!(matches!(block_on(ticket), Ok(Verdict::Fresh { .. })));
        }
    }
}
