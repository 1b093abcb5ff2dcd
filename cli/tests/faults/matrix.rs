//! The matrix: plays all rows of a dialect, compares with the ledger, and prints.
//! Method: a few threads take the runs one after another; counts are made once the hub has ended.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tempfile::tempdir;

use crate::{
    hub::Serving,
    rows::{MatrixRow, ROWS},
    spoken::Spoken,
    terminal::{Ended, Run},
};

/// What is counted of the runs of a row.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Sums {
    /// Requests that met the fault.
    met: u64,
    /// Events that went to a person.
    reviewed: u64,
    /// Events that are held for taken and are not in the ledger.
    lost: u64,
    /// Events that are there more than once.
    doubled: u64,
    /// Events without a final answer.
    stuck: u64,
    /// What a person who looks for the reason wants to know.
    words: Vec<String>,
}

/// Plays every row in this dialect, prints its part of the matrix, and checks it.
pub(crate) fn assert_all_once(spoken: Spoken) {
    let dir = tempdir().unwrap();
    let hub = Serving::start(dir.path());
    let played = play_all(spoken, dir.path(), &hub);
    let effects = hub.effects();
    let captured = played.iter().flatten().flat_map(|ended| &ended.events);
    let captured: HashSet<&str> = captured.map(|(key, _)| key.as_str()).collect();
    let strangers = effects.keys().filter(|key| !captured.contains(key.as_str())).count();

    let mut table = String::new();
    let mut faulty = Vec::new();
    for (row, ended) in ROWS.iter().zip(&played) {
        let sums = match spoken.knows_no(row.fault()) {
            Some(why) => {
                writeln!(table, "{:<34} | {spoken:<14} | does not apply: {why}", row.name).unwrap();
                continue;
            }
            None => Sums::of(ended, &effects),
        };
        writeln!(table, "{}", line(row, spoken, &sums)).unwrap();
        faulty.extend(sums.objection(row, spoken));
    }
    // In one piece, because several tests may print at once.
    println!("{HEAD}\n{table}{} events in {spoken}", captured.len());
    assert_eq!(strangers, 0, "the ledger has what nobody captured");
    assert!(faulty.is_empty(), "{}", faulty.join("\n"));
}

/// Plays the runs of all rows, several at once because most of the time they wait.
fn play_all(spoken: Spoken, dir: &Path, hub: &Serving) -> Vec<Vec<Ended>> {
    let runs = runs();
    let tasks: Vec<(usize, u64)> = (0..ROWS.len())
        .filter(|row| spoken.knows_no(ROWS[*row].fault()).is_none())
        .flat_map(|row| (1..=runs).map(move |seed| (row, seed)))
        .collect();
    let next = AtomicUsize::new(0);
    let played: Mutex<Vec<Vec<Ended>>> = Mutex::new(ROWS.iter().map(|_| Vec::new()).collect());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((row, seed)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let prefix = format!("{row}-{seed}");
                    let run = Run { row: &ROWS[*row], spoken, seed: *seed, prefix: &prefix };
                    let ended = run.play(dir, hub.address);
                    played.lock().unwrap()[*row].push(ended);
                }
            });
        }
    });
    played.into_inner().unwrap()
}

impl Sums {
    /// What came of the runs, by the terminals and by the ledger.
    fn of(runs: &[Ended], effects: &HashMap<String, Vec<u64>>) -> Self {
        let mut sums = Self::default();
        for run in runs {
            sums.met += run.met;
            sums.reviewed += run.reviewed;
            sums.words.extend(run.why.clone());
            if run.met == 0 {
                sums.words.push("a run in which the fault was not met".to_owned());
            }
            for (key, is_taken) in &run.events {
                let times = effects.get(key).map_or(0, Vec::len);
                sums.lost += u64::from(*is_taken && times == 0);
                sums.doubled += u64::from(times > 1);
                sums.stuck += u64::from(!is_taken);
            }
            for lane in &run.lanes {
                let places: Vec<u64> =
                    lane.iter().filter_map(|key| effects.get(key)?.first().copied()).collect();
                if !places.is_sorted() {
                    sums.words.push(format!("a lane in another order: {places:?}"));
                }
            }
        }
        sums
    }

    /// What must not be.
    fn objection(&self, row: &MatrixRow, spoken: Spoken) -> Option<String> {
        let Self { lost, doubled, stuck, reviewed, words, .. } = self;
        let is_fine = (*lost, *doubled, *stuck) == (0, 0, 0)
            && words.is_empty()
            && (*reviewed == 0 || row.refuses_by_name());
        let words = words.join("; ");
        (!is_fine).then(|| {
            format!(
                "{} in {spoken}: {lost} lost, {doubled} doubled, {stuck} stuck, {reviewed} in review; {words}",
                row.name
            )
        })
    }
}

/// A line of the table.
fn line(row: &MatrixRow, spoken: Spoken, sums: &Sums) -> String {
    let Sums { met, reviewed, lost, doubled, stuck, .. } = sums;
    let (name, runs) = (row.name, runs());
    format!(
        "{name:<34} | {spoken:<14} | {runs:>4} | {met:>5} | {reviewed:>6} | {lost:>4} | {doubled:>7} | {stuck:>5}"
    )
}

/// The head of the table.
const HEAD: &str = "\
fault                              | dialect        | runs | met   | review | lost | doubled | stuck
-----------------------------------|----------------|------|-------|--------|------|---------|------";

/// Runs of each row: two, or as many as the environment asks for.
fn runs() -> u64 {
    std::env::var("ONCEWARD_MATRIX_RUNS").map_or(2, |count| count.parse().unwrap())
}

/// Runs that are played at once.
const AT_ONCE: usize = 8;
