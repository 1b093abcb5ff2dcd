//! The hub of the matrix: a real one, on a port of the loopback, until its ledger is wanted.
//! Method: Hub::open, served by a runtime of its own; its ledger is read from the files after its end.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use onceward_hub::{Error, Hub, Options, ledger, serve};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};

/// The key that it knows.
pub(crate) const KEY: &str = "key-of-the-matrix";

/// A hub that serves.
pub(crate) struct Serving {
    /// Where it keeps its data.
    data: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Runs it.
    runtime: Runtime,
    /// Ends it, once dropped.
    stop: oneshot::Sender<()>,
    /// Its end.
    served: JoinHandle<Result<(), Error>>,
}

impl Serving {
    /// Opens a hub in this directory and serves it.
    pub(crate) fn start(dir: &Path) -> Self {
        let data = dir.join("hub");
        let hub = Hub::open(Options::new(&data, KEY)).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = runtime.spawn(serve(hub, listener, async move {
            // A sender that is gone ends it too.
            stopped.await.unwrap_or_default();
        }));
        Self { data, address, runtime, stop, served }
    }

    /// Ends the hub in order; returns its effects by key, each with their places in the log.
    pub(crate) fn effects(self) -> HashMap<String, Vec<u64>> {
        drop(self.stop);
        self.runtime.block_on(self.served).unwrap().unwrap();
        let mut effects: HashMap<String, Vec<u64>> = HashMap::new();
        for entry in ledger(&self.data, "default").unwrap() {
            effects.entry(entry.key).or_default().push(entry.lsn.get());
        }
        effects
    }
}
