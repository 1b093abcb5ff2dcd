//! Events that are refused alone by what refuses a whole request: theirs may be the fault, or that of
//! whoever answers. A wrong address, a wrong dialect, a page on the way refuse good sales too.
//!
//! | an event is refused alone, and | it |
//! |---|---|
//! | the upstream took another one since a batch with it was refused first | goes to review |
//! | the upstream took another one in this session, and refused fewer than eight in a row since | too |
//! | the upstream takes another one later | goes to review then |
//! | others are refused alone as well, eight in a row | stays pending, as they do; the session pauses |
//!
//! Only what the upstream took with the settings of now counts. An event that forms no item of the dialect
//! is a suspect too, and costs no request: see [`Candidates`](super::candidates::Candidates).

use super::Open;
use super::suspicion::Suspicion;

/// Events refused alone in a row after which the fault is not taken for theirs.
const SUSPECTS_MAX: u32 = 8;

/// What speaks for the configuration of a session, and what against it.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Replies with which the upstream took events that were sent with the settings of now.
    acceptances: u64,
    /// Events refused alone since the last of them.
    in_a_row: u32,
    /// Why the configuration is taken to be at fault.
    misconfigured: Option<String>,
}

impl Evidence {
    /// Whether the upstream took anything that was sent with the settings of now.
    pub(super) fn has_acceptance(&self) -> bool {
        self.acceptances > 0
    }

    /// Whether the upstream took something since there were so many acceptances.
    pub(super) fn has_acceptance_since(&self, count: u64) -> bool {
        count < self.acceptances
    }

    /// Why the configuration is taken to be at fault; `None`: it is not.
    pub(super) fn misconfigured(&self) -> Option<&str> {
        self.misconfigured.as_deref()
    }

    /// A batch is refused as a whole: what the upstream takes from now on counts against its events.
    pub(super) fn note_refusal(&self, open: &mut Open) {
        open.refused_at.get_or_insert(self.acceptances);
    }

    /// The line failed for a batch. Returns whether the upstream took others since it did so first: then the batch
    /// itself is at fault.
    pub(super) fn note_failure(&self, open: &mut Open) -> bool {
        let failed_at = *open.failed_at.get_or_insert(self.acceptances);
        self.has_acceptance_since(failed_at)
    }

    /// One event is refused alone. Returns whether it is at fault itself: the upstream took other events since a
    /// batch with it was refused first, or before, as long as it does not refuse whatever it is sent since.
    pub(super) fn convicts(&mut self, open: &Open) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        open.refused_at.is_some_and(|at| self.has_acceptance_since(at))
            || (self.has_acceptance() && self.in_a_row <= SUSPECTS_MAX)
    }

    /// Whether so many were refused alone that the fault is not taken for theirs.
    pub(super) fn is_against_configuration(&self) -> bool {
        self.in_a_row >= SUSPECTS_MAX
    }

    /// Whether only one event may be tried: the next that is refused alone pauses the session.
    pub(super) fn is_trying(&self) -> bool {
        self.in_a_row >= SUSPECTS_MAX - 1
    }

    /// Nothing that is sent is taken, the last for this reason: one event is tried next.
    pub(super) fn blame_configuration(&mut self, last: &Suspicion) {
        let (code, message) = last.code_and_message();
        self.misconfigured = Some(format!(
            "each of {} events in a row was refused, the last with {code} ({message}), and none was \
             taken since the first of them: is the address right, and the dialect?",
            self.in_a_row
        ));
        self.in_a_row = if self.has_acceptance() { SUSPECTS_MAX } else { SUSPECTS_MAX - 1 };
    }

    /// The configuration is at fault, as these words say.
    pub(super) fn blame(&mut self, why: String) {
        self.misconfigured = Some(why);
    }

    /// The upstream took events of a batch with the settings of now.
    pub(super) fn accept(&mut self) {
        self.acceptances = self.acceptances.saturating_add(1);
        self.trust();
    }

    /// Nothing speaks against the configuration any more.
    pub(super) fn trust(&mut self) {
        self.in_a_row = 0;
        self.misconfigured = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::tests::open;
    use super::*;

    #[test]
    fn an_event_is_at_fault_once_others_were_taken_since_it_was_refused_first() {
        let mut evidence = Evidence::default();
        let mut refused = open(&[1]);
        evidence.note_refusal(&mut refused);
        assert!(!evidence.convicts(&refused), "nothing was taken");
        evidence.accept();
        evidence.note_refusal(&mut refused);
        for _ in 0..=SUSPECTS_MAX {
            assert!(evidence.convicts(&refused), "its first refusal counts, however many follow");
        }
    }

    #[test]
    fn eight_in_a_row_are_at_fault_where_something_was_taken_before_and_the_ninth_is_not() {
        let mut evidence = Evidence::default();
        evidence.accept();
        let mut refused = open(&[1]);
        evidence.note_refusal(&mut refused);
        for _ in 0..SUSPECTS_MAX {
            assert!(evidence.convicts(&refused));
        }
        assert!(!evidence.convicts(&refused));
        evidence.accept();
        evidence.note_refusal(&mut open(&[2]));
        assert!(evidence.convicts(&open(&[2])), "what is taken begins the row anew");
    }

    #[test]
    fn after_the_configuration_was_blamed_one_event_is_tried_until_it_is_trusted() {
        let why = Suspicion::new("CODE", "words");
        for has_acceptance in [false, true] {
            let mut evidence = Evidence::default();
            if has_acceptance {
                evidence.accept();
            }
            let refused = Open { refused_at: Some(u64::MAX), ..open(&[1]) };
            while !evidence.is_against_configuration() {
                assert_eq!(evidence.convicts(&refused), has_acceptance);
            }
            evidence.blame_configuration(&why);
            assert!(evidence.is_trying());
            let told = evidence.misconfigured().unwrap().to_owned();
            assert!(told.contains("each of 8 events") && told.contains("CODE (words)"), "{told}");
            assert!(!evidence.convicts(&refused), "the one that is tried is not at fault");
            assert!(evidence.is_against_configuration(), "and pauses the session again");
            evidence.trust();
            assert!(!evidence.is_trying() && evidence.misconfigured().is_none());
            assert_eq!(evidence.has_acceptance(), has_acceptance, "what was taken still counts");
        }
    }

    #[test]
    fn a_batch_is_at_fault_if_others_were_taken_since_the_line_first_failed_for_it() {
        let mut evidence = Evidence::default();
        let mut failed = open(&[1]);
        assert!(!evidence.note_failure(&mut failed));
        evidence.accept();
        assert!(evidence.note_failure(&mut failed));
        assert!(!evidence.note_failure(&mut open(&[2])), "another one fails for the first time");
    }
}
