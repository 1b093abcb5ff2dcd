//! The threads that carry requests while that of an uploader or a puller goes on: as many as there are requests on
//! their way.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use onceward::sync::Failure;

use crate::control::Control;
use crate::dialect::{Request, Response};
use crate::exchange::RequestId;
use crate::transport::{Transport, no_answer};

/// Something to carry.
#[derive(Debug)]
pub(crate) enum Job {
    /// A request.
    Send(RequestId, Request),
    /// A connection, and nothing over it.
    Probe,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Came {
    /// An answer, or none.
    Answer(RequestId, Box<Result<Response, Failure>>),
    /// Whether the upstream could be reached.
    Probed(bool),
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    transport: Arc<dyn Transport>,
    jobs: Mutex<Receiver<Job>>,
    came: Mutex<VecDeque<Came>>,
    control: Control,
}

/// The threads, which end with it, each when it has carried what it has.
#[derive(Debug)]
pub(crate) struct Crew {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    threads: usize,
    out: usize,
}

impl Crew {
    /// No thread yet. What came is signalled by `control`.
    pub(crate) fn new(transport: Arc<dyn Transport>, control: Control) -> Self {
        let (jobs, receiver) = mpsc::channel();
        let (jobs_of, came) = (Mutex::new(receiver), Mutex::default());
        let shared = Arc::new(Shared { transport, jobs: jobs_of, came, control });
        Self { shared, jobs, threads: 0, out: 0 }
    }

    /// Has something carried. Where there is no thread for it, that is done at once.
    pub(crate) fn carry(&mut self, job: Job) {
        self.out += 1;
        if self.out > self.threads {
            let theirs = Arc::clone(&self.shared);
            let builder = thread::Builder::new().name("onceward-line".to_owned());
            if builder.spawn(move || work(&theirs)).is_ok() {
                self.threads += 1;
            } else if self.threads == 0 {
                self.shared.carry(job);
                return;
            }
        }
        // The receiver lives as long as `shared`.
        drop(self.jobs.send(job));
    }

    /// What came since the last call.
    pub(crate) fn take(&mut self) -> VecDeque<Came> {
        let came = std::mem::take(&mut *lock(&self.shared.came));
        self.out = self.out.saturating_sub(came.len());
        came
    }

    /// How much is on its way.
    pub(crate) fn out(&self) -> usize {
        self.out
    }
}

/// Carries until there is nobody who gives more.
fn work(shared: &Shared) {
    loop {
        let job = lock(&shared.jobs).recv();
        let Ok(job) = job else { return };
        shared.carry(job);
    }
}

impl Shared {
    fn carry(&self, job: Job) {
        let came = match job {
            Job::Send(id, request) => {
                let sent = catch_unwind(AssertUnwindSafe(|| self.transport.send(request)));
                let panicked = |_| Err(no_answer("a fault of the transport: it panicked"));
                Came::Answer(id, Box::new(sent.unwrap_or_else(panicked)))
            }
            Job::Probe => {
                let probed = catch_unwind(AssertUnwindSafe(|| self.transport.probe().is_ok()));
                Came::Probed(probed.unwrap_or(false))
            }
        };
        lock(&self.came).push_back(came);
        self.control.report();
    }
}

/// What is behind these locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
