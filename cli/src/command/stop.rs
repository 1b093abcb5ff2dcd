//! SIGHUP, SIGINT and SIGTERM as a flag and a call, so that a command ends in order instead of by a signal.
//!
//! | what comes                              | what happens                                              |
//! |-----------------------------------------|-----------------------------------------------------------|
//! | a signal, and a command listens         | the flag is set and the command is called                 |
//! | a signal, and none listens              | the program ends with 1                                   |
//! | no look at the flag within `UNHEARD`    | the program ends with 1: it waits for something outside   |
//! | no end within `UNFINISHED` after that   | the program ends with 1                                   |
//! | a second signal                         | the program ends with 1, at once                          |
//! | SIGXFSZ                                 | nothing: the write that is over the limit fails           |
//!
//! SIGHUP is left alone where whoever started the program had it ignored, as `nohup` does.

use std::{
    fs, io, process,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rustix::process::Signal as Number;
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use crate::{
    exit::{Exit, Failure},
    output::complain,
};

/// A function that is called when a signal comes.
type Wake = Box<dyn FnOnce() + Send>;

/// The state that the handlers and the command share.
#[derive(Default)]
struct Shared {
    /// Set once, never cleared.
    asked: AtomicBool,
    /// Whether the command has seen the signal.
    heard: AtomicBool,
    /// The command's calls; `None` until it listens.
    wakes: Mutex<Option<Vec<Wake>>>,
}

/// The state of this process, whose signals they are.
static SHARED: OnceLock<Shared> = OnceLock::new();

/// Whether the process was asked to end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop(());

impl Stop {
    /// Ends in order from now on; `wake` is called after the flag is set, at once if it is.
    ///
    /// # Errors
    ///
    /// The signals are not handled.
    pub fn listen(wake: impl FnOnce() + Send + 'static) -> Result<Self, Failure> {
        let shared = SHARED
            .get()
            .ok_or_else(|| Failure::failed("cannot handle signals: no thread can be started"))?;
        let mut wakes = shared.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.asked.load(Ordering::Acquire) {
            drop(wakes);
            wake();
        } else {
            wakes.get_or_insert_default().push(Box::new(wake));
        }
        Ok(Self(()))
    }

    /// Whether a signal came. A caller that gets `true` ends in order.
    #[must_use]
    pub fn is_asked(self) -> bool {
        is_asked()
    }
}

/// Whether a signal came, for whoever waits for something outside. A caller that gets `true` ends in order.
#[must_use]
pub fn is_asked() -> bool {
    let Some(shared) = SHARED.get() else { return false };
    let asked = shared.asked.load(Ordering::Acquire);
    if asked {
        shared.heard.store(true, Ordering::Release);
    }
    asked
}

/// Handles signals from here on. To be called once, before anything else is begun.
///
/// Where no thread can be started to attend to them, those that ask to end do so as they always did, and whoever
/// needs a thread fails by itself.
///
/// # Errors
///
/// The system refuses the handlers.
pub(crate) fn handle() -> Result<(), Failure> {
    let refused = |error: io::Error| Failure::failed(format!("cannot handle signals: {error}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    {
        let _entered = runtime.enter();
        // Handled, so that it does not end the program, and never waited for: the handler stays.
        drop(signal(SignalKind::from_raw(Number::XFSZ.as_raw())).map_err(refused)?);
    }
    let (ready, is_ready) = mpsc::sync_channel(1);
    let attend = move || {
        let signals = {
            let _entered = runtime.enter();
            Signals::handle()
        };
        let (signals, set_up) = match signals {
            Ok(signals) => (Some(signals), Ok(())),
            Err(error) => (None, Err(error)),
        };
        if ready.send(set_up).is_ok()
            && let Some(signals) = signals
        {
            signals.attend(&runtime);
        }
    };
    if thread::Builder::new().name("signals".to_owned()).spawn(attend).is_ok() {
        is_ready.recv().unwrap_or(Ok(())).map_err(refused)?;
        SHARED.get_or_init(Shared::default);
    }
    Ok(())
}

/// The signals that ask to end.
struct Signals {
    /// The streams of the signals that ask to end.
    asking: [Option<Signal>; 3],
}

impl Signals {
    /// Sets up the handlers. To be called within a runtime.
    fn handle() -> io::Result<Self> {
        let hangup =
            if is_ignored(Number::HUP) { None } else { Some(signal(SignalKind::hangup())?) };
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { asking: [hangup, Some(interrupt), Some(terminate)] })
    }

    /// The thread: waits for a signal and sees to it that the program ends.
    fn attend(mut self, runtime: &Runtime) {
        runtime.block_on(self.next());
        let shared = SHARED.get_or_init(Shared::default);
        let wakes = {
            let mut wakes = shared.wakes.lock().unwrap_or_else(PoisonError::into_inner);
            shared.asked.store(true, Ordering::Release);
            wakes.take()
        };
        let Some(wakes) = wakes else { end("stopped by a signal") };
        wakes.into_iter().for_each(|wake| wake());
        let again = runtime.block_on(timeout_or(UNHEARD, self.next()));
        if !again && shared.heard.load(Ordering::Acquire) {
            let again = runtime.block_on(timeout_or(UNFINISHED, self.next()));
            end(if again {
                AGAIN
            } else {
                "stopped by a signal, and the end in order took too long"
            });
        }
        end(if again {
            AGAIN
        } else {
            "stopped by a signal while it waited for something outside"
        });
    }

    /// The next signal that asks to end.
    async fn next(&mut self) {
        let [hangup, interrupt, terminate] = &mut self.asking;
        tokio::select! {
            () = received(hangup) => {}
            () = received(interrupt) => {}
            () = received(terminate) => {}
        }
    }
}

/// Resolves when the signal comes; never if it is not handled.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether the future resolved in time.
async fn timeout_or(limit: Duration, future: impl Future<Output = ()>) -> bool {
    timeout(limit, future).await.is_ok()
}

/// Whether whoever started this program had the signal ignored.
fn is_ignored(signal: Number) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(signal.as_raw().saturating_sub(1)).unwrap_or(u32::MAX);
    mask.checked_shr(bit).is_some_and(|shifted| shifted & 1 == 1)
}

/// Ends the program. What it answered is durable; its store is as after a crash.
fn end(why: &str) -> ! {
    complain(why);
    process::exit(i32::from(Exit::Failed as u8))
}

/// Two signals.
const AGAIN: &str = "stopped by a second signal, not in order; what was answered is kept";

/// How long the command may wait for something outside before it hears of a signal.
const UNHEARD: Duration = Duration::from_millis(800);

/// How long it may then take to end in order: a disk that is busy.
const UNFINISHED: Duration = Duration::from_secs(10);
