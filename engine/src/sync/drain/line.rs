//! Whether the line is there: from what became of requests, and from probes while nobody answers. No clock, no socket.
//!
//! ```text
//!            a request that nobody answers
//!   open ------------------------------------> down --- probe fails ---> down, and known to be
//!    ^                                          | |                              |
//!    |  an answer, whoever gives it             | +--- first probe reaches ------+--- probe reaches --> back:
//!    +------------------------------------------+      the upstream                  the next request goes now
//! ```
//!
//! A probe opens a connection and sends nothing. As long as probes fail no request goes, but one in five minutes,
//! should the way be one that lets requests through and probes not. An upstream that takes connections and answers
//! nothing is asked after the sessions' own backoff.

/// From the first failure to the first probe, at least; up to twice that.
const FIRST_MS: u64 = 1_000;
/// Between two probes, at first.
const OFTEN_MS: u64 = 5_000;
/// How long they are so often.
const OFTEN_FOR_MS: u64 = 10 * 60 * 1_000;
/// Between two probes, later.
const SELDOM_MS: u64 = 60_000;
/// Between two requests that go although probes fail.
const TRY_MS: u64 = 5 * 60 * 1_000;

/// What may be done with the line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LineStep {
    /// Requests may go, as far as the sessions want.
    Open,
    /// A probe is to be made.
    Probe,
    /// A probe is on its way.
    Await,
    /// Nothing may go until then.
    Wait {
        /// By the clock of the host.
        until_ms: u64,
    },
}

/// What is known of a line on which nobody answered the last request.
#[derive(Clone, Copy, Debug)]
struct Down {
    /// Since when nobody answers.
    since_ms: u64,
    /// When the last request failed.
    failed_ms: u64,
    next_probe_ms: u64,
    is_probing: bool,
    /// Whether a probe failed since a request went last.
    is_refused: bool,
    /// Whether the last probe reached the upstream.
    is_reached: bool,
    /// Whether none was made since nobody answers.
    is_first: bool,
}

/// The line to one upstream.
#[derive(Debug)]
pub(super) struct LineState {
    is_probed: bool,
    chance: u64,
    down: Option<Down>,
}

impl LineState {
    /// A line of which nothing is known. Unless `is_probed`, the sessions' backoff alone says when anything goes.
    pub(super) fn new(is_probed: bool, seed: u64) -> Self {
        Self { is_probed, chance: seed, down: None }
    }

    /// What may be done now.
    pub(super) fn next(&self, now_ms: u64) -> LineStep {
        let Some(down) = self.down.filter(|down| !down.is_reached) else { return LineStep::Open };
        let try_ms = down.failed_ms.saturating_add(TRY_MS);
        if now_ms >= try_ms {
            return LineStep::Open;
        }
        if down.is_probing {
            return LineStep::Await;
        }
        if now_ms >= down.next_probe_ms {
            return LineStep::Probe;
        }
        LineStep::Wait { until_ms: down.next_probe_ms.min(try_ms) }
    }

    /// Nobody answered a request.
    pub(super) fn on_failure(&mut self, now_ms: u64) {
        if !self.is_probed {
            return;
        }
        let Some(down) = self.down else {
            let next_probe_ms = now_ms.saturating_add(FIRST_MS + self.draw() % FIRST_MS);
            self.down = Some(Down {
                since_ms: now_ms,
                failed_ms: now_ms,
                next_probe_ms,
                is_probing: false,
                is_refused: false,
                is_reached: false,
                is_first: true,
            });
            return;
        };
        let next_probe_ms =
            if down.is_reached { self.next_ms(down, now_ms) } else { down.next_probe_ms };
        let (failed_ms, is_refused, is_reached) = (now_ms, false, false);
        self.down = Some(Down { failed_ms, next_probe_ms, is_refused, is_reached, ..down });
    }

    /// Somebody answered a request.
    pub(super) fn on_answer(&mut self) {
        self.down = None;
    }

    /// A probe goes.
    pub(super) fn note_probe(&mut self) {
        if let Some(down) = &mut self.down {
            down.is_probing = true;
        }
    }

    /// A probe reached the upstream, or did not. Returns whether the line is back: whatever waits for it goes now.
    pub(super) fn on_probe(&mut self, is_reached: bool, now_ms: u64) -> bool {
        let Some(down) = self.down else { return false };
        let next_probe_ms = self.next_ms(down, now_ms);
        let is_back = is_reached && (down.is_first || down.is_refused);
        self.down = Some(Down {
            next_probe_ms,
            is_probing: false,
            is_first: false,
            is_refused: !is_reached,
            is_reached,
            ..down
        });
        is_back
    }

    /// When to probe next: often for ten minutes, and never at the same moment as other terminals for long.
    fn next_ms(&mut self, down: Down, now_ms: u64) -> u64 {
        let is_long = now_ms.saturating_sub(down.since_ms) >= OFTEN_FOR_MS;
        let every_ms = if is_long { SELDOM_MS } else { OFTEN_MS };
        now_ms.saturating_add(every_ms).saturating_add(self.draw() % (every_ms / 10))
    }

    /// The next number of the SplitMix64 sequence.
    fn draw(&mut self) -> u64 {
        crate::sync::backoff::draw(&mut self.chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a dead line is asked for in so long: times of probes and of requests.
    fn dead(for_ms: u64, reaches: bool) -> (Vec<u64>, Vec<u64>) {
        let mut line = LineState::new(true, 7);
        let (mut probes, mut requests, mut now_ms) = (Vec::new(), Vec::new(), 0);
        // As a session that has no backoff.
        while now_ms < for_ms {
            match line.next(now_ms) {
                LineStep::Open => {
                    requests.push(now_ms);
                    line.on_failure(now_ms);
                }
                LineStep::Probe => {
                    probes.push(now_ms);
                    line.note_probe();
                    line.on_probe(reaches, now_ms);
                }
                LineStep::Wait { until_ms } => now_ms = until_ms,
                LineStep::Await => panic!("it was reported"),
            }
        }
        (probes, requests)
    }

    #[test]
    fn a_dead_upstream_gets_a_probe_in_five_seconds_then_one_a_minute_and_a_request_in_five_minutes()
     {
        const HOUR_MS: u64 = 3_600_000;
        let (probes, requests) = dead(HOUR_MS, false);
        let early = probes.iter().filter(|at| **at < OFTEN_FOR_MS).count();
        assert!((105..=120).contains(&early), "{early}");
        let gaps = probes.windows(2).map(|two| (two[0], two[1] - two[0]));
        for (at, gap) in gaps {
            assert!(gap >= if at >= OFTEN_FOR_MS { SELDOM_MS } else { OFTEN_MS }, "at {at}: {gap}");
        }
        assert!((150..=175).contains(&probes.len()), "{}", probes.len());
        assert_eq!(requests.len(), 12, "{requests:?}");
    }

    #[test]
    fn what_takes_connections_and_never_answers_is_asked_again_only_after_each_probe() {
        let (_, requests) = dead(60_000, true);
        for gap in requests.windows(2).skip(1).map(|two| two[1] - two[0]) {
            assert!(gap >= OFTEN_MS, "{requests:?}");
        }
    }

    #[test]
    fn the_line_is_back_with_the_first_probe_that_reaches_after_one_that_did_not() {
        let mut line = LineState::new(true, 1);
        line.on_failure(0);
        let LineStep::Wait { until_ms } = line.next(0) else { panic!("{:?}", line.next(0)) };
        assert!((FIRST_MS..2 * FIRST_MS).contains(&until_ms));
        assert_eq!(line.next(until_ms), LineStep::Probe);
        line.note_probe();
        assert_eq!(line.next(until_ms), LineStep::Await);
        assert!(!line.on_probe(false, until_ms));
        assert!(matches!(line.next(until_ms), LineStep::Wait { .. }));
        line.note_probe();
        assert!(line.on_probe(true, 9_000), "it is back");
        assert_eq!(line.next(9_000), LineStep::Open);
        line.on_failure(9_000);
        line.note_probe();
        assert!(!line.on_probe(true, 15_000), "it takes connections, which is no news");
        assert_eq!(line.next(15_000), LineStep::Open, "and the backoff says when");
        line.on_answer();
        assert_eq!(line.next(0), LineStep::Open);
    }

    #[test]
    fn a_glitch_is_tried_again_after_a_probe_within_two_seconds() {
        let mut line = LineState::new(true, 3);
        line.on_failure(0);
        assert_eq!(line.next(2 * FIRST_MS), LineStep::Probe);
        line.note_probe();
        assert!(line.on_probe(true, 2 * FIRST_MS));
    }

    #[test]
    fn a_line_that_is_not_probed_is_open() {
        let mut line = LineState::new(false, 0);
        line.on_failure(0);
        assert_eq!(line.next(0), LineStep::Open);
    }
}
