//! Records by key: from memory if they were used lately, else from the log.

use super::Records;
use super::begin::{lost_key, retry_after_ms};
use crate::Lsn;
use crate::base::{Error, FrameKind, Located, Moment, Result, codec};
use crate::event::{Key, Payload, Scope};
use crate::kernel::Asking;
use crate::records::frames::{LeaseFrame, RecordHead};
use crate::records::table::{KnownItem, RecordItem};
use crate::records::{OpenLease, Record, RecordState, fingerprint};
use crate::store::StoreState;

/// What is known under a key.
enum FoundRecord {
    Known(RecordState),
    /// A completed record.
    Done {
        item: u64,
        done: RecordItem,
    },
}

impl Records<'_> {
    /// Does what [`Records::get`](crate::records::Records::get) says.
    pub(super) fn look_at_record(&self, scope: &Scope, key: &Key) -> Result<RecordState> {
        loop {
            let now = self.inner.time.now();
            let looked = self.inner.asking(&mut self.inner.state.lock(), |state, keys| {
                look(state, keys, (scope, key), now)
            });
            let (item, done) = match looked? {
                FoundRecord::Known(RecordState::Unknown) => {
                    self.inner.refuse_if_in_doubt()?;
                    return Ok(RecordState::Unknown);
                }
                FoundRecord::Known(state) => return Ok(state),
                FoundRecord::Done { item, done } => (item, done),
            };
            if let Some(record) = self.read_record(item, done)? {
                return Ok(RecordState::Completed(record));
            }
        }
    }

    /// Does what [`Records::leases`](crate::records::Records::leases) says.
    pub(super) fn list_leases(&self, after: Option<Lsn>, max: usize) -> Result<Vec<OpenLease>> {
        let mut after = after.map_or(0, Lsn::get);
        let mut found = Vec::new();
        while found.len() < max {
            let next = {
                let state = self.inner.state.lock();
                let now = self.inner.time.now();
                let mut leases = state.records.leases(after);
                leases.next().map(|(item, open)| (item, open.at, retry_after_ms(open, now)))
            };
            let Some((item, at, retry_after_ms)) = next else { break };
            match self.read_lease(item, at) {
                Ok(lease) => {
                    after = item;
                    found.push(OpenLease { is_held: retry_after_ms.is_some(), ..lease });
                }
                // Perhaps it ended, or cleaning moved it, since somebody looked where it is.
                Err(error) => match self.inner.state.lock().records.open(item) {
                    Some(open) if open.at == at => return Err(error),
                    Some(_) | None => {}
                },
            }
        }
        Ok(found)
    }

    /// Reads a lease where it is.
    fn read_lease(&self, item: u64, at: Located) -> Result<OpenLease> {
        let lease: LeaseFrame = self.inner.read(at, |frame| {
            let decoded =
                Some(frame.body).filter(|_| FrameKind::of(frame) == Some(FrameKind::Lease));
            let none = || Error::corrupt(format!("LSN {}: the frame holds no lease", at.lsn));
            decoded.and_then(codec::decode).ok_or_else(none)
        })?;
        let fence = if lease.fence == 0 { at.lsn } else { lease.fence };
        Ok(OpenLease {
            item: Lsn::from_u64(item).ok_or_else(lost_key)?,
            scope: Scope::new(&lease.scope)?,
            key: Key::new(&lease.key)?,
            fence: Lsn::from_u64(fence).ok_or_else(lost_key)?,
            since_ms: lease.since_ms,
            is_held: false,
        })
    }

    /// Reads a record; `None`: it is forgotten.
    pub(super) fn read_record(&self, item: u64, done: RecordItem) -> Result<Option<Record>> {
        if let Some(record) = self.inner.bodies.lock().find(item) {
            return Ok(Some(record));
        }
        let mut first = Some(done);
        let look = || first.take().or_else(|| self.inner.state.lock().records.done(item));
        let read = self.inner.read_where_it_is(look, |done| self.read_body(item, *done))?;
        read.iter().for_each(|record| self.inner.bodies.lock().put(item, record));
        Ok(read)
    }

    fn read_body(&self, item: u64, done: RecordItem) -> Result<Record> {
        let at = done.at;
        self.inner.read(at, |frame| {
            let is_record = FrameKind::of(frame) == Some(FrameKind::Record);
            let (head, body) = Some(frame.body)
                .filter(|_| is_record)
                .and_then(RecordHead::decode)
                .filter(|(head, _)| head.item == item)
                .ok_or_else(|| {
                    Error::corrupt(format!("LSN {}: the frame holds no record of this key", at.lsn))
                })?;
            let body = body.to_vec();
            let is_json = head.is_json();
            let body = if is_json { Payload::from_stored_json(body) } else { Payload::bytes(body) };
            let fence = Lsn::from_u64(head.fence).ok_or_else(lost_key)?;
            Ok(Record { body, completed_at_ms: head.completed_at_ms, fence })
        })
    }
}

/// What is known under a key. The caller holds the state.
fn look(
    state: &StoreState,
    keys: Asking<'_>,
    (scope, key): (&Scope, &Key),
    now: Moment,
) -> Result<FoundRecord> {
    let fingerprint = fingerprint(&state.kernel.secret, scope.as_str(), key.as_str());
    let below = (&state.kernel, state.outbox.events());
    let Some(item) = state.records.find(keys, fingerprint, below)? else {
        return Ok(FoundRecord::Known(RecordState::Unknown));
    };
    Ok(match item.known {
        KnownItem::Done(done) => FoundRecord::Done { item: item.number, done },
        KnownItem::Released => FoundRecord::Known(RecordState::Unknown),
        // What is not durable yet is not there.
        KnownItem::Open(open) if open.is_new() => FoundRecord::Known(RecordState::Unknown),
        KnownItem::Lost => {
            let fence = Lsn::from_u64(item.number).ok_or_else(lost_key)?;
            FoundRecord::Known(RecordState::OutcomeUnknown { fence })
        }
        KnownItem::Open(open) => {
            let fence = Lsn::from_u64(open.fence).ok_or_else(lost_key)?;
            FoundRecord::Known(match retry_after_ms(open, now) {
                Some(retry_after_ms) => RecordState::InProgress { fence, retry_after_ms },
                None => RecordState::OutcomeUnknown { fence },
            })
        }
    })
}
