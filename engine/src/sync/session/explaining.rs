//! Why nothing is sent, in words for the report.

use std::fmt;

use super::Session;
use super::candidates::Candidates;
use super::evidence::Evidence;
use super::findings::Findings;

/// Count of misfits from which on they are the configuration's fault, where nothing can be sent.
const MISFITS_MAX: u64 = 8;

impl Candidates {
    /// Nothing can be sent: says what waits, and why.
    pub(super) fn explain_waits(
        &self,
        evidence: &mut Evidence,
        findings: &mut Findings,
        is_once: bool,
    ) {
        match self.misfits_alone(findings) {
            Some((count, told)) if count >= MISFITS_MAX || is_once => {
                evidence.blame(format!("{told}: is it the right one?"));
            }
            Some((_, told)) => findings.note(format!(
                "{told}; that goes to review once the upstream takes another event, which shows that the dialect is right"
            )),
            None => {}
        }
        if let Some((_, last)) = self.attempts.last_suspect() {
            findings.note(format!(
                "{} events that were sent alone were refused, the last with {last}; they wait until \
                 the upstream takes others, which shows that they are at fault, and not the address or the dialect",
                self.attempts.suspects()
            ));
        }
        let behind = self.access.behind_parked();
        findings.counts.behind = behind;
        if behind > 0 {
            findings.note_if_first(|| {
                format!("{behind} wait in their lane behind one that waits for a person")
            });
        }
    }

    /// How many events form no item of the dialect where nothing could be sent since the session began, and which was
    /// the last of them and why, in words. The configuration is taken to be at fault then: with
    /// [`Effort::Once`](crate::sync::Effort::Once) whatever waits, otherwise for many events.
    fn misfits_alone(&self, findings: &mut Findings) -> Option<(u64, String)> {
        let count = self.attempts.misfits();
        if findings.counts.attempted > 0 || count == 0 {
            return None;
        }
        let (lsn, why) = self.attempts.last_misfit()?;
        // One that cannot be read has no key to report.
        let read = self.access.read(&[lsn], findings).unwrap_or_default();
        let key = read.first().map(|event| format!(" ({})", event.event.key)).unwrap_or_default();
        let told = match count {
            1 => format!("the event that waits{key} cannot be sent in this dialect for {why}"),
            _ => format!(
                "none of {count} events that wait can be sent in this dialect, the last{key} for {why}"
            ),
        };
        Some((count, told))
    }
}

/// Whether events wait and none of them could be sent since the session began, because they form no items.
pub(in crate::sync) fn sends_nothing(session: &Session) -> bool {
    session.findings.counts.attempted == 0 && session.events.attempts.misfits() > 0
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("report", &self.known()).finish_non_exhaustive()
    }
}
