//! A way to a server on which answers get lost, and nothing else: what the terminal sends arrives.
//!
//! Method: carry bytes both ways, and keep back what a server says once an event went over the connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// By this the first event is recognised.
const PUBLISH: &[u8] = b"HPUB onceward.";

/// A way to a server.
pub(crate) struct Deaf {
    port: u16,
    is_deaf: Arc<AtomicBool>,
}

impl Deaf {
    /// A way to that port. As long as it is deaf, no answer comes back over a connection on which an event went.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let is_deaf = Arc::new(AtomicBool::new(true));
        let theirs = Arc::clone(&is_deaf);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                join(near, far, &theirs);
            }
        });
        Self { port: own, is_deaf }
    }

    /// From now on answers come back, over new connections.
    pub(crate) fn mend(&self) {
        self.is_deaf.store(false, Ordering::SeqCst);
    }

    /// Where it begins.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

/// Carries bytes both ways, on two threads that end with the connection.
fn join(near: TcpStream, far: TcpStream, is_deaf: &Arc<AtomicBool>) {
    let has_sent = Arc::new(AtomicBool::new(false));
    let (sent, deaf) = (Arc::clone(&has_sent), Arc::clone(is_deaf));
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    thread::spawn(move || {
        carry(&mut from, &mut to, |bytes| {
            if deaf.load(Ordering::SeqCst) && contains(bytes, PUBLISH) {
                sent.store(true, Ordering::SeqCst);
            }
            true
        });
    });
    let (mut from, mut to) = (far, near);
    thread::spawn(move || carry(&mut from, &mut to, |_| !has_sent.load(Ordering::SeqCst)));
}

/// Carries bytes one way, but for those that are not to pass.
fn carry(from: &mut TcpStream, to: &mut TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..count];
        if passes(bytes) && to.write_all(bytes).is_err() {
            break;
        }
    }
    for end in [from, to] {
        // The other thread may have closed it before.
        drop(end.shutdown(Shutdown::Both));
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
