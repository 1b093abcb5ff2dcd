//! What a session has done so far.

/// What a session has done so far.
///
/// ```
/// use onceward::sync::{Options, Session, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// while let Step::Send(batch) = session.next(0)? {
///     # let taken = onceward::sync::ItemOutcome::Accepted { receipt: None };
///     # let items = batch.items().map(|item| (item.key.to_owned(), taken.clone()));
///     # let reply = onceward::sync::Reply::of(items.collect());
///     session.on_reply(batch.id, &reply, 0)?;
/// }
/// let report = session.report();
/// assert_eq!((report.attempted, report.accepted, report.missing), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Items sent, resends counted.
    pub attempted: u64,
    /// Items that took effect now.
    pub accepted: u64,
    /// Items that the upstream already had.
    pub duplicate: u64,
    /// Items that went to review.
    pub rejected: u64,
    /// The rejected items that no reply to a request with them rejected: they must not be sent again, or cannot be
    /// sent, or were suspects.
    pub parked: u64,
    /// Requests that were sent.
    pub batches: u64,
    /// Bytes of items sent, as the dialect counts them.
    pub bytes: u64,
    /// Items of replies that were not in the batch.
    pub strangers: u64,
    /// Items of batches that the reply left out, or gave two outcomes.
    pub missing: u64,
    /// Events that were sent to another [upstream](super::Upstream), which gave no answer, and are sent to this one
    /// now: the other may have taken them.
    pub readdressed: u64,
    /// Whether the line failed last.
    pub unreachable: bool,
    /// Whether an answer could not be written for want of room, and there is none yet. Its events stay pending.
    pub is_full: bool,
    /// Whether the upstream refuses the credentials or the version.
    pub blocked: bool,
    /// Wall clock until which the upstream asked not to be asked, Unix milliseconds, if it is not asked now.
    pub held_until_ms: Option<i64>,
    /// Events that were refused alone by what refuses a whole request. They stay pending until the
    /// upstream takes others, and go to review then.
    pub suspects: u64,
    /// Events that the dialect cannot send. They stay pending until the upstream takes others, and go to
    /// review then; after that they go at once.
    pub misfits: u64,
    /// Events that wait in their lane behind one that waits for a person, when there was nothing to send.
    pub behind: u64,
    /// Why the configuration is taken to be at fault: nothing that is sent is taken. All stays pending
    /// and one event is tried after the longest wait; with [`Effort::Once`](super::Effort::Once) the
    /// session ends.
    pub misconfigured: Option<String>,
    /// Requests that failed as a whole.
    pub failures: u64,
    /// Why something is not sent or not settled, if anything is not: the last reason, in words.
    pub last_failure: Option<String>,
}

impl Report {
    /// Adds what another session did: counts are summed, and of what is so or not the worse counts.
    pub(in crate::sync) fn add(&mut self, other: &Self) {
        let Self {
            attempted,
            accepted,
            duplicate,
            rejected,
            parked,
            batches,
            bytes,
            strangers,
            missing,
            readdressed,
            suspects,
            misfits,
            behind,
            failures,
            ..
        } = other;
        for (sum, count) in [
            (&mut self.attempted, attempted),
            (&mut self.accepted, accepted),
            (&mut self.duplicate, duplicate),
            (&mut self.rejected, rejected),
            (&mut self.parked, parked),
            (&mut self.batches, batches),
            (&mut self.bytes, bytes),
            (&mut self.strangers, strangers),
            (&mut self.missing, missing),
            (&mut self.readdressed, readdressed),
            (&mut self.suspects, suspects),
            (&mut self.misfits, misfits),
            (&mut self.behind, behind),
            (&mut self.failures, failures),
        ] {
            *sum = sum.saturating_add(*count);
        }
        self.unreachable |= other.unreachable;
        self.is_full |= other.is_full;
        self.blocked |= other.blocked;
        self.held_until_ms = self.held_until_ms.max(other.held_until_ms);
        self.misconfigured = self.misconfigured.take().or_else(|| other.misconfigured.clone());
        self.last_failure = self.last_failure.take().or_else(|| other.last_failure.clone());
    }
}
