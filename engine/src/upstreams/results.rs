//! What came of sending a scope's events last: for the person who stands before a terminal that does not upload. No I/O
//! here.

use std::collections::BTreeMap;

use super::frames::SyncResultFrame;
use crate::base::Located;
use crate::event::Scope;
use crate::kernel::Kernel;

/// What state sending a scope's events is in.
///
/// The numbers are on disk: never change or reuse one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum SyncState {
    /// The upstream answers, and takes what it gets.
    Good = 0,
    /// Nobody answers, or the upstream asks for patience: sending goes on by itself.
    Waiting = 1,
    /// The upstream refuses the credentials or the version: somebody has to give others.
    Blocked = 2,
    /// What is sent is not taken, and the configuration is taken to be at fault.
    Misconfigured = 3,
}

impl SyncState {
    /// The state of a number; `None`: of a newer version.
    fn from_code(code: u8) -> Option<Self> {
        let all = [Self::Good, Self::Waiting, Self::Blocked, Self::Misconfigured];
        all.into_iter().find(|state| state.code() == code)
    }

    /// The number in frames.
    pub(crate) fn code(self) -> u8 {
        // A fieldless enum with `repr(u8)`: the cast is the number written above.
        self as u8
    }
}

/// What came of sending a scope's events last.
///
/// In the process that sends, as of now; for others as it was written down: on change, at most once a minute, and not
/// while the disk is full. What stays as it is and is not good is written again after a minute, and then when it is so
/// for twice as long, at least once an hour while it is tried.
///
/// ```
/// use onceward::sync::SyncState;
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// for result in &store.status().sync {
///     if result.state != SyncState::Good {
///         println!("{}: {}", result.scope, result.what);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SyncResult {
    /// The scope.
    pub scope: Scope,
    /// The upstream, as [`Upstream`](super::Upstream) shows itself.
    pub upstream: String,
    /// How sending goes.
    pub state: SyncState,
    /// What came, in words.
    pub what: String,
    /// When that was, by this machine's wall clock, Unix milliseconds.
    pub at_ms: i64,
    /// When the next attempt is made, by the same clock; `None`: with the next event, or when somebody has done
    /// something.
    pub next_ms: Option<i64>,
}

impl SyncResult {
    /// Whether it says another thing than an earlier one, times aside.
    pub(crate) fn is_news(&self, before: &Self) -> bool {
        (self.state, &self.what, &self.upstream) != (before.state, &before.what, &before.upstream)
    }

    /// The body of its frame.
    pub(crate) fn to_frame(&self) -> SyncResultFrame {
        SyncResultFrame {
            scope: self.scope.as_str().to_owned(),
            upstream: self.upstream.clone(),
            state: self.state.code(),
            what: self.what.clone(),
            at_ms: self.at_ms,
            next_ms: self.next_ms.unwrap_or(i64::MIN),
        }
    }

    /// What a frame says; `None`: a newer program wrote it.
    fn of_frame(frame: &SyncResultFrame) -> Option<Self> {
        Some(Self {
            scope: Scope::new(&frame.scope).ok()?,
            upstream: frame.upstream.clone(),
            state: SyncState::from_code(frame.state)?,
            what: frame.what.clone(),
            at_ms: frame.at_ms,
            next_ms: Some(frame.next_ms).filter(|ms| *ms != i64::MIN),
        })
    }
}

/// The last results, by scope.
#[derive(Debug, Default)]
pub(crate) struct ResultTable {
    /// What the newest frame of each scope says, and where it is; `None`: nothing that this program knows.
    written: BTreeMap<String, (Option<SyncResult>, Located)>,
    /// What came since, and is not written.
    now: BTreeMap<String, SyncResult>,
}

impl ResultTable {
    /// All of them, by scope.
    pub(crate) fn all(&self) -> Vec<SyncResult> {
        let written = self.written.values().filter_map(|(result, _)| result.as_ref());
        let mut all: BTreeMap<&Scope, &SyncResult> = written.map(|it| (&it.scope, it)).collect();
        all.extend(self.now.values().map(|it| (&it.scope, it)));
        all.into_values().cloned().collect()
    }

    /// What was written of a scope last.
    pub(crate) fn written(&self, scope: &Scope) -> Option<&SyncResult> {
        self.written.get(scope.as_str()).and_then(|(result, _)| result.as_ref())
    }

    /// Notes in memory what came.
    pub(crate) fn note(&mut self, result: SyncResult) {
        self.now.insert(result.scope.as_str().to_owned(), result);
    }

    /// A result was written, or carried to here.
    pub(crate) fn apply(&mut self, kernel: &mut Kernel, frame: &SyncResultFrame, at: Located) {
        kernel.usage.need(at.place.segment, u64::from(at.bytes));
        let before = self.written.insert(frame.scope.clone(), (SyncResult::of_frame(frame), at));
        if let Some((_, before)) = before {
            kernel.usage.end_need(before.place.segment, u64::from(before.bytes));
        }
    }

    /// The places of the frames that count.
    pub(super) fn places(&self) -> impl Iterator<Item = Located> {
        self.written.values().map(|(_, at)| *at)
    }
}
