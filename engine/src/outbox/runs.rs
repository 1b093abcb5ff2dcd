//! Applies events of which a summary says what replay needs: many at once, and what is then known of them is what their
//! frames would have said.

use super::{Counted, Live, Outbox};
use crate::base::{Located, Moment};
use crate::kernel::{Kernel, RunColumns, RunFacts, SliceHold, SummaryRun};
use onceward_wal::Place;

impl Outbox {
    /// Applies events whose keys the index's files have. `lowest`: the lowest moment of any.
    pub(crate) fn replay_run(&mut self, kernel: &mut Kernel, run: &SummaryRun<'_>, lowest: Moment) {
        let columns = run.columns();
        let span = u64::from(run.span_ms());
        let begins = |kernel: &Kernel, facts: &RunFacts<'_>| {
            let window = kernel.keys.windows().of(facts.scope);
            let begin = |ms| kernel.keys.slice_begin(window, ms);
            let (first, last) = (lowest.trusted_ms, lowest.trusted_ms.saturating_add(span));
            (begin(first) == begin(last)).then(|| (window, begin(first)))
        };
        let same: Option<Vec<_>> = run.facts().iter().map(|facts| begins(kernel, facts)).collect();
        let mut alike = Vec::with_capacity(run.facts().len());
        let counts = counts_of(run, &columns);
        for ((facts, counted), (window, begin)) in
            run.facts().iter().zip(counts).zip(same.unwrap_or_default())
        {
            let held = SliceHold { slice: None, window, begin };
            let live = self.plain(run, facts, (lowest, held));
            alike.push((live, counted));
        }
        let is_usual = alike.len() == run.facts().len() && has_usual_clock(&alike, span);
        if is_usual {
            for (live, counted) in &mut alike {
                let SliceHold { window, begin, .. } = live.held;
                live.held = kernel.keys.replay().covered_events(window, begin, counted.count);
            }
            if self.events.add_run(kernel, (run, &columns), &alike) {
                return;
            }
            for (live, counted) in &alike {
                kernel.keys.replay().take_back(live.held, counted.count);
            }
        }
        self.replay_each(kernel, (run, &columns), lowest);
    }

    /// Applies them one by one: some are in other slices than their neighbours.
    fn replay_each(
        &mut self,
        kernel: &mut Kernel,
        (run, columns): (&SummaryRun<'_>, &RunColumns),
        lowest: Moment,
    ) {
        let lsns = run.first_lsn()..=run.last_lsn();
        let places = columns.offsets.iter().zip(columns.sizes);
        let rest = columns.times.iter().zip(columns.amounts).zip(columns.facts);
        for ((lsn, (offset, size)), ((behind, amount), facts)) in lsns.zip(places).zip(rest) {
            let Some(facts) = run.facts().get(usize::from(facts)) else { continue };
            let moment = Moment {
                trusted_ms: lowest.trusted_ms.saturating_add(u64::from(*behind)),
                wall: lowest.wall.moved(i64::from(*behind)),
            };
            let window = kernel.keys.windows().of(facts.scope);
            let begin = kernel.keys.slice_begin(window, moment.trusted_ms);
            let held = kernel.keys.replay().covered_events(window, begin, 1);
            let place = Place { offset: *offset, ..run.place() };
            let at = Located { place, bytes: bytes_of(size), lsn };
            let live = Live { at, amount, ..self.plain(run, facts, (moment, held)) };
            self.events.insert(kernel, lsn, &live);
        }
    }

    /// An event as those of a run are.
    fn plain(
        &mut self,
        run: &SummaryRun<'_>,
        facts: &RunFacts<'_>,
        (moment, held): (Moment, SliceHold),
    ) -> Live {
        let at = Located { place: run.place(), bytes: 0, lsn: run.first_lsn() };
        let moment = Moment { wall: moment.wall.moved(facts.wall_offset_ms), ..moment };
        Live::plain(self.scopes.intern(facts.scope), held, (at, moment))
    }
}

/// What is counted of the events of each of the run's facts.
fn counts_of(run: &SummaryRun<'_>, columns: &RunColumns) -> Vec<Counted> {
    let mut counts = vec![Counted::default(); run.facts().len()];
    let all = columns.sizes.iter().zip(columns.amounts).zip(columns.facts).take(run.count());
    for ((size, amount), facts) in all {
        let Some(counted) = counts.get_mut(usize::from(facts)) else { continue };
        counted.count += 1;
        counted.bytes += u64::from(bytes_of(*size));
        counted.sum += i128::from(amount);
    }
    counts
}

/// Whether the wall clock is as far ahead at the end of the run as at its beginning: not at the ends of all time.
fn has_usual_clock(alike: &[(Live, Counted)], span_ms: u64) -> bool {
    let is_usual =
        |unix_ms: i64| unix_ms.checked_add_unsigned(span_ms).is_some_and(|end| end < i64::MAX);
    alike.iter().all(|(live, _)| live.moment.wall.get().is_some_and(is_usual))
}

/// Bytes of a frame of this size.
fn bytes_of(size: u16) -> u32 {
    u32::from(size) * RunColumns::SIZE_UNIT
}
