//! SIGINT and SIGTERM as a flag and as a future, so that a command ends in order instead of by a signal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;

/// Whether the process was asked to end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Set once, never cleared.
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Starts listening for SIGINT and SIGTERM; `wake` is called after the flag is set.
    ///
    /// # Errors
    ///
    /// The handlers cannot be set up.
    pub fn listen(wake: impl FnOnce() + Send + 'static) -> Result<Self, Failure> {
        let stop = Self::default();
        let asked = Arc::clone(&stop.asked);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("cannot start a runtime: {error}")))?;
        let wait = {
            let _entered = runtime.enter();
            asked_to_end()?
        };
        let thread = thread::Builder::new().name("signals".to_owned());
        thread
            .spawn(move || {
                runtime.block_on(wait);
                asked.store(true, Ordering::Release);
                wake();
            })
            .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
        Ok(stop)
    }

    /// Whether a signal came.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

/// Sets up the handlers and returns the wait for either signal. To be called within a runtime.
///
/// # Errors
///
/// The handlers cannot be set up.
pub fn asked_to_end() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let refused =
        |error: std::io::Error| Failure::failed(format!("cannot handle signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
