//! Events that the dialect cannot send. With a wrong dialect that is every good sale, so they wait, as
//! [suspects](super::suspects) do, until the upstream takes others; and whatever is to be done with them
//! costs no request.

use super::Session;
use super::horizon::First;
use super::pacing::Retry;
use super::suspects::Suspicion;
use crate::event::StoredEvent;
use crate::outbox::Answer;

/// So many of them, and nothing that can be sent, are the configuration's fault.
const MISFITS_MAX: u64 = 8;

impl Session {
    /// An event cannot be sent. Returns its answer, if it is at fault itself; otherwise it waits.
    pub(super) fn take_up_misfit(&mut self, event: &StoredEvent, why: Suspicion) -> Option<Answer> {
        // No dialect can send one whose key is another event's on the wire.
        let has_no_key = self.rule().wire_key(&self.options.scope, &event.event.key).is_err();
        if self.acceptances > 0 || has_no_key {
            return Some(why.into_answer());
        }
        let lsn = event.lsn.get();
        self.report.last_failure.get_or_insert_with(|| why.to_string());
        let first = self.first(lsn, First::Before);
        self.retries.entry(lsn).or_insert_with(|| Retry::new(first)).suspicion = Some(why);
        None
    }

    /// Nothing can be sent. Where that is so since the session began, its configuration is told as the
    /// fault: with [`Effort::Once`](crate::sync::Effort::Once) whatever waits, otherwise for many events.
    pub(super) fn tell_of_misfits(&mut self) {
        let count = self.misfits();
        if self.report.attempted > 0 || count == 0 || (count < MISFITS_MAX && !self.is_once()) {
            return;
        }
        let suspects =
            self.retries.iter().filter_map(|(lsn, it)| Some((*lsn, it.suspicion.as_ref()?)));
        let last = suspects.rev().find(|(_, why)| why.is_misfit());
        let Some((lsn, why)) = last.map(|(lsn, why)| (lsn, why.to_string())) else { return };
        // One that cannot be read has no key to tell.
        let read = self.read(&[lsn]).unwrap_or_default();
        let key = read.first().map(|event| format!(" ({})", event.event.key)).unwrap_or_default();
        self.report.misconfigured = Some(format!(
            "none of {count} events that wait can be sent in this dialect, the last{key} for {why}: is it the \
             right one?"
        ));
    }

    /// How many events the dialect cannot send, and wait for evidence.
    pub(super) fn misfits(&self) -> u64 {
        let suspicions = self.retries.values().filter_map(|retry| retry.suspicion.as_ref());
        u64::try_from(suspicions.filter(|it| it.is_misfit()).count()).unwrap_or(u64::MAX)
    }
}
