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
    sync::mpsc::{self, Receiver, SyncSender},
    thread::{self, JoinHandle},
};

use onceward::config::Create;
use onceward::{Config, Event, Headers, Scope, Store, sync::KeyRule};

use self::{
    commit::{Committer, Tally},
    line::Shared,
    lines::{Flow, Line},
};
use crate::{
    args::CaptureArgs,
    command::{dialect::Chosen, shape, stop::Stop},
    exit::{self, Exit, Failure, Outcome},
    output::{Output, complain, counted},
};

/// Runs the command.
///
/// # Errors
///
/// The store cannot be opened or closed, stdin cannot be read, or stdout cannot be written. A line that is refused is
/// no error here: its answer and the exit code report it.
pub fn run(args: &CaptureArgs) -> Outcome {
    let shared = shared(args)?;
    let store = shape::open(&args.store, config(args)?)?;
    let is_damaged = !store.recovery().damage.is_empty();
    exit::ranked(take_in(args, store, shared), is_damaged)
}

/// The event that a line says, in scope `default`; the error says why it says none.
pub(super) fn event(line: &[u8]) -> Result<Event, String> {
    let shared = Shared { scope: Scope::default(), headers: Headers::new() };
    let parsed = line::parse(line, &shared).map_err(|bad| bad.refusal.message)?;
    parsed.event().map(|event| event.to_event()).map_err(|bad| bad.refusal.message)
}

/// Takes in all lines.
fn take_in(args: &CaptureArgs, store: Store, shared: Shared) -> Outcome {
    let mut committer = Committer::new(&store, &shared, Output::stdout());

    let (sender, arrived) = mpsc::sync_channel(CHUNKS_WAITING_MAX);
    let started = start(sender);
    let (stop, reader) = match started {
        Ok(started) => started,
        Err(failure) => return shape::closing(store, Err(failure)),
    };

    let mut queue = Queue::new(arrived, stop);
    let bytes_max = batch_bytes_max(args.segment_bytes);
    let mut answered = Ok(());
    while answered.is_ok()
        && let Some(batch) = queue.next_batch(bytes_max)
    {
        answered = committer.commit(&batch);
    }
    let tally = committer.into_tally();
    let closed = shape::close(store);
    if let Err(failure) = answered {
        return Err(unheard(&failure, &tally, closed));
    }
    let concluded = if stop.is_asked() {
        let lines = tally.lines();
        Err(Failure::failed(format!("stopped by a signal after line {lines}")))
    } else {
        match reader.join() {
            Ok(Ok(())) => Ok(conclude(&tally)),
            Ok(Err(error)) => Err(Failure::failed(format!("cannot read standard input: {error}"))),
            Err(_panic) => Err(Failure::failed("the thread that reads standard input failed")),
        }
    };
    exit::after_closing(concluded, closed)
}

/// Listens for signals, and reads standard input on a thread of its own.
fn start(sender: SyncSender<Arrived>) -> Result<(Stop, JoinHandle<io::Result<()>>), Failure> {
    let stop = {
        let sender = sender.clone();
        Stop::listen(move || {
            if sender.try_send(Arrived::Stop).is_err() {
                // Lines are waiting: whoever takes them looks whether a signal came.
            }
        })?
    };
    let reader = thread::Builder::new().name("stdin".to_owned()).spawn(move || read(&sender));
    let reader =
        reader.map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
    Ok((stop, reader))
}

/// The end of a run whose answers could not be written: this reports what is stored instead.
fn unheard(failure: &Failure, tally: &Tally, closed: Result<(), Failure>) -> Failure {
    let Tally { fresh, duplicate, conflict, refused, .. } = tally;
    let begin = if failure.gave_up_reader() { "stopped by a signal: " } else { "" };
    let message = format!(
        "{begin}{failure}; answers may be missing up to line {}, the last that was looked at: {fresh} stored now, \
         {duplicate} were before, {conflict} in conflict, {refused} refused",
        tally.lines()
    );
    let failure = Failure::failed(message);
    match closed {
        Ok(()) => failure,
        Err(also) => failure.and(&also),
    }
}

/// The scope of the inbox's acks where no host has configured another one.
const ACKS: &str = "inbox";

/// How the store is opened.
fn config(args: &CaptureArgs) -> Result<Config, Failure> {
    if args.scope.as_str() == ACKS {
        let why = "--scope: inbox has what became of deliveries: the inbox writes it, and no dialect sends anything else";
        return Err(Failure::usage(why));
    }
    let mut config = Config::new();
    if let Some(bytes) = args.segment_bytes {
        config = config.with_segment_bytes(bytes);
    }
    if args.must_exist {
        config = config.with_create(Create::Never);
    }
    // As `sync` sends them.
    let is_default = args.scope == Scope::default();
    let rule = if is_default { KeyRule::Bare } else { KeyRule::ScopePrefix };
    match &args.dialect {
        None => Ok(config),
        // Which subject it gets makes no difference to an event.
        #[cfg(feature = "nats")]
        Some(crate::args::DialectName::Nats) => {
            let template = onceward_uplink::nats::SubjectTemplate::default();
            Ok(config.with_sendable(onceward_uplink::nats::sendable(template)))
        }
        Some(name) => Ok(Chosen::named(name)?.refusing(config, rule)),
    }
}

/// The fields that all events of this run share.
fn shared(args: &CaptureArgs) -> Result<Shared, Failure> {
    let headers = args.headers.iter().try_fold(Headers::new(), |headers, (name, value)| {
        headers.with(name, value).map_err(|error| Failure::usage(format!("--header: {error}")))
    })?;
    Ok(Shared { scope: args.scope.clone(), headers })
}

/// A message to the thread that commits.
#[derive(Debug)]
enum Arrived {
    /// Lines that came together.
    Lines(Vec<Line>),
    /// The input has ended.
    End,
    /// The process is to end.
    Stop,
}

/// Hands over all of standard input.
fn read(sender: &SyncSender<Arrived>) -> io::Result<()> {
    let read =
        lines::read_all(io::stdin().lock(), |lines| match sender.send(Arrived::Lines(lines)) {
            Ok(()) => Flow::Continue,
            Err(_nobody_listens) => Flow::Stop,
        });
    if sender.send(Arrived::End).is_err() {
        // The run has ended without this.
    }
    read
}

/// Lines on their way to a commit.
#[derive(Debug)]
struct Queue {
    /// The lines that were read, as they come.
    arrived: Receiver<Arrived>,
    /// Lines that were received and are not in a batch yet.
    waiting: VecDeque<Line>,
    /// Size of the lines in `waiting`.
    waiting_bytes: usize,
    /// Whether the input has ended.
    ended: bool,
    /// Whether a signal came.
    stop: Stop,
}

impl Queue {
    /// A queue that has received nothing.
    fn new(arrived: Receiver<Arrived>, stop: Stop) -> Self {
        Self { arrived, waiting: VecDeque::new(), waiting_bytes: 0, ended: false, stop }
    }

    /// The lines to commit together, or `None` at the end and after a signal: whatever is there, waiting for no more
    /// than the first.
    fn next_batch(&mut self, bytes_max: usize) -> Option<Vec<Line>> {
        if self.stop.is_asked() {
            return None;
        }
        while self.waiting.is_empty() && !self.ended {
            let arrived = self.arrived.recv().unwrap_or(Arrived::End);
            self.take(arrived);
        }
        while self.waiting.len() < BATCH_LINES_MAX && self.waiting_bytes < bytes_max && !self.ended
        {
            match self.arrived.try_recv() {
                Ok(arrived) => self.take(arrived),
                Err(_nothing_yet) => break,
            }
        }
        let mut batch = Vec::new();
        let mut batch_bytes = 0_usize;
        while let Some(line) = self.waiting.front() {
            let line_bytes = line.size_bytes().saturating_add(LINE_OVERHEAD_BYTES);
            batch_bytes = batch_bytes.saturating_add(line_bytes);
            let fits = batch.len() < BATCH_LINES_MAX && batch_bytes <= bytes_max;
            if !fits && !batch.is_empty() {
                break;
            }
            self.waiting_bytes = self.waiting_bytes.saturating_sub(line.size_bytes());
            batch.extend(self.waiting.pop_front());
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Takes what arrived.
    fn take(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::Lines(lines) => {
                for line in lines {
                    self.waiting_bytes = self.waiting_bytes.saturating_add(line.size_bytes());
                    self.waiting.push_back(line);
                }
            }
            Arrived::End | Arrived::Stop => self.ended = true,
        }
    }
}

/// A batch is atomic and never spans two segments, so with small segments it must be small.
fn batch_bytes_max(segment_bytes: Option<u64>) -> usize {
    let half = segment_bytes
        .map_or(BATCH_BYTES_MAX, |bytes| usize::try_from(bytes / 2).unwrap_or(BATCH_BYTES_MAX));
    half.min(BATCH_BYTES_MAX)
}

/// Reports on stderr what did not go well, and returns the exit code for it.
fn conclude(tally: &Tally) -> Exit {
    if tally.refused == 0 && tally.conflict == 0 && tally.lost == 0 {
        return Exit::Ok;
    }
    let first = tally
        .first_bad
        .as_ref()
        .map_or_else(String::new, |(line, why)| format!("; the first is line {line}: {why}"));
    let lost = match tally.lost {
        0 => String::new(),
        1 => ", and 1 duplicate of an event that is lost to damage".to_owned(),
        lost => format!(", and {lost} duplicates of events that are lost to damage"),
    };
    complain(&format!(
        "of {} {} refused and {} in conflict{lost}{first}",
        counted(tally.lines(), "line", "lines"),
        tally.refused,
        tally.conflict
    ));
    match tally {
        Tally { lost: 1.., .. } => Exit::Damage,
        Tally { full: true, .. } => Exit::Full,
        _ => Exit::Failed,
    }
}

/// Most lines of one commit.
const BATCH_LINES_MAX: usize = 500;

/// Most bytes of input of one commit.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Bytes that a line may take in the log beyond its own, so that many short lines still fit a segment.
const LINE_OVERHEAD_BYTES: usize = 128;

/// Chunks that are read ahead of the commit; each is at most what one read returns, or one longest line.
const CHUNKS_WAITING_MAX: usize = 4;

#[cfg(test)]
mod tests;
