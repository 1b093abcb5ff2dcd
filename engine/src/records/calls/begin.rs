//! Judges a key, and takes or takes over its lease.

use onceward_index::{ContentHash, Entry, Fingerprint};
use onceward_wal::Lsn;

use super::Records;
use crate::base::bounds::RETRY_AFTER_MS;
use crate::base::clock;
use crate::base::{Error, ErrorKind, FrameKind, Moment, Result, codec, whole_ms};
use crate::kernel::{Asking, Reservation};
use crate::records::frames::{LeaseFrame, Token};
use crate::records::table::{ChangeKind, KnownItem, LeaseChange, LeaseItem, RecordItem};
use crate::records::{Lease, LeaseReply, LeaseRequest, RECORD_PREFIX, fingerprint};
use crate::store::StoreState;

/// The content hash of a call without a request.
const NO_REQUEST: ContentHash = ContentHash::from_u64(0);

/// What a caller asks, and the token that it gets if it is given a lease.
#[derive(Clone, Copy)]
struct Asked<'a> {
    begin: &'a LeaseRequest,
    fingerprint: Fingerprint,
    content_hash: ContentHash,
    token: Token,
}

/// What was found of a key.
enum JudgedLease {
    /// Nothing: it may be taken. An entry that the index should not have is forgotten first.
    Free { released: Option<u64> },
    /// An item that is lost to damage: its key may be taken, and its outcome is unknown.
    Lost { item: u64 },
    /// Something that is not durable yet.
    Wait(Lsn),
    /// A lease that nobody holds, and the content hash that came with the key.
    Orphan { item: u64, slice_begin: u64, content_hash: ContentHash },
    /// A completed record.
    Done { item: u64, done: RecordItem },
    /// What can be answered at once.
    Known(LeaseReply),
}

impl Records<'_> {
    /// Does what [`Records::begin`](crate::records::Records::begin) says.
    pub(super) fn begin_record(&self, begin: &LeaseRequest) -> Result<LeaseReply> {
        let asked = self.asked(begin)?;
        let mut control = None;
        loop {
            self.inner.refuse_if_closed()?;
            let mut state = self.inner.state.lock();
            self.inner.bring_up_to_now(&mut state);
            let mono_ms = self.inner.time.mono_ms();
            let now = self.inner.time.moment(mono_ms);
            let judged =
                self.inner.asking(&mut state, |state, keys| judge(state, keys, &asked, now))?;
            match judged {
                JudgedLease::Known(begun) => return Ok(begun),
                JudgedLease::Wait(waiting) => {
                    drop(state);
                    drop(control.take());
                    self.inner.wait_for_other(waiting)?;
                }
                JudgedLease::Done { item, done } => {
                    drop(state);
                    drop(control.take());
                    if let Some(record) = self.read_record(item, done)? {
                        return Ok(LeaseReply::Cached(record));
                    }
                }
                JudgedLease::Free { released } => {
                    drop(control.take());
                    let fence = self.take_key(&mut state, &asked, released, mono_ms)?;
                    drop(state);
                    self.inner.wait(fence)?;
                    return Ok(LeaseReply::Acquired(lease(
                        &asked,
                        fence,
                        self.inner.time.wall_ms(),
                    )));
                }
                JudgedLease::Lost { item } => {
                    drop(control.take());
                    let fence = self.take_key(&mut state, &asked, Some(item), mono_ms)?;
                    drop(state);
                    self.inner.wait(fence)?;
                    return Ok(LeaseReply::OutcomeUnknown(lease(
                        &asked,
                        fence,
                        self.inner.time.wall_ms(),
                    )));
                }
                // It is changed, not taken: under `control`, which comes before the state.
                JudgedLease::Orphan { .. } if control.is_none() => {
                    drop(state);
                    control = Some(self.inner.control.lock());
                }
                JudgedLease::Orphan { item, slice_begin, content_hash } => {
                    let from = (item, slice_begin, content_hash);
                    let fence = self.take_over(&mut state, &asked, from, mono_ms)?;
                    drop(state);
                    drop(control);
                    self.inner.wait(fence)?;
                    return Ok(LeaseReply::OutcomeUnknown(lease(
                        &asked,
                        fence,
                        self.inner.time.wall_ms(),
                    )));
                }
            }
        }
    }

    fn asked<'a>(&self, begin: &'a LeaseRequest) -> Result<Asked<'a>> {
        let fingerprint =
            fingerprint(self.inner.secret(), begin.scope.as_str(), begin.key.as_str());
        let content_hash = match &begin.request {
            // A content hash that happens to be that of no request becomes another one.
            Some(request) => Some(self.inner.secret().content(&[request]))
                .filter(|content_hash| *content_hash != NO_REQUEST)
                .unwrap_or(ContentHash::from_u64(1)),
            None => NO_REQUEST,
        };
        Ok(Asked { begin, fingerprint, content_hash, token: Token::new(clock::random()?) })
    }

    /// Queues the lease of a free key and takes the key; of an item that was released, or of which damage left
    /// nothing, the index may have it still. Returns the lease's fencing number.
    fn take_key(
        &self,
        state: &mut StoreState,
        asked: &Asked<'_>,
        released: Option<u64>,
        mono_ms: u64,
    ) -> Result<Lsn> {
        let most = self.inner.config.leases_max;
        if state.records.open_count() >= u64::from(most) {
            let message = format!("{most} leases are open, and no more may be");
            return Err(Error::new(ErrorKind::Full, "LEASES_FULL", message));
        }
        state.kernel.keys.check_room(1)?;
        let moment = self.inner.time.moment(mono_ms);
        let frame = frame(asked, (0, 0, asked.content_hash), self.inner.time.wall_ms());
        let body = codec::encode(&frame);
        let at = self.queue_new(state, (FrameKind::Lease, &[&body]), (1, mono_ms))?;
        if let Some(item) = released {
            state.kernel.keys.forget_released(asked.fingerprint, item);
        }
        let entry = Entry { key: asked.fingerprint, content: asked.content_hash, lsn: at.lsn };
        let reservation = Reservation { entry, window: self.inner.windows().of(RECORD_PREFIX) };
        let held = state.kernel.keys.take(reservation, moment.trusted_ms);
        state.records.add(LeaseItem {
            fingerprint: asked.fingerprint,
            held,
            at,
            fence: at.lsn,
            token: asked.token,
            expires_ms: Some(moment.trusted_ms.saturating_add(whole_ms(asked.begin.lease))),
            change: Some(LeaseChange { at, what: ChangeKind::LeaseReply }),
        });
        Lsn::from_u64(at.lsn).ok_or_else(lost_key)
    }

    /// Queues that an orphan has another holder. Returns the lease's fencing number. The caller holds `control`.
    fn take_over(
        &self,
        state: &mut StoreState,
        asked: &Asked<'_>,
        from: (u64, u64, ContentHash),
        mono_ms: u64,
    ) -> Result<Lsn> {
        let moment = self.inner.time.moment(mono_ms);
        let frame = frame(asked, from, self.inner.time.wall_ms());
        let body = codec::encode(&frame);
        let at = self.queue_end_of(state, (FrameKind::Lease, &[&body]), mono_ms)?;
        let expires_ms = moment.trusted_ms.saturating_add(whole_ms(asked.begin.lease));
        let what = ChangeKind::TakenOver { token: asked.token, expires_ms };
        state.records.queue(from.0, LeaseChange { at, what });
        Lsn::from_u64(at.lsn).ok_or_else(lost_key)
    }
}

/// What is to be done about a key. The caller holds the state.
fn judge(
    state: &StoreState,
    keys: Asking<'_>,
    asked: &Asked<'_>,
    now: Moment,
) -> Result<JudgedLease> {
    let below = (&state.kernel, state.outbox.events());
    let Some(item) = state.records.find(keys, asked.fingerprint, below)? else {
        return Ok(JudgedLease::Free { released: None });
    };
    let fence = match item.known {
        KnownItem::Released => return Ok(JudgedLease::Free { released: Some(item.number) }),
        KnownItem::Open(open) => {
            if let Some(change) = &open.change {
                return Ok(JudgedLease::Wait(Lsn::from_u64(change.at.lsn).ok_or_else(lost_key)?));
            }
            open.fence
        }
        KnownItem::Done(done) => done.fence,
        KnownItem::Lost => item.number,
    };
    let both = asked.content_hash != NO_REQUEST && item.content_hash != NO_REQUEST;
    if both && asked.content_hash != item.content_hash {
        let fence = Lsn::from_u64(fence).ok_or_else(lost_key)?;
        return Ok(JudgedLease::Known(LeaseReply::Conflict { fence }));
    }
    let number = item.number;
    Ok(match item.known {
        KnownItem::Open(open) => match retry_after_ms(open, now) {
            Some(retry_after_ms) => JudgedLease::Known(LeaseReply::InProgress { retry_after_ms }),
            None => {
                let slice_begin = open.held.begin;
                JudgedLease::Orphan { item: number, slice_begin, content_hash: item.content_hash }
            }
        },
        KnownItem::Done(done) => JudgedLease::Done { item: number, done },
        KnownItem::Lost => JudgedLease::Lost { item: number },
        KnownItem::Released => JudgedLease::Free { released: Some(number) },
    })
}

/// After how long to ask again for a lease that somebody holds; `None`: nobody does.
pub(super) fn retry_after_ms(open: &LeaseItem, now: Moment) -> Option<u64> {
    let left_ms = open.expires_ms?.saturating_sub(now.trusted_ms);
    (left_ms > 0).then_some(left_ms.min(RETRY_AFTER_MS))
}

/// The lease frame of an item.
fn frame(
    asked: &Asked<'_>,
    (item, slice_begin, content_hash): (u64, u64, ContentHash),
    wall_ms: i64,
) -> LeaseFrame {
    LeaseFrame {
        item,
        fence: 0,
        scope: asked.begin.scope.as_str().to_owned(),
        key: asked.begin.key.as_str().to_owned(),
        token: asked.token,
        content_hash: content_hash.as_u64(),
        slice_begin,
        since_ms: wall_ms,
    }
}

/// The lease that the caller gets.
fn lease(asked: &Asked<'_>, fence: Lsn, wall_ms: i64) -> Lease {
    Lease {
        scope: asked.begin.scope.clone(),
        key: asked.begin.key.clone(),
        token: asked.token,
        fence,
        expires_at_ms: wall_ms.saturating_add_unsigned(whole_ms(asked.begin.lease)),
    }
}

/// An invariant of this module does not hold.
pub(super) fn lost_key() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "INTERNAL",
        "a fault of this program: the place of a lease is missing",
    )
}
