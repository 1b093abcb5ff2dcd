//! A whole log on a simulated disk: the target `open_directory`.

mod expected;
mod logs;
mod tamper;

use std::sync::Arc;

use onceward_vfs::{SimVfs, Survival, Vfs};
use onceward_wal::{Error, Examined, KIND_HOST_MIN, Log, Report, Stamp};

use crate::input::Input;
use crate::tolerated::{Weakness, tolerate};
use logs::{OPTIONS, append};

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

/// Runs one input.
///
/// # Panics
///
/// If the log breaks a promise.
pub fn open(data: &[u8]) {
    let mut input = Input(data);
    let original = logs::pick(&mut input);
    let disk = original.disk();
    let tampered = tamper::tamper(&disk, original, &mut input);
    let first = match look(&disk) {
        Ok(Some(found)) => found,
        Ok(None) => {
            assert!(tampered.is_gone(&disk), "there are files, and no log is found");
            return;
        }
        Err(error) => return expected::assert_refused(&error, &tampered),
    };
    let report = first.0.report().clone();
    if !first.1.windows(2).all(|pair| pair[0].lsn < pair[1].lsn) {
        assert!(tampered.forged, "LSNs do not ascend: {report:?}");
        tolerate(Weakness::HeaderLowersLsn, "LSNs do not ascend");
    }
    expected::assert_nothing_invented(original, &tampered, &report, &first.1);
    expected::assert_nothing_silent(original, &tampered, &report, &first.1);
    let again = look(&disk).expect("a second look").expect("a second look");
    assert_eq!((again.0.report(), &again.1), (&report, &first.1), "a second look sees otherwise");
    if tampered.forged {
        stays_calm(&disk);
    } else {
        goes_on(&disk, &tampered, &report, first.1);
    }
}

/// Starts on what was found, appends, cuts the power, and looks again; then closes and looks again.
fn goes_on(disk: &SimVfs, tampered: &tamper::Tampered, report: &Report, before: Vec<Seen>) {
    let log = match start(disk) {
        Ok(log) => log,
        Err(error) => return expected::assert_refused(&error, tampered),
    };
    let new = [9; 300];
    let lsn = match append(&log, &[&new]) {
        Ok(lsn) => lsn,
        Err(error) => return expected::assert_refused(&error, tampered),
    };
    let mut kept = before;
    let after = disk.after_power_cut(&Survival::Nothing);
    let (now, mut shown) = look(&after).expect("after a power cut").expect("after a power cut");
    let appended = shown.iter().find(|frame| frame.lsn == lsn);
    assert!(appended.is_some_and(|frame| frame.body == new), "what was confirmed is not found");
    assert!(kept.last().is_none_or(|last| last.lsn < lsn), "an LSN was given twice");
    let told = now.report();
    expected::assert_damage_stays(report, told);
    shown.retain(|frame| frame.lsn < lsn && frame.kind >= KIND_HOST_MIN);
    kept.retain(|frame| frame.kind >= KIND_HOST_MIN);
    assert!(shown == kept, "what was shown before is not what is shown after: {report:?} {told:?}");
    log.close().expect("closing");
    let after = disk.after_power_cut(&Survival::Nothing);
    let (now, mut shown) = look(&after).expect("after closing").expect("after closing");
    shown.retain(|frame| frame.lsn < lsn && frame.kind >= KIND_HOST_MIN);
    assert!(shown == kept, "closing lost something");
    assert!(now.report().clean || !now.report().damage.is_empty(), "{:?}", now.report());
}

/// After a forgery nothing is true; but nothing panics, and nothing waits for ever.
fn stays_calm(disk: &SimVfs) {
    if let Ok(log) = start(disk)
        && append(&log, &[&[9; 300]]).is_ok()
    {
        log.close().unwrap_or_default();
    }
    drop(look(disk));
}

/// Looks at the log.
fn look(disk: &SimVfs) -> Result<Option<(Examined, Vec<Seen>)>, Error> {
    let mut seen = Vec::new();
    let examined = onceward_wal::examine(disk, &mut |frame| {
        seen.push(Seen {
            lsn: frame.lsn.get(),
            run: frame.run,
            kind: frame.kind,
            body: frame.body.to_vec(),
        });
    })?;
    Ok(examined.map(|examined| (examined, seen)))
}

/// Opens the log for writing, creating it when it is missing.
pub(crate) fn start(disk: &SimVfs) -> Result<Log, Error> {
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
    Log::start(vfs, lock, examined, OPTIONS, stamp)
}
