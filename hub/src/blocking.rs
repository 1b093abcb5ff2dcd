//! Carries work that waits for the disk away from the threads that serve connections.

use std::time::Duration;

use crate::{
    auth::Admitted,
    notice::{Notice, Notices},
    problem::{Code, Problem},
    request_id::RequestId,
};

/// How long a client waits for the store before it is asked to come back.
const DEADLINE: Duration = Duration::from_secs(30);
/// When a client that met a failing store should ask again, seconds.
pub(crate) const RETRY_S: u32 = 5;

/// Runs `work` for an admitted request, which keeps its place until the work is done.
///
/// # Errors
///
/// What the work said. 503 after 30 s: the work goes on, so what it does is in doubt for the client
/// until it asks again with the same keys. 500 if the work panicked.
pub(crate) async fn run<T: Send + 'static>(
    notices: &Notices,
    admitted: Admitted,
    request_id: &RequestId,
    work: impl FnOnce(&Admitted) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let task = tokio::task::spawn_blocking(move || work(&admitted));
    match tokio::time::timeout(DEADLINE, task).await {
        Ok(Ok(done)) => done,
        Ok(Err(_panicked)) => {
            notices.send(&Notice::Panicked { request_id: request_id.as_str().to_owned() });
            Err(Problem::new(Code::Internal, "the request could not be worked on"))
        }
        Err(_elapsed) => Err(Problem::new(
            Code::Database,
            format!("the store did not answer within {} s", DEADLINE.as_secs()),
        )
        .retry_after(RETRY_S)),
    }
}
