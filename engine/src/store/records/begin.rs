//! Judges a key, and takes or takes over its lease.

use onceward_index::{ContentHash, Entry, Fingerprint};
use onceward_wal::Lsn;

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::frames::records::{self as frames, Token};
use crate::frames::{KIND_LEASE, codec};
use crate::limits::RETRY_AFTER_MS;
use crate::record::{Begin, Begun, Lease};
use crate::store::Inner;
use crate::view::records::{Change, Done, Known, Open, What, record_print};
use crate::view::windows::RECORD_PREFIX;
use crate::view::{Asking, Moment, Taking, View};

use super::change::Waiting;

/// The print of a call without a request.
const NO_REQUEST: ContentHash = ContentHash::from_u64(0);

/// What a caller asks, and the token that it gets if it is given a lease.
#[derive(Clone, Copy)]
struct Asked<'a> {
    begin: &'a Begin,
    print: Fingerprint,
    content: ContentHash,
    token: Token,
}

/// What was found of a key.
enum Judged {
    /// Nothing: it may be taken. An entry that the index should not have is forgotten first.
    Free { released: Option<u64> },
    /// An item that is lost to damage: its key may be taken, and its outcome is unknown.
    Lost { item: u64 },
    /// Something that is not durable yet.
    Wait(Waiting),
    /// A lease that nobody holds, and the print that came with the key.
    Orphan { item: u64, slice_begin: u64, content: ContentHash },
    /// A completed record.
    Done { item: u64, done: Done },
    /// What can be answered at once.
    Known(Begun),
}

impl Inner {
    /// See [`Store::begin`](crate::Store::begin).
    pub(super) fn begin_record(&self, begin: &Begin) -> Result<Begun> {
        let asked = self.asked(begin)?;
        let mut control = None;
        loop {
            self.refuse_if_closed()?;
            let mut view = self.view.lock();
            let mono_ms = self.mono_ms();
            let now = self.moment(mono_ms);
            if view.turn(now.trusted_ms) {
                self.keeper.ask();
            }
            match self.asking(&mut view, |view| judge(view, &asked, now))? {
                Judged::Known(begun) => return Ok(begun),
                Judged::Wait(waiting) => {
                    drop(view);
                    drop(control.take());
                    self.wait_for_other(waiting)?;
                }
                Judged::Done { item, done } => {
                    drop(view);
                    drop(control.take());
                    if let Some(record) = self.read_record(item, done)? {
                        return Ok(Begun::Cached(record));
                    }
                }
                Judged::Free { released } => {
                    drop(control.take());
                    let waiting = self.take_key(&mut view, &asked, released, mono_ms)?;
                    drop(view);
                    self.end_change(waiting)?;
                    return Ok(Begun::Acquired(lease(&asked, waiting.lsn, self.wall_ms())));
                }
                Judged::Lost { item } => {
                    drop(control.take());
                    let waiting = self.take_key(&mut view, &asked, Some(item), mono_ms)?;
                    drop(view);
                    self.end_change(waiting)?;
                    return Ok(Begun::OutcomeUnknown(lease(&asked, waiting.lsn, self.wall_ms())));
                }
                // It is changed, not taken: under `control`, which comes before the view.
                Judged::Orphan { .. } if control.is_none() => {
                    drop(view);
                    control = Some(self.control.lock());
                }
                Judged::Orphan { item, slice_begin, content } => {
                    let from = (item, slice_begin, content);
                    let waiting = self.take_over(&mut view, &asked, from, mono_ms)?;
                    drop(view);
                    drop(control);
                    self.end_change(waiting)?;
                    return Ok(Begun::OutcomeUnknown(lease(&asked, waiting.lsn, self.wall_ms())));
                }
            }
        }
    }

    fn asked<'a>(&self, begin: &'a Begin) -> Result<Asked<'a>> {
        let print = record_print(&self.secret, begin.scope.as_str(), begin.key.as_str());
        let content = match &begin.request {
            // A print that happens to be that of no request becomes another one.
            Some(request) => Some(self.secret.content(&[request]))
                .filter(|content| *content != NO_REQUEST)
                .unwrap_or(ContentHash::from_u64(1)),
            None => NO_REQUEST,
        };
        Ok(Asked { begin, print, content, token: Token::new(clock::random()?) })
    }

    /// Queues the lease of a key that nobody has. The caller judged it under the same view.
    fn take_key(
        &self,
        view: &mut View,
        asked: &Asked<'_>,
        released: Option<u64>,
        mono_ms: u64,
    ) -> Result<Waiting> {
        let most = self.config.leases_max;
        if view.records.open_count() >= u64::from(most) {
            let message = format!("{most} leases are open, and no more may be");
            return Err(Error::new(ErrorKind::Full, "LEASES_FULL", message));
        }
        view.keys.check_room(1)?;
        let moment = self.moment(mono_ms);
        let frame = frame(asked, (0, 0, asked.content), self.wall_ms());
        let at = self.queue_new(view, (KIND_LEASE, &[&codec::encode(&frame)]), mono_ms)?;
        if let Some(item) = released {
            view.keys.forget_released(asked.print, item);
        }
        let entry = Entry { key: asked.print, content: asked.content, lsn: at.lsn };
        let taking = Taking { entry, window: self.windows.of(RECORD_PREFIX) };
        let held = view.keys.take(&[taking], moment.trusted_ms).into_iter().next();
        self.keeper.count(0, 1);
        let held = held.ok_or_else(lost_key)?;
        view.add_lease(Open {
            print: asked.print,
            held,
            at,
            fence: at.lsn,
            token: asked.token,
            expires_ms: Some(moment.trusted_ms.saturating_add(asked.begin.lease_ms)),
            change: Some(Change { at, what: What::Begun }),
        });
        Waiting::on(at.lsn, at)
    }

    /// Queues a lease in place of one that nobody holds. The caller holds `control`.
    fn take_over(
        &self,
        view: &mut View,
        asked: &Asked<'_>,
        from: (u64, u64, ContentHash),
        mono_ms: u64,
    ) -> Result<Waiting> {
        let moment = self.moment(mono_ms);
        let frame = frame(asked, from, self.wall_ms());
        let at = self.queue_end_of(view, (KIND_LEASE, &[&codec::encode(&frame)]), mono_ms)?;
        let expires_ms = moment.trusted_ms.saturating_add(asked.begin.lease_ms);
        let what = What::TakenOver { token: asked.token, expires_ms };
        view.records.queue(from.0, Change { at, what });
        Waiting::on(from.0, at)
    }
}

/// What is to be done about a key. The caller holds the view.
fn judge(view: Asking<'_>, asked: &Asked<'_>, now: Moment) -> Result<Judged> {
    let Some(item) = view.item(asked.print)? else { return Ok(Judged::Free { released: None }) };
    let fence = match item.known {
        Known::Released => return Ok(Judged::Free { released: Some(item.number) }),
        Known::Open(open) => {
            if let Some(change) = &open.change {
                return Ok(Judged::Wait(Waiting::on(item.number, change.at)?));
            }
            open.fence
        }
        Known::Done(done) => done.fence,
        Known::Lost => item.number,
    };
    let both = asked.content != NO_REQUEST && item.content != NO_REQUEST;
    if both && asked.content != item.content {
        let fence = Lsn::from_u64(fence).ok_or_else(lost_key)?;
        return Ok(Judged::Known(Begun::Conflict { fence }));
    }
    let number = item.number;
    Ok(match item.known {
        Known::Open(open) => match retry_after_ms(open, now) {
            Some(retry_after_ms) => Judged::Known(Begun::InProgress { retry_after_ms }),
            None => {
                let slice_begin = open.held.begin;
                Judged::Orphan { item: number, slice_begin, content: item.content }
            }
        },
        Known::Done(done) => Judged::Done { item: number, done },
        Known::Lost => Judged::Lost { item: number },
        Known::Released => Judged::Free { released: Some(number) },
    })
}

/// After how long to ask again for a lease that somebody holds; `None`: nobody does.
pub(super) fn retry_after_ms(open: &Open, now: Moment) -> Option<u64> {
    let left_ms = open.expires_ms?.saturating_sub(now.trusted_ms);
    (left_ms > 0).then_some(left_ms.min(RETRY_AFTER_MS))
}

/// The lease frame of an item.
fn frame(
    asked: &Asked<'_>,
    (item, slice_begin, content): (u64, u64, ContentHash),
    wall_ms: i64,
) -> frames::Lease {
    frames::Lease {
        item,
        fence: 0,
        scope: asked.begin.scope.as_str().to_owned(),
        key: asked.begin.key.as_str().to_owned(),
        token: asked.token,
        content: content.as_u64(),
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
        expires_at_ms: wall_ms.saturating_add_unsigned(asked.begin.lease_ms),
    }
}

/// An invariant of this module does not hold.
pub(super) fn lost_key() -> Error {
    Error::new(ErrorKind::Corrupt, "INTERNAL", "the index gave an impossible answer")
}
