//! Records by key: from memory if they were used lately, else from the log.

use super::begin::{lost_key, retry_after_ms};
use crate::Lsn;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Key, Payload, Scope};
use crate::frames::records::{Lease, RecordHead};
use crate::frames::{KIND_LEASE, KIND_RECORD, codec};
use crate::record::{OpenLease, Record, RecordState};
use crate::store::{Inner, frame_lsn, from_log};
use crate::view::records::{Done, Known};
use crate::view::{Asking, Located, Moment};

/// What stands under a key.
enum Looked {
    Known(RecordState),
    /// A completed record.
    Done {
        item: u64,
        done: Done,
    },
}

impl Inner {
    /// See [`Store::record`](crate::Store::record).
    pub(super) fn look_at_record(&self, scope: &Scope, key: &Key) -> Result<RecordState> {
        loop {
            let now = self.moment(self.mono_ms());
            let looked = self.asking(&mut self.view.lock(), |view| look(view, (scope, key), now));
            let (item, done) = match looked? {
                Looked::Known(state) => return Ok(state),
                Looked::Done { item, done } => (item, done),
            };
            if let Some(record) = self.read_record(item, done)? {
                return Ok(RecordState::Completed(record));
            }
        }
    }

    /// See [`Store::leases`](crate::Store::leases).
    pub(super) fn list_leases(&self, after: Option<Lsn>, max: usize) -> Result<Vec<OpenLease>> {
        let mut after = after.map_or(0, Lsn::get);
        let mut found = Vec::new();
        while found.len() < max {
            let next = {
                let view = self.view.lock();
                let now = self.moment(self.mono_ms());
                let mut leases = view.records.leases(after);
                leases.next().map(|(item, open)| (item, open.at, retry_after_ms(open, now)))
            };
            let Some((item, at, retry_after_ms)) = next else { break };
            match self.read_lease(item, at) {
                Ok(lease) => {
                    after = item;
                    found.push(OpenLease { is_held: retry_after_ms.is_some(), ..lease });
                }
                // Perhaps it ended, or cleaning moved it, since somebody looked where it is.
                Err(error) => match self.view.lock().records.open(item) {
                    Some(open) if open.at == at => return Err(error),
                    Some(_) | None => {}
                },
            }
        }
        Ok(found)
    }

    fn read_lease(&self, item: u64, at: Located) -> Result<OpenLease> {
        let read = self.log.read(at.place, at.bytes, frame_lsn(at)?).map_err(from_log)?;
        let frame = read.frame().map_err(from_log)?;
        let decoded = Some(frame.body).filter(|_| frame.kind == KIND_LEASE);
        let lease: Lease = decoded
            .and_then(codec::decode)
            .ok_or_else(|| Error::corrupt(format!("LSN {}: holds no lease", at.lsn)))?;
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

    /// A completed record; `None` if it was forgotten in the meantime.
    pub(super) fn read_record(&self, item: u64, mut done: Done) -> Result<Option<Record>> {
        if let Some(record) = self.bodies.lock().find(item) {
            return Ok(Some(record));
        }
        loop {
            let error = match self.read_body(item, done) {
                Ok(record) => {
                    self.bodies.lock().put(item, &record);
                    return Ok(Some(record));
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => error,
                Err(error) => return Err(error),
            };
            // Perhaps cleaning moved it since somebody looked where it is.
            match self.view.lock().records.done(item) {
                Some(now) if now != done => done = now,
                Some(_) => return Err(error),
                None => return Ok(None),
            }
        }
    }

    fn read_body(&self, item: u64, done: Done) -> Result<Record> {
        let at = done.at;
        let read = self.log.read(at.place, at.bytes, frame_lsn(at)?).map_err(from_log)?;
        let frame = read.frame().map_err(from_log)?;
        let decoded = Some(frame.body).filter(|_| frame.kind == KIND_RECORD);
        let (head, body) = decoded
            .and_then(RecordHead::decode)
            .filter(|(head, _)| head.item == item)
            .ok_or_else(|| Error::corrupt(format!("LSN {}: holds no such record", at.lsn)))?;
        let body = body.to_vec();
        let is_json = head.is_json();
        let body = if is_json { Payload::from_stored_json(body) } else { Payload::bytes(body) };
        let fence = Lsn::from_u64(head.fence).ok_or_else(lost_key)?;
        Ok(Record { body, completed_at_ms: head.completed_at_ms, fence })
    }
}

/// What stands under a key. The caller holds the view.
fn look(view: Asking<'_>, (scope, key): (&Scope, &Key), now: Moment) -> Result<Looked> {
    let print = view.record_print(scope.as_str(), key.as_str());
    let Some(item) = view.item(print)? else { return Ok(Looked::Known(RecordState::Unknown)) };
    Ok(match item.known {
        Known::Done(done) => Looked::Done { item: item.number, done },
        Known::Released => Looked::Known(RecordState::Unknown),
        // What is not durable yet is not there.
        Known::Open(open) if open.is_new() => Looked::Known(RecordState::Unknown),
        Known::Lost => {
            let fence = Lsn::from_u64(item.number).ok_or_else(lost_key)?;
            Looked::Known(RecordState::OutcomeUnknown { fence })
        }
        Known::Open(open) => {
            let fence = Lsn::from_u64(open.fence).ok_or_else(lost_key)?;
            Looked::Known(match retry_after_ms(open, now) {
                Some(retry_after_ms) => RecordState::InProgress { fence, retry_after_ms },
                None => RecordState::OutcomeUnknown { fence },
            })
        }
    })
}
