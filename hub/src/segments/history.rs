//! How far the hub has the history of each terminal's scope: the last batch of its stream, and what came lately.
//!
//! A batch goes on with a history if the last batch of that is one that the terminal says is its own, or one that the
//! same opening of its store formed. Of two copies of one store only one goes on: the other does not know the batch
//! with which that happened, and is another opening.
//!
//! | file | what |
//! |---|---|
//! | `histories/TENANT/STORE.SCOPE.json` | the last batch, the count of batches, and the running digest of them; replaced whole |

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use onceward::host::SmallFiles;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many batches of a history are known by their keys.
const RECENT_MAX: usize = 64;
/// How many events of lanes are known to have taken effect lately.
const DONE_MAX: usize = 16 * 1_024;
/// Longest file of a history, bytes.
const FILE_BYTES_MAX: u64 = 4 * 1_024;
/// How long a batch waits for the one before it, which is on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far a history is. The names are on disk: never change or reuse one.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Head {
    /// The key of the last batch.
    pub(super) batch: String,
    /// How many batches there were.
    pub(super) count: u64,
    /// SHA-256 over the digest before it, the batch's key and its content, in hex digits.
    pub(super) digest: String,
}

impl Head {
    /// The head after another batch.
    fn after(&self, batch: &str, content: &[u8; 32]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.digest.as_bytes());
        hasher.update([0]);
        hasher.update(batch.as_bytes());
        hasher.update([0]);
        hasher.update(content);
        let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { batch: batch.to_owned(), count: self.count.saturating_add(1), digest }
    }

    /// What the terminal is to remind the hub of.
    pub(super) fn mark(&self) -> String {
        format!("{} {} {}", self.batch, self.count, self.digest)
    }
}

/// What is known of one history.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How far it is; `None`: nothing came of it.
    pub(super) head: Option<Head>,
    /// Keys and contents of the last batches.
    recent: VecDeque<(String, [u8; 32])>,
    /// Events of lanes that took effect lately, by their numbers in the terminal's store.
    done: BTreeSet<u64>,
    /// Of which opening, if of one whose fork was accepted; `None`: of the store that the history is of.
    done_of: Option<String>,
}

/// The store and its opening that formed a batch, by the batch's key: `<store id>-<opening>-<batch number>`. The
/// opening is a random number.
fn opening(batch: &str) -> Option<&str> {
    batch.rsplit_once('-').map(|(opening, _number)| opening).filter(|opening| opening.contains('-'))
}

/// How many batches there were when a mark was given.
fn count_of(mark: &str) -> Option<u64> {
    mark.rsplit(' ').nth(1)?.parse().ok()
}

/// Why a batch does not go on with a history.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Fork {
    /// Another store went on with it: this was its last batch.
    Forked { head: String },
    /// What the terminal reminds of never was.
    Unknown,
}

impl History {
    /// Whether a batch goes on with this history: its last batch is this one, or the terminal's own, or the one that
    /// it reminds of, with the same digest. Or it is of the same opening: a request that the line held back, for a
    /// batch in whose place the terminal has long sent others.
    pub(super) fn check(&self, batch: &str, mark: &str, own: &[&str]) -> Result<(), Fork> {
        let Some(head) = &self.head else {
            // What it reminds of is gone here, and of what was confirmed nobody knows any more.
            return if mark.is_empty() { Ok(()) } else { Err(Fork::Unknown) };
        };
        if mark == head.mark() || head.batch == batch {
            return Ok(());
        }
        let is_same_opening = opening(batch).is_some_and(|its| opening(&head.batch) == Some(its));
        if !is_same_opening && !own.contains(&head.batch.as_str()) {
            return Err(Fork::Forked { head: head.batch.clone() });
        }
        // A mark is never ahead of the history that gave it: this one was put back.
        if count_of(mark).is_some_and(|count| count > head.count) {
            return Err(Fork::Unknown);
        }
        Ok(())
    }

    /// Whether this batch was applied lately.
    pub(super) fn has(&self, batch: &str) -> bool {
        self.recent.iter().any(|(known, _)| known == batch)
    }

    /// The content of a batch that was applied lately.
    pub(super) fn content(&self, batch: &str) -> Option<&[u8; 32]> {
        self.recent.iter().find(|(known, _)| known == batch).map(|(_, content)| content)
    }

    /// Whose numbers those of the next slice are: of the opening that formed the batch, if its fork was accepted. Two
    /// copies of a store give one number to two events, so what took effect for one says nothing of the other.
    pub(super) fn begin_slice(&mut self, batch: &str, is_fork_accepted: bool) {
        let whose = is_fork_accepted.then(|| opening(batch).unwrap_or(batch));
        if self.done_of.as_deref() != whose {
            self.done.clear();
            self.done_of = whose.map(ToOwned::to_owned);
        }
    }

    /// Whether an event of a lane is known to have taken effect.
    pub(super) fn is_done(&self, lsn: u64) -> bool {
        self.done.contains(&lsn)
    }

    /// Notes events of lanes that took effect.
    pub(super) fn note_done(&mut self, lsns: impl Iterator<Item = u64>) {
        self.done.extend(lsns);
        while self.done.len() > DONE_MAX {
            self.done.pop_first();
        }
    }
}

/// A history that one request at a time has.
#[derive(Debug)]
pub(super) struct Kept {
    files: Arc<SmallFiles>,
    name: String,
    history: Mutex<History>,
    changed: Condvar,
}

impl Kept {
    /// Reads what is known.
    fn read(files: Arc<SmallFiles>, name: String) -> io::Result<Self> {
        let bytes = files.read(&name, FILE_BYTES_MAX)?;
        let head = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
        let history = Mutex::new(History { head, ..History::default() });
        Ok(Self { files, name, history, changed: Condvar::new() })
    }

    /// The history, once the batch `after` was applied; `None`: it was not in time. With none named, at once.
    pub(super) fn after(&self, after: Option<&str>) -> Option<MutexGuard<'_, History>> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(after) = after else { return Some(history) };
        let is_missing = |history: &mut History| {
            !history.has(after) && history.head.as_ref().is_none_or(|head| head.batch != after)
        };
        let waited = self.changed.wait_timeout_while(history, PATIENCE, is_missing);
        let (history, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (!timeout.timed_out()).then_some(history)
    }

    /// Goes on by a batch whose events are applied, durably. One that was applied before changes nothing.
    pub(super) fn go_on(
        &self,
        history: &mut History,
        batch: &str,
        content: [u8; 32],
    ) -> io::Result<()> {
        if history.has(batch) {
            return Ok(());
        }
        let head = history.head.clone().unwrap_or_default();
        if head.batch != batch {
            let next = head.after(batch, &content);
            self.files.replace(&self.name, &serde_json::to_vec(&next)?)?;
            history.head = Some(next);
        }
        history.recent.push_back((batch.to_owned(), content));
        if history.recent.len() > RECENT_MAX {
            history.recent.pop_front();
        }
        self.changed.notify_all();
        Ok(())
    }
}

/// The histories of one tenant.
#[derive(Debug)]
pub(crate) struct Histories {
    dir: PathBuf,
    open: Mutex<Open>,
}

/// What was asked for so far.
#[derive(Debug, Default)]
struct Open {
    files: Option<Arc<SmallFiles>>,
    kept: HashMap<String, Arc<Kept>>,
}

impl Histories {
    /// Those in this directory, which need not be there.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, open: Mutex::default() }
    }

    /// The history of a terminal's scope. The names were checked: they lead nowhere else.
    ///
    /// # Errors
    ///
    /// Its file cannot be read, or is not what was written.
    pub(super) fn of(&self, store: &str, scope: &str) -> io::Result<Arc<Kept>> {
        let name = format!("{store}.{scope}.json");
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = open.kept.get(&name) {
            return Ok(Arc::clone(kept));
        }
        let files = match &open.files {
            Some(files) => Arc::clone(files),
            // Made when the first terminal comes that has a history.
            None => Arc::clone(open.files.insert(Arc::new(SmallFiles::open(&self.dir)?))),
        };
        let kept = Arc::new(Kept::read(files, name.clone())?);
        open.kept.insert(name, Arc::clone(&kept));
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_on_if_the_last_one_is_the_terminals_own() {
        let dir = tempfile::tempdir().unwrap();
        let histories = Histories::new(dir.path().join("histories"));
        let kept = histories.of("store", "default").unwrap();
        let mut history = kept.after(None).unwrap();
        assert_eq!(history.check("b1", "", &[]), Ok(()), "nothing came");
        kept.go_on(&mut history, "b1", [1; 32]).unwrap();
        let mark = history.head.as_ref().unwrap().mark();
        assert_eq!(history.check("b1", "", &[]), Ok(()), "it is the same again");
        assert_eq!(history.check("b2", "", &["b1"]), Ok(()), "its reply was lost");
        assert_eq!(history.check("b2", &mark, &[]), Ok(()));
        let forked = Err(Fork::Forked { head: "b1".to_owned() });
        assert_eq!(history.check("b2", "", &[]), forked, "a copy from before it");
        assert_eq!(history.check("b2", &mark.replace("b1 1", "b1 2"), &[]), forked);
        kept.go_on(&mut history, "b2", [2; 32]).unwrap();
        assert_eq!(history.check("c2", &mark, &[]), Err(Fork::Forked { head: "b2".to_owned() }));
    }

    #[test]
    fn a_batch_that_the_line_held_back_is_no_fork_for_the_opening_that_formed_it() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Histories::new(dir.path().to_owned()).of("store", "default").unwrap();
        let mut history = kept.after(None).unwrap();
        for (n, batch) in [(1, "s-aa-1"), (2, "s-aa-2")] {
            kept.go_on(&mut history, batch, [n; 32]).unwrap();
        }
        let mark = history.head.as_ref().unwrap().mark();
        // Sent long ago; the terminal has others in its place and forgot it.
        kept.go_on(&mut history, "s-aa-0", [0; 32]).unwrap();
        assert_eq!(history.check("s-aa-3", &mark, &[]), Ok(()));
        let forked = Err(Fork::Forked { head: "s-aa-0".to_owned() });
        assert_eq!(history.check("s-bb-3", &mark, &[]), forked, "a copy of the store");
        assert_eq!(history.check("s-3", &mark, &[]), forked, "no opening is named");
    }

    #[test]
    fn a_history_outlives_the_process_and_one_that_is_gone_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Histories::new(dir.path().to_owned()).of("store", "default").unwrap();
        let kept = open();
        kept.go_on(&mut kept.after(None).unwrap(), "b1", [1; 32]).unwrap();
        let mark = kept.after(None).unwrap().head.as_ref().unwrap().mark();
        let kept = open();
        assert_eq!(kept.after(None).unwrap().check("b2", &mark, &[]), Ok(()));
        assert!(kept.after(Some("b1")).is_some(), "it is the last one");
        let gone = Histories::new(dir.path().join("another")).of("store", "default").unwrap();
        assert_eq!(gone.after(None).unwrap().check("b2", &mark, &[]), Err(Fork::Unknown));
    }

    #[test]
    fn a_batch_waits_for_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Histories::new(dir.path().to_owned()).of("store", "default").unwrap();
        let theirs = Arc::clone(&kept);
        let later = std::thread::spawn(move || theirs.after(Some("b1")).is_some());
        kept.go_on(&mut kept.after(None).unwrap(), "b1", [1; 32]).unwrap();
        assert!(later.join().unwrap());
        assert!(kept.after(Some("b9")).is_none(), "it does not come");
    }
}
