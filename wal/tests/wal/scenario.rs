//! What the tests of the log share: opening, bodies that tell where they come from, fault plans.
//! Method: none of its own; every failure panics with what was expected.

use std::sync::Arc;

use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Vfs};
use onceward_wal::{
    Alignment, Appended, Error, ExaminationReport, Examined, Identity, KIND_HOST_MIN, Log, Lsn,
    NewFrame, Options, Place, Preparation, Purpose, SEGMENT_BYTES_MIN, Stamp,
};

/// The store of all tests.
pub(crate) const STORE: [u8; 16] = [0x5a; 16];
/// The kind of all their frames.
pub(crate) const KIND: u8 = 16;
/// Small segments, so that tests roll.
pub(crate) const OPTIONS: Options = Options {
    segment_bytes: SEGMENT_BYTES_MIN,
    reserve: 1,
    preparation: Preparation::OnDemand,
    alignment: Alignment::Frame,
};

/// A frame that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    /// Its number.
    pub(crate) lsn: u64,
    /// Its run.
    pub(crate) run: u32,
    /// Its kind.
    pub(crate) kind: u8,
    /// Its body.
    pub(crate) body: Vec<u8>,
    /// Where it stands.
    pub(crate) place: Place,
    /// Its size in the segment.
    pub(crate) bytes: usize,
}

/// The store's identity.
pub(crate) fn identity() -> Identity {
    Identity { store: STORE, secret: [7; 64] }
}

/// The name of a segment's file.
pub(crate) fn segment(number: u64) -> String {
    format!("log/{number:016x}-{:032x}.seg", u128::from_be_bytes(STORE))
}

/// Examines, and returns every frame too.
pub(crate) fn look(vfs: &dyn Vfs) -> Result<Option<(Examined, Vec<Seen>)>, Error> {
    let mut seen = Vec::new();
    let examined = onceward_wal::examine(vfs, &mut |frame| {
        seen.push(Seen {
            lsn: frame.lsn.get(),
            run: frame.run,
            kind: frame.kind,
            body: frame.body.to_vec(),
            place: frame.place,
            bytes: frame.bytes(),
        });
    })?;
    Ok(examined.map(|examined| (examined, seen)))
}

/// What is found, without opening for writing.
pub(crate) fn found(vfs: &dyn Vfs) -> (ExaminationReport, Vec<Seen>) {
    let (examined, seen) = look(vfs).unwrap().unwrap();
    (examined.report().clone(), seen)
}

/// The host's frames among them.
pub(crate) fn host(seen: &[Seen]) -> Vec<Seen> {
    seen.iter().filter(|frame| frame.kind >= KIND_HOST_MIN).cloned().collect()
}

/// Bodies of the host's frames.
pub(crate) fn bodies(vfs: &dyn Vfs) -> Vec<Vec<u8>> {
    host(&found(vfs).1).into_iter().map(|frame| frame.body).collect()
}

/// Opens the log, creating it when it is missing.
pub(crate) fn open(vfs: &Arc<dyn Vfs>) -> Result<(Log, ExaminationReport, Vec<Seen>), Error> {
    open_with(vfs, OPTIONS)
}

/// As [`open`], with other options.
pub(crate) fn open_with(
    vfs: &Arc<dyn Vfs>,
    options: Options,
) -> Result<(Log, ExaminationReport, Vec<Seen>), Error> {
    open_in_boot(vfs, options, 0)
}

/// As [`open_with`], in this boot of the machine; 0: nobody knows which.
pub(crate) fn open_in_boot(
    vfs: &Arc<dyn Vfs>,
    options: Options,
    boot: u8,
) -> Result<(Log, ExaminationReport, Vec<Seen>), Error> {
    let lock = onceward_wal::lock(&**vfs)?;
    let (examined, seen) = match look(&**vfs)? {
        Some(found) => found,
        None => {
            onceward_wal::create(&**vfs, &lock, identity())?;
            look(&**vfs)?.unwrap()
        }
    };
    let report = examined.report().clone();
    let stamp = Stamp { opening: 1, boot: [boot; 16], ..Stamp::default() };
    let log = Log::start(Arc::clone(vfs), lock, examined, options, stamp)?;
    Ok((log, report, seen))
}

/// A simulated disk as the log wants it.
pub(crate) fn shared(disk: &SimVfs) -> Arc<dyn Vfs> {
    Arc::new(disk.clone())
}

/// Opens the log on a simulated disk.
pub(crate) fn open_sim(disk: &SimVfs) -> Log {
    open(&shared(disk)).unwrap().0
}

/// A body of `bytes` bytes, different for each `seed`, without zeros.
pub(crate) fn body(seed: u64, bytes: usize) -> Vec<u8> {
    // Made whole at once: growing byte by byte is slow without optimisation.
    let mut body = vec![u8::try_from(seed % 255 + 1).unwrap(); bytes.max(8)];
    body[..8].copy_from_slice(&seed.to_le_bytes().map(|byte| byte | 0x80));
    body.truncate(bytes.max(1));
    body
}

/// Queues bodies as one batch.
pub(crate) fn queue(log: &Log, bodies: &[Vec<u8>]) -> Result<Appended, Error> {
    let parts: Vec<[&[u8]; 1]> = bodies.iter().map(|body| [body.as_slice()]).collect();
    let frames: Vec<NewFrame<'_>> =
        parts.iter().map(|parts| NewFrame { kind: KIND, flags: 0, parts }).collect();
    log.append_deferred(&frames, 0, Purpose::Capture).map(|ticket| ticket.appended())
}

/// Appends one body durably.
pub(crate) fn put(log: &Log, body: &[u8]) -> Result<Lsn, Error> {
    let appended = queue(log, &[body.to_vec()])?;
    log.wait(appended.last)?;
    Ok(appended.last)
}

/// Appends until the log goes on in another segment.
pub(crate) fn fill_segment(log: &Log) {
    let count = log.segments().len().max(1);
    while log.segments().len() <= count {
        put(log, &body(99, 60_000)).unwrap();
    }
}

/// A fault at the first matching operation from now on.
pub(crate) fn fault(op: FaultOp, name: &str, kind: FaultKind) -> Fault {
    Fault { op, name_contains: name.to_owned(), nth: 0, kind, forever: false }
}
