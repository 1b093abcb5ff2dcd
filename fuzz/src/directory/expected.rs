//! What opening a damaged log owes.

use onceward_wal::{Error, ErrorKind, ExaminationReport, KIND_HOST_MIN};

use super::Seen;
use super::logs::Original;
use super::tamper::Tampered;

/// A log may be refused where it cannot be told what it is, and not for anything less.
pub(super) fn assert_refused(error: &Error, tampered: &Tampered) {
    let is_owed = match error.kind() {
        _ if tampered.forged || tampered.in_the_way => true,
        // No slot of `meta`, and no header of any segment.
        ErrorKind::Corrupt => tampered.meta,
        _ => false,
    };
    assert!(is_owed, "refused: {error} ({:?}) after {tampered:?}", error.kind());
}

/// Every frame that is shown is one that was appended.
pub(super) fn assert_nothing_invented(
    original: &Original,
    tampered: &Tampered,
    report: &ExaminationReport,
    seen: &[Seen],
) {
    if tampered.forged {
        return;
    }
    for frame in seen.iter().filter(|frame| frame.kind >= KIND_HOST_MIN) {
        let mut appended = original.frames.iter().chain(&original.trimmed);
        let is_true = appended.any(|appended| appended == frame);
        assert!(is_true, "LSN {} was not appended so, {report:?}", frame.lsn);
    }
}

/// What is not shown is reported, or was the end of a log of which nothing said where it ends.
pub(super) fn assert_nothing_silent(
    original: &Original,
    tampered: &Tampered,
    report: &ExaminationReport,
    seen: &[Seen],
) {
    let is_shown = |frame: &&Seen| seen.iter().any(|shown| shown.lsn == frame.lsn);
    let missing: Vec<_> = original.frames.iter().filter(|frame| !is_shown(frame)).collect();
    let Some(first) = missing.first() else { return };
    if tampered.forged || !report.damage.is_empty() {
        return;
    }
    let what = format!(
        "{} of {} frames from LSN {} on are gone without a word, after {tampered:?}: {report:?}",
        missing.len(),
        original.frames.len(),
        first.lsn
    );
    let last_shown = seen.last().map_or(0, |frame| frame.lsn);
    let is_the_end = missing.iter().all(|frame| frame.lsn > last_shown);
    let end_is_known = report.clean || (original.closed && !tampered.meta);
    // A file of another content is there, so it is not missing: as if all its bytes were damaged.
    if is_the_end && !end_is_known && (!tampered.names || tampered.replaced) {
        return;
    }
    // Where a slot of `meta` is gone too, a later state may have trimmed what has no file.
    assert!(tampered.names && tampered.meta, "{what}");
}

/// What was damaged stays as it is, and stays reported.
pub(super) fn assert_damage_stays(before: &ExaminationReport, after: &ExaminationReport) {
    for damage in &before.damage {
        // A slot of `meta` is written anew, and what is missing may be told otherwise once the log
        // goes on.
        let stays = damage.bytes > 0 && damage.file != "meta";
        // The offset may move: a seal behind the end of a file that is short makes it longer.
        let is_told = |told: &&onceward_wal::Damage| told.file == damage.file;
        let told = after.damage.iter().find(is_told);
        assert!(!stays || told.is_some(), "no longer told: {damage:?} in {after:?}");
    }
}
