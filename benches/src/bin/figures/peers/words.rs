//! Who is ahead of us and who is not, in sentences that follow from what was measured. No clock and no disk here.

use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::workload::Workload;
use onceward_benches::spread::Spread;

use super::results::Results;

/// What is added where others disturbed the rounds.
const NOISE: &str = " But LIMIT varied more than twofold, or was beaten by far: to be measured again on a quiet machine.";

/// How a peer stands beside us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// Better in its worst round than we in our best one.
    Better,
    /// Better in the middle, while rounds of both overlap.
    Nearly,
    /// Not better in the middle.
    Behind,
}

/// One sentence or two for a workload; `None` if we or all others were not measured.
pub(super) fn compared(results: &Results, workload: Workload) -> Option<String> {
    let ours = results.figure(workload, Kind::Onceward)?.value;
    let others: Vec<(Kind, Spread)> = results
        .figures(workload)
        .into_iter()
        .filter(|(kind, _)| !kind.is_limit() && !kind.is_ours())
        .map(|(kind, figure)| (kind, figure.value))
        .collect();
    let named = |wanted: Standing| {
        let names: Vec<String> = others
            .iter()
            .filter(|(_, value)| standing(workload, ours, *value) == wanted)
            .map(|(kind, value)| format!("{} ({})", kind.name(), shown(workload, value.median)))
            .collect();
        listed(&names)
    };
    let own = shown(workload, ours.median);
    let better = named(Standing::Better).map(|(names, verb)| format!("{names} {verb} better"));
    let nearly = named(Standing::Nearly).map(|(names, verb)| {
        format!("{names} {verb} better in the median, but not in every round against every round")
    });
    let said: Vec<String> = better.into_iter().chain(nearly).collect();
    let title = workload.title();
    let noise = if results.is_noisy(workload) { NOISE } else { "" };
    if said.is_empty() {
        let best = others.iter().copied().reduce(|best, next| {
            if standing(workload, best.1, next.1) == Standing::Behind { best } else { next }
        });
        let (kind, value) = best?;
        let next = format!("the next is {} ({})", kind.name(), shown(workload, value.median));
        return Some(format!("**{title}** (Onceward {own}): no peer is better; {next}.{noise}"));
    }
    Some(format!("**{title}** (Onceward {own}): {}.{noise}", said.join("; ")))
}

/// How a peer with `value` stands beside `ours`.
fn standing(workload: Workload, ours: Spread, value: Spread) -> Standing {
    // Of memory less is better.
    let turned = |spread: Spread| match workload {
        Workload::Memory => Spread { low: -spread.high, median: -spread.median, high: -spread.low },
        _ => spread,
    };
    let (ours, value) = (turned(ours), turned(value));
    if value.low > ours.high {
        Standing::Better
    } else if value.median > ours.median {
        Standing::Nearly
    } else {
        Standing::Behind
    }
}

/// A figure as it is read.
pub(super) fn shown(workload: Workload, value: f64) -> String {
    match workload {
        Workload::Memory => format!("{value:.0} bytes"),
        _ if value < 0.095 => format!("{value:.3}"),
        _ => format!("{value:.2}"),
    }
}

/// Names as a sentence has them, with their verb.
fn listed(names: &[String]) -> Option<(String, &'static str)> {
    let (last, first) = names.split_last()?;
    if first.is_empty() {
        return Some((last.clone(), "is"));
    }
    Some((format!("{} and {last}", first.join(", ")), "are"))
}

#[cfg(test)]
mod tests {
    use onceward_benches::peers::workload::{Costs, Work};

    use super::*;

    /// What is said where the limit costs 1, and others so much in each of two rounds.
    fn said(workload: Workload, work: Work, costs: &[(Kind, [f64; 2])]) -> String {
        let mut results = Results::default();
        let limit = (Kind::Limit, [1.0, 1.0]);
        for (kind, rounds) in costs.iter().chain([&limit]) {
            for (round, cost) in rounds.iter().enumerate() {
                results.add((work, round), *kind, &Costs::from([(workload, *cost)]));
            }
        }
        compared(&results, workload).unwrap()
    }

    #[test]
    fn who_is_better_is_named_and_who_is_so_only_in_the_middle_too() {
        let costs = [
            (Kind::Onceward, [2.0, 1.6]),
            (Kind::Okaywal, [1.0, 1.25]),
            (Kind::RaftEngine, [1.0, 1.25]),
            (Kind::Fjall, [1.65, 1.65]),
            (Kind::Lmdb, [5.0, 5.0]),
        ];
        assert_eq!(
            said(Workload::OneWriter, Work::Writers(1), &costs),
            "**one writer** (Onceward 0.50): raft-engine and map (0.80) and okaywal and map (0.80) are better; \
             fjall (0.61) is better in the median, but not in every round against every round."
        );
    }

    #[test]
    fn where_nobody_is_better_the_next_is_named() {
        let costs = [
            (Kind::Onceward, [2.0, 2.0]),
            (Kind::Lmdb, [50.0, 50.0]),
            (Kind::Sqlite, [25.0, 25.0]),
            (Kind::OncewardLarge, [1.0, 1.0]),
        ];
        assert_eq!(
            said(Workload::OneWriter, Work::Writers(1), &costs),
            "**one writer** (Onceward 0.50): no peer is better; the next is SQLite (0.040)."
        );
    }

    #[test]
    fn a_noisy_limit_is_told() {
        let mut results = Results::default();
        for (round, cost) in [1.0, 1.5, 3.0].into_iter().enumerate() {
            for kind in [Kind::Limit, Kind::Onceward, Kind::Fjall] {
                let costs = Costs::from([(Workload::OneWriter, cost)]);
                results.add((Work::Writers(1), round), kind, &costs);
            }
        }
        let said = compared(&results, Workload::OneWriter).unwrap();
        assert!(said.ends_with(NOISE), "{said}");
    }

    #[test]
    fn of_memory_less_is_better() {
        let costs = [(Kind::Onceward, [175.0, 175.0]), (Kind::Lmdb, [0.0, 0.0])];
        assert_eq!(
            said(Workload::Memory, Work::Million, &costs),
            "**memory of an unsettled event** (Onceward 175 bytes): LMDB (0 bytes) is better."
        );
        let costs = [(Kind::Onceward, [16.0, 16.0]), (Kind::Fjall, [60.0, 60.0])];
        let said = said(Workload::Memory, Work::Million, &costs);
        assert!(said.ends_with("no peer is better; the next is fjall (60 bytes)."), "{said}");
    }
}
