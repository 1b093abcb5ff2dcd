//! The terminal of the demo: captures everything, is killed in the middle, and is given again what it did not confirm.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use indicatif::ProgressBar;
use serde::Deserialize;

use super::{
    child::{Launch, Process},
    count,
    purchases::Purchase,
    record::Captured,
    site::{self, Site},
    watch::Watch,
};
use crate::exit::Failure;

/// What became of the captures.
#[derive(Debug, Default)]
pub(super) struct Captures {
    /// How often the terminal was killed.
    pub(super) kills: u64,
    /// Purchases that were durable although the terminal died before it said so; given again, they were duplicates.
    pub(super) known: u64,
    /// Number of each purchase's event, once its line was printed.
    confirmed: Vec<Option<u64>>,
}

/// An answer of the terminal.
#[derive(Debug, Deserialize)]
struct Answer {
    /// Number of the line in this run of the terminal.
    line: usize,
    /// The line's key.
    key: Option<String>,
    /// The event's number.
    lsn: Option<u64>,
    /// What the terminal says of it.
    verdict: String,
}

/// The terminal and what it is given.
#[derive(Debug)]
pub(super) struct Till<'a> {
    /// Where its store is.
    pub(super) site: &'a Site,
    /// What it is to capture.
    pub(super) purchases: &'a [Purchase],
    /// The demo's clock.
    pub(super) watch: &'a Watch,
}

/// A run of the terminal.
#[derive(Debug)]
struct Run {
    /// The child.
    process: Process,
    /// Indexes of the purchases that it is given, in this order.
    given: Vec<usize>,
    /// The child's lines, as they come.
    answers: Receiver<String>,
}

impl Till<'_> {
    /// Captures every purchase, through kills at a third and at two thirds of the way.
    ///
    /// # Errors
    ///
    /// The terminal failed in any other way than by being killed, or answered what is not true.
    pub(super) fn capture_all(&self, bar: &ProgressBar) -> Result<Captures, Failure> {
        let rows = self.purchases.len();
        let mut captures = Captures { confirmed: vec![None; rows], ..Captures::default() };
        let mut kills = vec![rows.saturating_mul(2) / 3, rows / 3];
        loop {
            let given = captures.open();
            if given.is_empty() {
                return Ok(captures);
            }
            let mut run = self.start(given)?;
            let killed = self.follow(&mut run, &mut captures, kills.pop(), bar)?;
            let status = run.process.wait(self.watch)?;
            if killed {
                captures.kills += 1;
            } else if !status.success() {
                return Err(run.process.failed(status, self.site));
            } else if !captures.open().is_empty() {
                return Err(Failure::failed("the terminal ended and left lines without an answer"));
            }
        }
    }

    /// Starts a run and gives it those purchases.
    fn start(&self, given: Vec<usize>) -> Result<Run, Failure> {
        let mut process = Launch::new(self.site, "capture")?
            .option("--store", self.site.terminal())
            .stdin()
            .stdout(Stdio::piped())
            .start()?;
        let lines = given.iter().filter_map(|index| self.purchases.get(*index));
        let input = lines.flat_map(|purchase| [purchase.capture_line.as_str(), "\n"]).collect();
        let answers = converse(&mut process, input)?;
        Ok(Run { process, given, answers })
    }

    /// Takes answers until the run ends, and kills it once `kill_at` are confirmed. Says whether it did.
    fn follow(
        &self,
        run: &mut Run,
        captures: &mut Captures,
        kill_at: Option<usize>,
        bar: &ProgressBar,
    ) -> Result<bool, Failure> {
        let mut confirmed = self.purchases.len().saturating_sub(run.given.len());
        let mut killed = false;
        loop {
            self.watch.check("capturing")?;
            let line = match run.answers.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(killed),
            };
            captures.confirm(&line, &run.given, self.purchases)?;
            confirmed += 1;
            bar.set_position(count(confirmed));
            if !killed && kill_at.is_some_and(|kill_at| confirmed >= kill_at) {
                // Whatever it has printed until now still comes out of the pipe, and counts.
                run.process.kill()?;
                killed = true;
            }
        }
    }

    /// Has the terminal dump its log, keeps that as its record, and holds it against what it had confirmed.
    ///
    /// # Errors
    ///
    /// A printed line is not in the log, or the log holds something else than was captured.
    pub(super) fn record(&self, captures: &Captures) -> Result<(), Failure> {
        let file = File::create(self.site.captured()).map_err(|error| {
            Failure::failed(format!("cannot write the terminal's record: {error}"))
        })?;
        let dump = Launch::new(self.site, "dump")?.option("--store", self.site.terminal());
        dump.stdout(file).run(self.site, self.watch)?;
        let mut record: Vec<Captured> = site::read_lines(&self.site.captured())?;
        record.sort_by(|one, other| one.key.cmp(&other.key));
        if record.len() != self.purchases.len() {
            let (held, given) = (record.len(), self.purchases.len());
            return Err(Failure::failed(format!("the terminal holds {held} purchases of {given}")));
        }
        for ((held, purchase), confirmed) in
            record.iter().zip(self.purchases).zip(&captures.confirmed)
        {
            let same = held.key == purchase.key
                && Some(held.lsn) == *confirmed
                && held.amount.as_deref() == Some(&purchase.amount.to_string());
            if !same {
                let key = &purchase.key;
                return Err(Failure::failed(format!(
                    "{key}: the log does not hold what was confirmed"
                )));
            }
        }
        Ok(())
    }
}

impl Captures {
    /// Indexes of the purchases that no printed line confirms.
    fn open(&self) -> Vec<usize> {
        let open = self.confirmed.iter().enumerate().filter(|(_, lsn)| lsn.is_none());
        open.map(|(index, _)| index).collect()
    }

    /// Notes what a printed line promises.
    fn confirm(
        &mut self,
        line: &str,
        given: &[usize],
        purchases: &[Purchase],
    ) -> Result<(), Failure> {
        let wrong = || Failure::failed(format!("the terminal answered: {line}"));
        let answer: Answer = serde_json::from_str(line).map_err(|_not_an_answer| wrong())?;
        let place = answer.line.checked_sub(1);
        let index = place.and_then(|at| given.get(at)).copied().ok_or_else(wrong)?;
        let purchase = purchases.get(index).ok_or_else(wrong)?;
        let known = answer.verdict == "duplicate";
        if answer.key.as_ref() != Some(&purchase.key) || !(known || answer.verdict == "fresh") {
            return Err(wrong());
        }
        self.known += u64::from(known);
        if let Some(confirmed) = self.confirmed.get_mut(index) {
            *confirmed = answer.lsn;
        }
        Ok(())
    }
}

/// Gives the terminal its lines on one thread and takes its answers on another.
fn converse(process: &mut Process, input: String) -> Result<Receiver<String>, Failure> {
    let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
        return Err(Failure::failed("the terminal has no pipes"));
    };
    let (sender, answers) = mpsc::channel();
    let started = thread::Builder::new()
        .name("till-input".to_owned())
        .spawn(move || feed(stdin, &input))
        .and_then(|_| {
            let name = thread::Builder::new().name("till-output".to_owned());
            name.spawn(move || listen(stdout, &sender))
        });
    started
        .map(|_| answers)
        .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))
}

/// Writes all lines; the pipe sets the pace. A terminal that is killed breaks the pipe.
fn feed(mut stdin: ChildStdin, input: &str) {
    if stdin.write_all(input.as_bytes()).is_err() {
        // What was not taken is given again to the next run.
    }
}

/// Passes on every whole line until the pipe ends; a line that the kill cut off promised nothing.
fn listen(stdout: ChildStdout, answers: &mpsc::Sender<String>) {
    let mut input = BufReader::new(stdout);
    let mut line = String::new();
    while input.read_line(&mut line).is_ok_and(|count| count > 0) && line.ends_with('\n') {
        if answers.send(std::mem::take(&mut line)).is_err() {
            return;
        }
    }
}

/// Between two looks at the clock while the terminal is silent.
const PATIENCE: Duration = Duration::from_millis(50);
