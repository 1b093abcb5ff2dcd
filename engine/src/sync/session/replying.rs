//! What a reply means for the events of its batch.

use super::Session;
use crate::base::{ErrorKind, Result};
use crate::event::StoredEvent;
use crate::outbox::Answer;
use crate::sync::matching::{Said, answer, match_by_key};
use crate::sync::{BatchId, Reply};

/// Events that are sent again, each with what the upstream wishes, milliseconds.
type Later = Vec<(u64, Option<u64>)>;

impl Session {
    /// Takes up a reply. One for a batch that is not waiting changes nothing.
    ///
    /// # Durability
    ///
    /// The outcomes survive a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// Those of the store; the batch is then sent again.
    pub fn on_reply(&mut self, batch: BatchId, reply: &Reply, now_ms: u64) -> Result<()> {
        let Some(open) = self.sent.take_if(|open| open.formed.number == batch.get()) else {
            return Ok(());
        };
        self.on_no_time();
        let events = match self.read(&open.formed.events) {
            Ok(events) => events,
            Err(error) => {
                self.sent = Some(open);
                return Err(error);
            }
        };
        // What the disk refuses is told by what follows.
        drop(self.end_hold());
        let keys = self.wire_keys(&events);
        let said = match_by_key(&keys, reply);
        self.report.strangers += said.strangers;
        let (mut answers, mut later) = self.sort_out(&events, &keys, &said);
        let refused = self.leave_out_reasons(&mut answers);
        later.extend(refused.into_iter().map(|lsn| (lsn, None)));
        if answers.is_empty() && !later.is_empty() && self.inner().reserve().is_low() {
            self.take_up_pace(&open, &answers, &later, now_ms)?;
            self.hold(open);
            return Ok(());
        }
        if let Err(error) = self.close(&open, &answers) {
            self.sent = Some(open);
            return Err(error);
        }
        self.take_up_pace(&open, &answers, &later, now_ms)?;
        self.take_up_acceptances(&open, &answers)?;
        // What other processes decided; what the disk refuses now is tried again.
        drop(self.inner().dropped().carry_out());
        match self.store.clean_up() {
            // What could not be cleaned now is cleaned later; the answers are kept.
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            other => other,
        }
    }

    /// Which events have an answer, and which are sent again later. Why is told in the report.
    fn sort_out(
        &mut self,
        events: &[StoredEvent],
        keys: &[String],
        said: &Said<'_>,
    ) -> (Vec<(u64, Answer)>, Later) {
        let mut answers: Vec<(u64, Answer)> = Vec::with_capacity(events.len());
        let mut later = Vec::new();
        let mut left_out = 0_u64;
        for (event, key) in events.iter().zip(keys) {
            let lsn = event.lsn.get();
            // Left out, or told in two ways: nothing is known.
            let Some(Some(outcome)) = said.outcomes.get(key.as_str()) else {
                left_out += 1;
                later.push((lsn, None));
                continue;
            };
            match answer(outcome) {
                Ok(answer) => answers.push((lsn, answer)),
                Err(retry_after_ms) => later.push((lsn, retry_after_ms)),
            }
        }
        self.report.missing += left_out;
        if left_out > 0 {
            let why = format!("a reply left out {left_out} events, or told them in two ways");
            self.report.last_failure = Some(why);
        }
        if let Some(why) = said.for_now() {
            self.report.last_failure = Some(why);
        }
        (answers, later)
    }
}
