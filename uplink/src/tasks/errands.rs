//! The tasks that carry requests: as many as the exchange gave out. Dropped, all of them end.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use onceward::sync::Failure;
use tokio::task::{Id, JoinError, JoinSet};

use super::transport::AsyncTransport;
use crate::dialect::{Request, Response};
use crate::exchange::RequestId;
use crate::transport::no_answer;

/// What came of an errand.
#[derive(Debug)]
pub(super) enum Returned {
    /// An answer, or none.
    Answer(RequestId, Box<Result<Response, Failure>>),
    /// Whether the upstream could be reached.
    Probed(bool),
}

/// What is on its way.
#[derive(Debug)]
pub(super) struct Errands {
    transport: Arc<dyn AsyncTransport>,
    tasks: JoinSet<Returned>,
    /// The request of each task that has one, for the case that the task panics.
    requests: HashMap<Id, RequestId>,
}

impl Errands {
    /// Nothing is on its way.
    pub(super) fn new(transport: Arc<dyn AsyncTransport>) -> Self {
        Self { transport, tasks: JoinSet::new(), requests: HashMap::new() }
    }

    /// Sends a request.
    pub(super) fn send(&mut self, id: RequestId, request: Request) {
        let transport = Arc::clone(&self.transport);
        let task = self.tasks.spawn(async move {
            let answer = transport.send(request).await;
            Returned::Answer(id, Box::new(answer))
        });
        self.requests.insert(task.id(), id);
    }

    /// Tries the line.
    pub(super) fn probe(&mut self) {
        let transport = Arc::clone(&self.transport);
        self.tasks.spawn(async move { Returned::Probed(transport.probe().await.is_ok()) });
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Resolves with what comes next; never, if nothing is on its way. Dropped, it has taken nothing.
    pub(super) async fn next(&mut self) -> Returned {
        match self.tasks.join_next_with_id().await {
            Some(joined) => self.read(joined),
            None => pending().await,
        }
    }

    /// All that has come.
    pub(super) fn take_ready(&mut self) -> Vec<Returned> {
        let mut ready = Vec::new();
        while let Some(joined) = self.tasks.try_join_next_with_id() {
            ready.push(self.read(joined));
        }
        ready
    }

    fn read(&mut self, joined: Result<(Id, Returned), JoinError>) -> Returned {
        match joined {
            Ok((task, returned)) => {
                self.requests.remove(&task);
                returned
            }
            Err(panicked) => match self.requests.remove(&panicked.id()) {
                Some(id) => {
                    let failure = no_answer("a fault of the transport: it panicked");
                    Returned::Answer(id, Box::new(Err(failure)))
                }
                None => Returned::Probed(false),
            },
        }
    }
}
