//! What was measured, round by round, and what follows from it. No clock and no disk here.

use std::collections::BTreeMap;

use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::workload::{Costs, Work, Workload};
use onceward_benches::spread::Spread;
use serde::Serialize;

use crate::figure::{Detail, rounded};

/// Costs of one event, by round.
#[derive(Debug, Default)]
pub(super) struct Results(BTreeMap<(Workload, Kind), BTreeMap<usize, Vec<f64>>>);

/// A peer's figure of a workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    /// Its rate by that of the limit in the same round; of memory: bytes.
    pub(super) value: Spread,
    /// What an event costs in the middle: seconds, or bytes.
    pub(super) cost: f64,
    /// Rounds of which it is made.
    pub(super) rounds: usize,
}

/// One line of JSON.
#[derive(Debug, Serialize)]
struct Line {
    area: &'static str,
    figure: &'static str,
    peer: &'static str,
    value: f64,
    unit: &'static str,
    low: f64,
    high: f64,
    detail: Detail,
}

impl Results {
    /// Takes what a process found in a round of its work.
    pub(super) fn add(&mut self, (work, round): (Work, usize), kind: Kind, costs: &Costs) {
        for workload in work.workloads() {
            if let Some(cost) = costs.get(&workload) {
                let rounds = self.0.entry((workload, kind)).or_default();
                rounds.entry(round).or_default().push(*cost);
            }
        }
    }

    /// Costs by round; of what was measured several times in a round, the mean.
    fn rounds(&self, workload: Workload, kind: Kind) -> BTreeMap<usize, f64> {
        let Some(rounds) = self.0.get(&(workload, kind)) else { return BTreeMap::new() };
        let mean = |costs: &Vec<f64>| costs.iter().sum::<f64>() / costs.len() as f64;
        rounds.iter().map(|(round, costs)| (*round, mean(costs))).collect()
    }

    /// The figure of a peer, by the rounds in which it and `floor` were measured.
    fn beside(&self, workload: Workload, kind: Kind, floor: Kind) -> Option<Figure> {
        let costs = self.rounds(workload, kind);
        let all: Vec<f64> = costs.values().copied().collect();
        let cost = Spread::of(&all)?.median;
        if workload == Workload::Memory {
            return Some(Figure { value: Spread::of(&all)?, cost, rounds: all.len() });
        }
        let floors = self.rounds(workload, floor);
        let share = |(round, cost): (&usize, &f64)| floors.get(round).map(|floor| floor / cost);
        let shares: Vec<f64> = costs.iter().filter_map(share).collect();
        Some(Figure { value: Spread::of(&shares)?, cost, rounds: shares.len() })
    }

    /// The figure of a peer; `None` if it was not measured.
    pub(super) fn figure(&self, workload: Workload, kind: Kind) -> Option<Figure> {
        self.beside(workload, kind, Kind::Limit)
    }

    /// True if something else had the machine: the limit's rounds lie far apart, or somebody was far ahead of what
    /// cannot be beaten by far. Figures of the workload then say little about anybody.
    pub(super) fn is_noisy(&self, workload: Workload) -> bool {
        let limits: Vec<f64> = self.rounds(workload, Kind::Limit).into_values().collect();
        let varied = Spread::of(&limits).is_some_and(|limit| limit.high > NOISE_MAX * limit.low);
        let is_beaten = |(_, figure): &(Kind, Figure)| figure.value.median > AHEAD_MAX;
        let has_limit = workload != Workload::Memory;
        varied || (has_limit && self.figures(workload).iter().any(is_beaten))
    }

    /// All figures of a workload, in the order of the tables.
    pub(super) fn figures(&self, workload: Workload) -> Vec<(Kind, Figure)> {
        let figure = |kind| self.figure(workload, kind).map(|figure| (kind, figure));
        Kind::ALL.into_iter().filter_map(figure).collect()
    }

    /// The lines of a workload.
    ///
    /// # Errors
    ///
    /// One cannot be written as JSON.
    pub(super) fn lines(&self, workload: Workload) -> Result<Vec<String>, serde_json::Error> {
        let line = |(kind, figure): (Kind, Figure)| {
            serde_json::to_string(&Line {
                area: "peers",
                figure: workload.name(),
                peer: kind.name(),
                value: rounded(figure.value.median),
                unit: unit(workload),
                low: rounded(figure.value.low),
                high: rounded(figure.value.high),
                detail: self.detail(workload, kind, figure),
            })
        };
        self.figures(workload).into_iter().map(line).collect()
    }

    /// What stands beside a figure.
    fn detail(&self, workload: Workload, kind: Kind, figure: Figure) -> Detail {
        let mut detail = Detail::from([("rounds", figure.rounds as f64)]);
        if workload != Workload::Memory {
            detail.insert("events_per_s", rounded(1.0 / figure.cost));
            detail.insert("us_an_event", rounded(figure.cost * 1e6));
        }
        if let Some(of_gc) = self.beside(workload, kind, Kind::LimitGc)
            && workload != Workload::Memory
        {
            detail.insert("ratio_to_limit_gc", rounded(of_gc.value.median));
        }
        detail
    }
}

/// What a workload's figures count.
pub(super) fn unit(workload: Workload) -> &'static str {
    if workload == Workload::Memory { "bytes of anonymous memory" } else { "ratio to LIMIT" }
}

/// The limit's slowest round by its fastest, above which figures are not believed.
const NOISE_MAX: f64 = 2.0;
/// Nobody is further ahead of the limit than this on a quiet machine.
const AHEAD_MAX: f64 = 1.6;

#[cfg(test)]
mod tests {
    use super::*;

    /// One writer: the limit twice in the second of three rounds, and fjall not in the third.
    fn results() -> Results {
        let mut results = Results::default();
        let mut add = |round, kind, cost| {
            let costs = Costs::from([(Workload::OneWriter, cost)]);
            results.add((Work::Writers(1), round), kind, &costs);
        };
        add(0, Kind::Limit, 1.0);
        add(1, Kind::Limit, 2.0);
        add(1, Kind::Limit, 4.0);
        add(2, Kind::Limit, 1.0);
        add(0, Kind::Fjall, 2.0);
        add(1, Kind::Fjall, 4.0);
        results
    }

    #[test]
    fn ratios_are_taken_round_by_round_and_the_limit_is_the_mean_of_its_turns() {
        let figure = results().figure(Workload::OneWriter, Kind::Fjall).unwrap();
        assert_eq!(figure.value, Spread { low: 0.5, median: 0.5, high: 0.75 });
        assert_eq!((figure.cost, figure.rounds), (2.0, 2));
        assert_eq!(results().figure(Workload::OneWriter, Kind::Lmdb), None);
        assert_eq!(results().figure(Workload::Drain, Kind::Fjall), None);
    }

    #[test]
    fn a_limit_that_varies_too_much_is_noticed() {
        let mut results = results();
        assert!(results.is_noisy(Workload::OneWriter), "1 and 3");
        for round in 0..3 {
            let costs = Costs::from([(Workload::Lookup, 1.0 + round as f64 / 2.0)]);
            results.add((Work::Million, round), Kind::Limit, &costs);
        }
        assert!(!results.is_noisy(Workload::Lookup), "1 and 2");
        assert!(!results.is_noisy(Workload::Memory), "it has no limit");
        for (workload, kind, cost) in [
            (Workload::Memory, Kind::Fjall, 60.0),
            (Workload::Lookup, Kind::Naive, 0.9),
            (Workload::Lookup, Kind::Fjall, 0.5),
        ] {
            assert!(!results.is_noisy(workload), "before {kind:?}");
            let costs = Costs::from([(workload, cost)]);
            results.add((Work::Million, 0), kind, &costs);
        }
        assert!(results.is_noisy(Workload::Lookup), "fjall is twice as fast as the limit");
    }

    #[test]
    fn memory_is_told_as_it_is() {
        let mut results = results();
        let costs = Costs::from([(Workload::Memory, 60.0)]);
        results.add((Work::Million, 0), Kind::Fjall, &costs);
        let figure = results.figure(Workload::Memory, Kind::Fjall).unwrap();
        assert_eq!(figure.value.median, 60.0);
        let lines = results.lines(Workload::Memory).unwrap();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].contains(r#""value":60.0,"unit":"bytes of anonymous memory""#),
            "{lines:?}"
        );
    }

    #[test]
    fn a_figure_is_one_line_of_json() {
        let lines = results().lines(Workload::OneWriter).unwrap();
        assert_eq!(
            lines[1],
            r#"{"area":"peers","figure":"one_writer","peer":"fjall","value":0.5,"unit":"ratio to LIMIT","low":0.5,"high":0.75,"detail":{"events_per_s":0.5,"rounds":2.0,"us_an_event":2000000.0}}"#
        );
    }
}
