//! A disk that lets somebody else work before one of its calls.
//! Method: counts the calls of a reader, and passes each on to another disk.

#![allow(dead_code, clippy::unwrap_used, clippy::allow_attributes, reason = "a failure is a panic")]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use onceward_vfs::{File, LockError, LockGuard, Mode, Pace, Vfs};

/// When the other one works, and how the two wait for each other.
#[derive(Debug)]
struct Turn {
    calls_left: AtomicU64,
    /// Whether the call was reached.
    begin: Sender<bool>,
    done: Mutex<Receiver<()>>,
}

/// The disk of a reader.
#[derive(Clone, Debug)]
pub(crate) struct Between {
    inner: Arc<dyn Vfs>,
    nth: u64,
    turn: Option<Arc<Turn>>,
}

#[derive(Debug)]
struct BetweenFile {
    inner: Arc<dyn File>,
    turn: Option<Arc<Turn>>,
}

fn call(turn: Option<&Arc<Turn>>) {
    let Some(turn) = turn else { return };
    let before = turn
        .calls_left
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if before == Ok(1) {
        turn.begin.send(true).unwrap();
        turn.done.lock().unwrap().recv().unwrap();
    }
}

impl Between {
    /// Lets the other one work before the call number `nth`, which counts from 0.
    pub(crate) fn new(inner: Arc<dyn Vfs>, nth: u64) -> Self {
        Self { inner, nth, turn: None }
    }

    /// Runs `read` on this disk, and `work` in between. Returns what `read` does, and whether it came as
    /// far as the call.
    pub(crate) fn run<T: Send>(
        &self,
        read: impl FnOnce(Arc<dyn Vfs>) -> T + Send,
        work: impl FnOnce(),
    ) -> (T, bool) {
        let (begin, began) = channel();
        let (finish, done) = channel();
        let ended = Sender::clone(&begin);
        let turn = Arc::new(Turn {
            calls_left: AtomicU64::new(self.nth + 1),
            begin,
            done: Mutex::new(done),
        });
        let disk = Self { turn: Some(turn), ..self.clone() };
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let result = read(Arc::new(disk));
                // Nobody waits for a call that does not come.
                ended.send(false).unwrap_or_default();
                result
            });
            let reached = began.recv().unwrap();
            if reached {
                work();
                finish.send(()).unwrap();
            }
            (reader.join().unwrap(), reached)
        })
    }
}

impl Vfs for Between {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        call(self.turn.as_ref());
        let inner = self.inner.open(name, mode)?;
        Ok(Arc::new(BetweenFile { inner, turn: self.turn.clone() }))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        call(self.turn.as_ref());
        self.inner.list(dir)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        call(self.turn.as_ref());
        self.inner.exists(name)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.inner.lock(name)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.inner.free_bytes()
    }
}

impl File for BetweenFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        call(self.turn.as_ref());
        self.inner.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        call(self.turn.as_ref());
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        self.inner.fill_zeros(len, pace)
    }
}
