//! Who is measured when: all in turn, each measurement in a process and a directory of its own.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use onceward_benches::peers::job::Job;
use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::workload::{Costs, Work, Workload};

use super::Extents;
use super::results::Results;

/// Measures of one work what is wanted, into `results`; returns the number of measurements that failed.
pub(super) fn measure(
    results: &mut Results,
    (work, wanted): (Work, &[Workload]),
    extents: Extents,
    dir: &Path,
) -> usize {
    let mut failed = 0;
    let is_of_many = work == Work::Million;
    let rounds = if is_of_many { extents.rounds_of_many } else { extents.rounds };
    for round in 0..rounds {
        for kind in turns(work, wanted, round) {
            let Extents { seconds, events, .. } = extents;
            let job = Job { kind, work, seconds, events };
            match measured(&job, &dir.join("turn")) {
                Ok(costs) => results.add((work, round), kind, &costs),
                Err(error) => {
                    eprintln!("figures: {}, {work:?}: {error}", kind.name());
                    failed += 1;
                }
            }
        }
    }
    failed
}

/// Who is measured in a round, in which order: another one is first in each round, and the limit comes twice, so that
/// it meets the machine as the others do.
fn turns(work: Work, wanted: &[Workload], round: usize) -> Vec<Kind> {
    let serves = |kind: &Kind| {
        work.workloads().any(|workload| wanted.contains(&workload) && kind.does(workload))
    };
    let mut kinds: Vec<Kind> = Kind::ALL.into_iter().filter(serves).collect();
    if kinds.is_empty() {
        return kinds;
    }
    let count = kinds.len();
    kinds.rotate_left(round * 3 % count);
    if let Some(place) = kinds.iter().position(|kind| *kind == Kind::Limit) {
        let again = (place + count / 2) % count;
        kinds.insert(again, Kind::Limit);
    }
    kinds
}

/// Has a process do `job` in `dir`, which is empty before and gone after.
fn measured(job: &Job, dir: &Path) -> Result<Costs, Box<dyn Error>> {
    fs::create_dir_all(dir)?;
    // What others left to be written is no cost of this one.
    rustix::fs::sync();
    let output = Command::new(env::current_exe()?)
        .args(["peers", "--job", &serde_json::to_string(job)?, "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    fs::remove_dir_all(dir)?;
    let output = output?;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_in_each_round_and_the_limit_two() {
        for work in Work::ALL {
            for round in 0..5 {
                let turns = turns(work, &Workload::ALL, round);
                for kind in Kind::ALL {
                    let does = work.workloads().any(|workload| kind.does(workload));
                    let expected = if kind == Kind::Limit { 2 } else { usize::from(does) };
                    let found = turns.iter().filter(|one| **one == kind).count();
                    assert_eq!(found, expected, "{kind:?}, {work:?}, round {round}");
                }
            }
        }
        let first = |round| turns(Work::Writers(1), &Workload::ALL, round)[0];
        assert_ne!(first(0), first(1));
        assert_eq!(turns(Work::Writers(1), &[Workload::Drain], 0), []);
    }
}
