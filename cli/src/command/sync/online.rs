//! Hears that the line is back: SIGUSR1 from an operator or a script of the network, and links that come up.
//!
//! Both are hints: where one cannot be had, a remark on stderr says so, and the line is tried by its backoff.

use std::{io, thread};

use onceward_uplink::{Control, LinkWatch};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::output::chatter;

/// Listens until it is dropped, to links, and until the program ends, to SIGUSR1.
#[derive(Debug)]
pub(super) struct Online {
    /// Dropped with this.
    _links: Option<LinkWatch>,
}

impl Online {
    /// Tells `control` from here on.
    pub(super) fn listen(control: &Control) -> Self {
        let (by_signal, by_link) = (control.clone(), control.clone());
        if let Err(why) = on_signal(move || by_signal.online()) {
            chatter(&format!("SIGUSR1 does not end a wait: {why}"));
        }
        let links = LinkWatch::start(move || by_link.online());
        if let Err(why) = &links {
            chatter(&why.to_string());
        }
        Self { _links: links.ok() }
    }
}

/// Calls `wake` at each SIGUSR1, on a thread of its own.
fn on_signal(wake: impl Fn() + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let signals = signal(SignalKind::user_defined1())?;
    drop(entered);
    thread::Builder::new()
        .name("online".to_owned())
        .spawn(move || attend(&runtime, signals, wake))?;
    Ok(())
}

/// The thread.
fn attend(runtime: &Runtime, mut signals: Signal, wake: impl Fn()) {
    while runtime.block_on(signals.recv()).is_some() {
        wake();
    }
}
