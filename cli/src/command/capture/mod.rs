//! `capture`: JSON lines from stdin into a store; one answer for each line, after it is durable.
//!
//! ```text
//! stdin -> reader thread -> lines that arrived together -> one commit -> answers, flushed
//! ```

mod commit;
mod line;
mod lines;

use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{self, Receiver},
    thread,
};

use onceward::{Config, Store};

use self::{
    commit::{Committer, Tally},
    lines::{Flow, Line},
};
use crate::{
    args::CaptureArgs,
    command::shape,
    exit::{Exit, Failure, Outcome},
    output::{Output, complain},
};

/// Runs the command.
///
/// # Errors
///
/// The store cannot be opened or closed, stdin cannot be read, or stdout cannot be written. A line that is refused is
/// no error here: it is told in its answer and by the exit code.
pub fn run(args: &CaptureArgs) -> Outcome {
    let mut config = Config::new();
    if let Some(bytes) = args.segment_bytes {
        config = config.segment_bytes(bytes);
    }
    let store = shape::open(&args.store, config)?;
    let mut committer = Committer::new(&store, &args.scope, Output::stdout());

    let (sender, arrived) = mpsc::sync_channel(CHUNKS_WAITING_MAX);
    let reader = thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            lines::read_all(io::stdin().lock(), |lines| match sender.send(lines) {
                Ok(()) => Flow::Continue,
                Err(_nobody_listens) => Flow::Stop,
            })
        })
        .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;

    let bytes_max = batch_bytes_max(args.segment_bytes);
    let mut waiting = VecDeque::new();
    while let Some(batch) = next_batch(&arrived, &mut waiting, bytes_max) {
        committer.commit(batch)?;
    }
    let tally = committer.into_tally();
    let read = reader.join();
    close(store)?;
    match read {
        Ok(Ok(())) => Ok(conclude(&tally)),
        Ok(Err(error)) => Err(Failure::failed(format!("cannot read standard input: {error}"))),
        Err(_panic) => Err(Failure::failed("the thread that reads standard input failed")),
    }
}

/// The lines to commit together, or `None` at the end: whatever is there, never waiting for more than the first.
fn next_batch(
    arrived: &Receiver<Vec<Line>>,
    waiting: &mut VecDeque<Line>,
    bytes_max: usize,
) -> Option<Vec<Line>> {
    if waiting.is_empty() {
        waiting.extend(arrived.recv().ok()?);
    }
    while waiting.len() < BATCH_LINES_MAX {
        match arrived.try_recv() {
            Ok(lines) => waiting.extend(lines),
            Err(_nothing_yet) => break,
        }
    }
    let mut batch = Vec::new();
    let mut batch_bytes = 0_usize;
    while let Some(line) = waiting.front() {
        batch_bytes =
            batch_bytes.saturating_add(line.size_bytes()).saturating_add(LINE_OVERHEAD_BYTES);
        let fits = batch.len() < BATCH_LINES_MAX && batch_bytes <= bytes_max;
        if !fits && !batch.is_empty() {
            break;
        }
        batch.extend(waiting.pop_front());
    }
    Some(batch)
}

/// A batch is atomic and never spans two segments, so with small segments it must be small.
fn batch_bytes_max(segment_bytes: Option<u64>) -> usize {
    let half = segment_bytes
        .map_or(BATCH_BYTES_MAX, |bytes| usize::try_from(bytes / 2).unwrap_or(BATCH_BYTES_MAX));
    half.min(BATCH_BYTES_MAX)
}

/// Closes the store in order.
fn close(store: Store) -> Result<(), Failure> {
    store.close().map_err(|error| Failure::engine("cannot close the store", &error))
}

/// Tells on stderr what did not go well, and the exit code for it.
fn conclude(tally: &Tally) -> Exit {
    if tally.refused == 0 && tally.conflict == 0 {
        return Exit::Ok;
    }
    let first = tally
        .first_bad
        .as_ref()
        .map_or_else(String::new, |(line, why)| format!("; the first is line {line}: {why}"));
    complain(&format!(
        "of {} lines {} refused and {} in conflict{first}",
        tally.lines(),
        tally.refused,
        tally.conflict
    ));
    if tally.full { Exit::Full } else { Exit::Failed }
}

/// Most lines of one commit.
const BATCH_LINES_MAX: usize = 500;

/// Most bytes of input of one commit.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// What a line may take in the log beyond its own bytes, so that many short lines still fit a segment.
const LINE_OVERHEAD_BYTES: usize = 128;

/// Chunks that are read ahead of the commit; each is at most what one read returns, or one longest line.
const CHUNKS_WAITING_MAX: usize = 4;
