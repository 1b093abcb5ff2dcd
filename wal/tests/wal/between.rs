//! A disk that lets somebody else work before one of its calls.
//! Method: a hook that counts the calls of a reader, and waits at one of them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use onceward_vfs::Vfs;

use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};

/// When the other one works, and how the two wait for each other.
#[derive(Debug)]
struct Turn {
    calls_left: AtomicU64,
    /// Whether the call was reached.
    begin: Sender<bool>,
    done: Mutex<Receiver<()>>,
}

impl Hook for Turn {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        if !matches!(
            call.operation,
            Operation::Open(_)
                | Operation::List
                | Operation::Exists
                | Operation::Read(_)
                | Operation::Len
        ) {
            return Ok(());
        }
        let before = self
            .calls_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if before == Ok(1) {
            self.begin.send(true).unwrap();
            self.done.lock().unwrap().recv().unwrap();
        }
        Ok(())
    }
}

/// Runs `read` on `disk`, and `work` before the call number `nth` of that, which counts from 0. Returns
/// what `read` does, and whether it came as far as the call.
pub(crate) fn with_work_between<T: Send>(
    disk: Arc<dyn Vfs>,
    nth: u64,
    read: impl FnOnce(Arc<dyn Vfs>) -> T + Send,
    work: impl FnOnce(),
) -> (T, bool) {
    let (begin, began) = channel();
    let (finish, done) = channel();
    let ended = Sender::clone(&begin);
    let calls_left = AtomicU64::new(nth + 1);
    let disk = hooked(disk, &Arc::new(Turn { calls_left, begin, done: Mutex::new(done) }));
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let result = read(disk);
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
