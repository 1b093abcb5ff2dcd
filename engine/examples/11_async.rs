//! From async code: a ticket is a future, and what waits for the disk goes where the runtime keeps such calls.
//!
//! The crate needs no runtime and brings none; with tokio, `Blocking::call` below is `spawn_blocking`.
//!
//! `cargo run -p onceward --example 11_async`

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store, Verdict};

/// What a request of the kiosk may fail with.
type Anything = Box<dyn Error + Send + Sync>;

/// A thread for calls that wait.
struct Blocking {
    calls: Sender<Box<dyn FnOnce() + Send>>,
}

impl Blocking {
    fn start() -> Self {
        let (calls, next) = channel::<Box<dyn FnOnce() + Send>>();
        thread::spawn(move || next.into_iter().for_each(|call| call()));
        Self { calls }
    }

    /// Makes the call there, and waits for its end here without keeping the thread that polls.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Anything> {
        let done: Arc<Mutex<(Option<T>, Option<Waker>)>> = Arc::default();
        let theirs = Arc::clone(&done);
        let sent = self.calls.send(Box::new(move || {
            let value = call();
            let Ok(mut done) = theirs.lock() else { return };
            done.0 = Some(value);
            done.1.take().into_iter().for_each(Waker::wake);
        }));
        if sent.is_err() {
            return Err("nobody makes the calls any more".into());
        }
        std::future::poll_fn(move |context| {
            let Ok(mut done) = done.lock() else { return Poll::Ready(Err("it panicked".into())) };
            match done.0.take() {
                Some(value) => Poll::Ready(Ok(value)),
                None => {
                    done.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Takes an order: many of these run on one thread, and their events share a sync.
async fn order(store: &Store, number: u32) -> Result<bool, Anything> {
    let key = Key::new(&format!("kiosk-3-{number:06}"))?;
    let event = Event::new(Scope::default(), key, Payload::json(r#"{"total":7.90}"#)?);
    // Awaited, it is as good as a capture: only now may the kiosk print the number.
    let verdict = store.capture_deferred(&event)?.await?;
    Ok(matches!(verdict, Verdict::Fresh { .. } | Verdict::Duplicate { .. }))
}

/// The whole life of a kiosk.
async fn serve(store: &Store, blocking: &Blocking) -> Result<u64, Anything> {
    let mut orders: Vec<_> = (1..=50).map(|number| Box::pin(order(store, number))).collect();
    // All of them at once, as a runtime polls its tasks.
    let mut taken = 0;
    std::future::poll_fn(|context| {
        let mut failed = None;
        orders.retain_mut(|order| match order.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(is_taken)) => {
                taken += u64::from(is_taken);
                false
            }
            Poll::Ready(Err(error)) => {
                failed = Some(error);
                false
            }
        });
        match failed {
            Some(error) => Poll::Ready(Err(error)),
            None if orders.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await?;

    // Everything else waits for the disk, or reads from it.
    let handle = store.clone();
    let settle = move || -> onceward::Result<u64> {
        let pending = handle.pending(&Scope::default(), None, 100)?;
        let settlements: Vec<_> = pending
            .iter()
            .map(|stored| Settlement {
                scope: stored.event.scope.clone(),
                key: stored.event.key.clone(),
                answer: Answer::Accepted { receipt: None },
            })
            .collect();
        handle.settle(&settlements)?;
        handle.tick()?;
        Ok(handle.status().settled)
    };
    assert_eq!(blocking.call(settle).await??, taken);
    let handle = store.clone();
    blocking.call(move || handle.close()).await??;
    Ok(taken)
}

/// A runtime of one task.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

pub(crate) fn main() -> Result<(), Anything> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path().join("store"), Config::new())?;
    assert_eq!(block_on(serve(&store, &Blocking::start()))?, 50);
    Ok(())
}
