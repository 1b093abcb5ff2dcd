//! A whole log on a simulated disk: the target `open_directory`.

mod expected;
mod logs;
mod readers;
mod tamper;

use std::sync::Arc;

use onceward_vfs::{SimVfs, Survival, Vfs};
use onceward_wal::{
    Alignment, Error, ExaminationReport, Examined, Frame, KIND_HOST_MIN, Log, Stamp,
};

use crate::input::Input;
use logs::append;
use readers::{Inside, Outside};
use tamper::Tampered;

/// A frame that was shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    /// Its number.
    pub(crate) lsn: u64,
    /// Its run.
    pub(crate) run: u32,
    /// Its kind.
    pub(crate) kind: u8,
    /// Its content.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// What is noted of a frame.
    fn of(frame: &Frame<'_>) -> Self {
        Self { lsn: frame.lsn.get(), run: frame.run, kind: frame.kind, body: frame.body.to_vec() }
    }
}

/// What is done with a log that was tampered with.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// It is repaired before it is opened.
    repairs: bool,
    /// Where the commits end that follow.
    alignment: Alignment,
}

/// Runs one input.
///
/// # Panics
///
/// If the log breaks a promise.
pub fn open(data: &[u8]) {
    let mut input = Input(data);
    let original = logs::pick(&mut input);
    let disk = original.disk();
    let (tampered, plan) = tamper::tamper(&disk, original, &mut input);
    let (examined, seen) = match look(&disk) {
        Ok(Some(found)) => found,
        Ok(None) => {
            assert!(tampered.is_gone(&disk), "there are files, and no log is found");
            return;
        }
        Err(error) => return expected::assert_refused(&error, &tampered),
    };
    let report = examined.report().clone();
    assert!(ascends(&seen), "LSNs do not ascend: {report:?}");
    expected::assert_nothing_invented(original, &tampered, &report, &seen);
    expected::assert_nothing_silent(original, &tampered, &report, &seen);
    let again = look(&disk).expect("a second look").expect("a second look");
    assert_eq!((again.0.report(), &again.1), (&report, &seen), "a second look sees otherwise");
    if tampered.forged {
        return stays_calm(&disk, plan);
    }
    if !plan.repairs {
        return goes_on(&disk, &tampered, plan, &report, seen);
    }
    if mend(&disk, &tampered, &report, &seen) {
        let disk = disk.after_power_cut(&Survival::Nothing);
        let (examined, seen) = look(&disk).expect("after a repair").expect("after a repair");
        goes_on(&disk, &tampered, plan, examined.report(), seen);
    }
}

/// Whether every frame has a higher number than the one before.
fn ascends(seen: &[Seen]) -> bool {
    seen.windows(2).all(|pair| pair[0].lsn < pair[1].lsn)
}

/// The host's frames.
fn host(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.retain(|frame| frame.kind >= KIND_HOST_MIN);
    seen
}

/// Repairs the log: then nothing is reported, and nothing is gone that was there. Returns whether it could
/// be repaired.
fn mend(disk: &SimVfs, tampered: &Tampered, report: &ExaminationReport, before: &[Seen]) -> bool {
    let lock = onceward_wal::lock(disk).expect("nobody has the lock");
    let repaired = match onceward_wal::repair(disk, &lock) {
        Ok(repaired) => repaired.expect("there is a log"),
        Err(error) => {
            expected::assert_refused(&error, tampered);
            return false;
        }
    };
    assert_eq!(repaired.damage, report.damage, "what is repaired");
    assert_eq!(repaired.left, [], "is left of {:?}", report.damage);
    for file in &repaired.kept {
        assert!(disk.bytes(file).is_some_and(|kept| !kept.is_empty()), "{file} is not kept");
    }
    let (_, after) = look(disk).expect("after a repair").expect("after a repair");
    assert!(host(after) == host(before.to_vec()), "a repair took frames: {:?}", report.damage);
    let as_it_is = disk.fingerprint();
    let again = onceward_wal::repair(disk, &lock).expect("a second repair").expect("as before");
    assert!(again.damage.is_empty() && again.kept.is_empty(), "a second repair: {again:?}");
    assert_eq!(disk.fingerprint(), as_it_is, "a second repair writes");
    true
}

/// Starts on what was found, appends, cuts the power, and looks again; then closes and looks again.
fn goes_on(
    disk: &SimVfs,
    tampered: &Tampered,
    plan: Plan,
    report: &ExaminationReport,
    before: Vec<Seen>,
) {
    let log = match start(disk, plan.alignment) {
        Ok(log) => log,
        Err(error) => return expected::assert_refused(&error, tampered),
    };
    let (mut inside, mut outside) = (Inside::new(&log), Outside::default());
    inside.read();
    outside.look(disk);
    let new = [9; 300];
    let lsn = match append(&log, &[&new]) {
        Ok(lsn) => lsn,
        Err(error) => return expected::assert_refused(&error, tampered),
    };
    let kept = host(before);
    let after = disk.after_power_cut(&Survival::Nothing);
    let (now, shown) = look(&after).expect("after a power cut").expect("after a power cut");
    let appended = shown.iter().find(|frame| frame.lsn == lsn);
    assert!(appended.is_some_and(|frame| frame.body == new), "what was confirmed is not found");
    assert!(kept.last().is_none_or(|last| last.lsn < lsn), "an LSN was given twice");
    let told = now.report();
    expected::assert_damage_stays(report, told);
    let mut shown = host(shown);
    let all = shown.clone();
    shown.retain(|frame| frame.lsn < lsn);
    assert!(shown == kept, "what was shown before is not what is shown after: {report:?} {told:?}");
    inside.read();
    inside.assert_showed(&all);
    // For a mark behind the last frame there may be no room in its segment.
    log.mark().expect("marks");
    outside.look(disk);
    outside.assert_showed(&all, false);
    log.close().expect("closing");
    let after = disk.after_power_cut(&Survival::Nothing);
    outside.look(&after);
    outside.assert_showed(&all, true);
    let (now, shown) = look(&after).expect("after closing").expect("after closing");
    assert!(host(shown) == all, "closing lost something");
    assert!(now.report().clean || !now.report().damage.is_empty(), "{:?}", now.report());
}

/// After a forgery nothing is true; but nothing panics, and nothing waits for ever.
fn stays_calm(disk: &SimVfs, plan: Plan) {
    if plan.repairs {
        let lock = onceward_wal::lock(disk).expect("nobody has the lock");
        drop(onceward_wal::repair(disk, &lock));
    }
    if let Ok(log) = start(disk, plan.alignment) {
        let (mut inside, mut outside) = (Inside::new(&log), Outside::default());
        inside.read();
        outside.look(disk);
        if append(&log, &[&[9; 300]]).is_ok() {
            inside.read();
            outside.look(disk);
            log.close().unwrap_or_default();
        }
    }
    drop(look(disk));
}

/// Looks at the log.
fn look(disk: &SimVfs) -> Result<Option<(Examined, Vec<Seen>)>, Error> {
    let mut seen = Vec::new();
    let examined = onceward_wal::examine(disk, &mut |frame| seen.push(Seen::of(frame)))?;
    Ok(examined.map(|examined| (examined, seen)))
}

/// Opens the log for writing, creating it when it is missing.
pub(crate) fn start(disk: &SimVfs, alignment: Alignment) -> Result<Log, Error> {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let lock = onceward_wal::lock(&*vfs)?;
    let examined = match onceward_wal::examine(&*vfs, &mut |_| {})? {
        Some(examined) => examined,
        None => {
            onceward_wal::create(&*vfs, &lock, logs::identity())?;
            let made = onceward_wal::examine(&*vfs, &mut |_| {})?;
            made.expect("was just created")
        }
    };
    let stamp = Stamp { opening: 1, ..Stamp::default() };
    Log::start(vfs, lock, examined, logs::options(alignment), stamp)
}
