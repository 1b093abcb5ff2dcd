//! Judges the set of files: which segments are in use, damaged, missing, prepared or trimmed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use onceward_vfs::Vfs;

use super::head::{Files, SegmentHead};
use super::pending_files::PendingFiles;
use super::repairs::{Fix, PlannedRepair};
use super::resurrected::{Resurrected, is_damaged};
use super::scanned_segment::{ScannedSegment, Shows};
use super::segment_file::SegmentFile;
use crate::checksum::{Digest, salt};
use crate::error::{Error, Position};
use crate::frame::Frame;
use crate::header::{READ_COMPAT_KNOWN, SegmentHeader};
use crate::identity::Identity;
use crate::meta::{self, Meta};
use crate::name;
use crate::report::{Damage, ExaminationReport, LostLsns};
use crate::resync;
use crate::sealing::{ForgedFrame, KeyEnvelope, Sealing, SegmentBodies, forged};
use crate::segment::{Segment, Segments};
use crate::walk::{Context, SegmentEnd, Walked};

/// The work in progress.
pub(super) struct Examination<'a> {
    pub(super) vfs: &'a dyn Vfs,
    pub(super) meta: Meta,
    /// With the secret, where that is known.
    pub(super) identity: Identity,
    /// The sealing that opens the bodies of a sealed log.
    pub(super) sealing: Option<Arc<dyn Sealing>>,
    /// Keys of segments that were opened, with what the files said of them.
    pub(super) keys: RefCell<BTreeMap<u64, (KeyEnvelope, SegmentBodies)>>,
    files: PendingFiles,
    /// Memory that segments are read into.
    buffer: Vec<u8>,
    /// Numbers of the segments whose head says where they begin.
    first_lsns: Vec<(u64, u64)>,
    /// The headers that are whole, by number, and the sizes of their files.
    pub(super) headers: BTreeMap<u64, (SegmentHeader, u64)>,
    pub(super) shows: Shows,
    /// Frames that were not shown because nothing proves them, marks apart.
    pub(super) hidden: u64,
    pub(super) last_in_use: u64,
    pub(super) resurrected: Vec<Resurrected>,
    pub(super) prepared: Vec<u64>,
    /// Prepared segments in which the disk cannot read something.
    pub(super) spoiled: Vec<u64>,
    /// Listed, not begun, and without a file.
    pub(super) absent: Vec<u64>,
    /// The state of `meta` once the files were listed, if it was read again.
    meta_then: Option<Option<Meta>>,
    /// Listed, begun, and without a file.
    pub(super) missing: Vec<u64>,
    pub(super) segments: Segments,
    pub(super) torn_header: Option<SegmentHeader>,
    pub(super) previous: Option<(u64, Walked)>,
    pub(super) highest_lsn: u64,
    /// LSN of the last frame that was found.
    pub(super) last_frame: u64,
    pub(super) highest_run: u32,
    /// Features that forbid this program to write.
    pub(super) read_only_for: u32,
    /// The first place that the disk could not read and where the log may end.
    pub(super) unreadable: Option<Position>,
    /// The repairs that would mend the damage.
    pub(super) repairs: Vec<PlannedRepair>,
    pub(super) report: ExaminationReport,
}

impl<'a> Examination<'a> {
    /// Finds out which files belong to the log.
    pub(super) fn new(vfs: &'a dyn Vfs, meta: Meta, files: &Files) -> Result<Self, Error> {
        let mut it = Self {
            vfs,
            identity: meta.identity,
            sealing: None,
            keys: RefCell::default(),
            files: PendingFiles::default(),
            buffer: Vec::new(),
            first_lsns: Vec::new(),
            headers: BTreeMap::new(),
            shows: Shows::All,
            hidden: 0,
            last_in_use: 0,
            resurrected: Vec::new(),
            prepared: Vec::new(),
            spoiled: Vec::new(),
            absent: Vec::new(),
            meta_then: None,
            missing: Vec::new(),
            segments: Segments::new(meta.identity),
            torn_header: None,
            previous: None,
            highest_lsn: meta.next_lsn.saturating_sub(1),
            last_frame: 0,
            highest_run: meta.run,
            read_only_for: meta.read_compat & !READ_COMPAT_KNOWN,
            unreadable: None,
            repairs: Vec::new(),
            report: ExaminationReport::default(),
            meta,
        };
        let store = it.meta.identity.store;
        for (number, _) in files.iter().filter(|(_, of)| *of == store) {
            if let Some(file) = SegmentFile::open(vfs, *number, store)? {
                it.file(file)?;
            }
        }
        Ok(it)
    }

    /// Rows `unlisted` and `unlisted-newer`.
    fn file(&mut self, file: SegmentFile) -> Result<(), Error> {
        let number = file.number;
        let listed = self.meta.segments.contains(number);
        if !listed && number < self.meta.next_number {
            let damaged = is_damaged(&file)?;
            self.resurrected.push(Resurrected { number, damaged });
            return Ok(());
        }
        let head = file.head()?;
        let in_use = head.in_use();
        if in_use {
            self.last_in_use = number;
        }
        if let Some(first_lsn) = head.first_lsn() {
            self.first_lsns.push((number, first_lsn));
        }
        if let Some(header) = head.header {
            let bytes = u64::try_from(file.len()?).unwrap_or(u64::MAX);
            self.headers.insert(number, (header, bytes));
        }
        if !listed && in_use {
            self.meta.segments.add(number);
            self.meta.next_number = number + 1;
        }
        if listed || in_use {
            self.files.add(file);
        }
        Ok(())
    }

    /// The numbers of the listed segments.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.meta.segments.iter().collect()
    }

    /// The file of a segment is not needed any more.
    pub(super) fn forget_file(&mut self, number: u64) {
        self.files.forget(number);
    }

    /// The segment in which `lsn` must be, if it is there: all before it have lower ones.
    pub(super) fn number_holding(&self, lsn: u64) -> u64 {
        let not_behind = self.first_lsns.iter().filter(|(_, first_lsn)| *first_lsn <= lsn);
        not_behind.map(|(number, _)| *number).max().unwrap_or(0)
    }

    /// The highest LSN that was seen.
    pub(super) fn highest_lsn(&self) -> u64 {
        self.highest_lsn
    }

    /// Judges one listed segment.
    pub(super) fn segment(
        &mut self,
        number: u64,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<(), Error> {
        let last_lsn = self.previous.as_ref().map_or(0, |(_, walked)| walked.last_lsn);
        let ended =
            self.previous.as_ref().is_some_and(|(_, walked)| walked.end == SegmentEnd::Lost);
        let begun = number <= self.last_in_use || (self.meta.synced > last_lsn && !ended);
        let Some(file) = self.files.take(self.vfs, number, self.meta.identity.store)? else {
            return self.without_file(number, begun);
        };
        // Segments are begun in order: only the first of these can have lost its head.
        if !begun && !self.prepared.is_empty() {
            self.prepared.push(number);
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        if !begun {
            let mut unreadable = Vec::new();
            let image = file.image(&mut buffer, &mut unreadable)?.bytes;
            let salt = salt(&file.store, number);
            // A writer at work begins it just now: what was read of the log ends before it.
            let just_begun = SegmentHead::of(image, number, &file.store)?.in_use();
            let begun = match unreadable.first() {
                None => !just_begun && resync::proves_itself(image, salt),
                Some(_) => just_begun || resync::has_frames(image, salt),
            };
            if !begun {
                self.take_spare(number, &unreadable);
                self.buffer = buffer;
                return Ok(());
            }
        }
        if let Some(found) = self.scan_segment(&file, &mut buffer, last_lsn, visit)? {
            self.take(found);
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Row `missing`.
    fn without_file(&mut self, number: u64, begun: bool) -> Result<(), Error> {
        // Where a later state of `meta` may be gone, that one may have trimmed it.
        let between = begun && (self.previous.is_some() || self.last_in_use == 0);
        let is_told = between || self.meta.is_latest;
        if !begun || !is_told {
            self.absent.push(number);
        }
        if !is_told {
            return Ok(());
        }
        // One look for all of them: a writer at work took them off the list before it touched the files.
        if self.meta_then.is_none() {
            self.meta_then = Some(meta::read(self.vfs)?.flatten());
        }
        if self.meta_then.iter().flatten().any(|then| then.has_trimmed(number)) {
            return Ok(());
        }
        let what = if begun { "its frames are lost" } else { "frames that it had are lost" };
        self.damage(number, 0, 0, &format!("missing: {what}"));
        if let Some(damage) = self.report.damage.last_mut() {
            let before = self.previous.as_ref().map_or(0, |(_, walked)| walked.last_lsn);
            damage.lost = Some(LostLsns { first: before + 1, last: None });
        }
        if begun {
            self.missing.push(number);
        }
        Ok(())
    }

    /// Adds what was found in a segment to the report, the repairs and the state.
    fn take(&mut self, found: ScannedSegment) {
        self.judge_head(&found);
        let ScannedSegment { file, bytes, context, mut walked, unreadable, hidden, .. } = found;
        let (head, bodies) = (found.head, found.bodies);
        let number = file.number;
        self.report.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        let path = name::segment(&self.meta.identity.store, number);
        for lost in &walked.lost {
            self.report.damage.push(Damage {
                segment: Some(number),
                lost: lost.lsns,
                file: path.clone(),
                offset: u64::try_from(lost.offset).unwrap_or(u64::MAX),
                bytes: u64::try_from(lost.bytes).unwrap_or(u64::MAX),
                what: lost.what.clone(),
            });
            self.repairs.extend(PlannedRepair::of(number, context.first_lsn, lost));
        }
        let first_lsn = context.first_lsn;
        self.take_forged((number, first_lsn), &found.forged);
        if let (Some((first, last)), SegmentBodies::Unreadable(why)) = (found.without_key, &bodies)
        {
            self.take_without_key(number, first, last, why);
        }
        self.take_unreadable((number, first_lsn), &unreadable, (&mut walked, bytes));
        self.hidden += hidden;
        if walked.frames > 0 {
            self.last_frame = walked.last_lsn;
        }
        self.report.frames += walked.frames;
        self.highest_lsn = self.highest_lsn.max(walked.highest_lsn);
        self.highest_run = self.highest_run.max(walked.highest_run);
        self.segments.insert(Segment {
            number,
            salt: context.salt,
            first_lsn: context.first_lsn,
            last_lsn: walked.last_lsn,
            used_bytes: u64::try_from(walked.offset).unwrap_or(u64::MAX),
            written_bytes: u64::try_from(walked.offset).unwrap_or(u64::MAX),
            file_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            damaged: self.report.damage.iter().any(|damage| damage.file == path),
            unread: !unreadable.is_empty(),
            unchecked: None,
            waypoints: std::mem::take(&mut walked.waypoints),
            bodies,
            envelope: head.envelope(),
        });
        self.previous = Some((number, walked));
    }

    /// Row `forged`.
    fn take_forged(&mut self, (number, first_lsn): (u64, u64), found: &[ForgedFrame]) {
        for it in found {
            let offset = u64::try_from(it.offset).unwrap_or(u64::MAX);
            let bytes = u64::try_from(it.bytes).unwrap_or(u64::MAX);
            self.damage(number, offset, bytes, &forged(it.lsn));
            if let Some(damage) = self.report.damage.last_mut() {
                damage.lost = Some(LostLsns { first: it.lsn, last: Some(it.lsn) });
            }
            let fix = Fix::StandIn { run: it.run, lsn: it.lsn, numbers: 1 };
            let (offset, bytes) = (it.offset, it.bytes);
            self.repairs.push(PlannedRepair { number, first_lsn, offset, bytes, fix });
        }
    }

    /// Row `key-lost`.
    fn take_without_key(&mut self, number: u64, first: ForgedFrame, last: ForgedFrame, why: &str) {
        let offset = u64::try_from(first.offset).unwrap_or(u64::MAX);
        let end = last.offset.saturating_add(last.bytes);
        let bytes = u64::try_from(end.saturating_sub(first.offset)).unwrap_or(u64::MAX);
        let what = format!("LSN {} to {} cannot be deciphered: {why}", first.lsn, last.lsn);
        self.damage(number, offset, bytes, &what);
        if let Some(damage) = self.report.damage.last_mut() {
            damage.lost = Some(LostLsns { first: first.lsn, last: Some(last.lsn) });
        }
    }

    /// The context of a segment, which is known before its frames are read.
    pub(super) fn context(&self, number: u64, head: &SegmentHead, last_lsn: u64) -> Context {
        let previous = self.previous.as_ref().map(|(_, walked)| walked);
        let first_lsn = head.first_lsn().unwrap_or(last_lsn + 1);
        let before = self.one_before(number).filter(|walked| !walked.repaired);
        let digest = match (head.header, before) {
            (Some(header), _) => Some(header.digest),
            (None, Some(walked)) => walked.digest_known.then_some(walked.digest),
            (None, None) if number == 1 => Some(Digest::default()),
            (None, None) => None,
        };
        Context {
            number,
            store: self.meta.identity.store,
            salt: salt(&self.meta.identity.store, number),
            first_lsn,
            run: previous
                .map_or(0, |walked| walked.run)
                .max(head.header.map_or(0, |header| header.run)),
            last_lsn: first_lsn.saturating_sub(1),
            digest,
            synced: self.meta.synced,
            later_in_use: number < self.last_in_use,
            recycled: head.header.is_some_and(|header| header.recycled),
        }
    }

    /// The segment before `number`, if it is whole and this one surely continues it: between others,
    /// some may have been trimmed.
    fn one_before(&self, number: u64) -> Option<&Walked> {
        let (before, walked) = self.previous.as_ref()?;
        let whole = walked.lost.is_empty() && walked.end == SegmentEnd::Sealed;
        (before + 1 == number && whole).then_some(walked)
    }

    /// Whether the LSN of its first frame is the one after the last before it.
    pub(super) fn follows_the_one_before(&self, number: u64) -> bool {
        number == 1 || self.one_before(number).is_some()
    }

    /// Reports damage.
    pub(super) fn damage(&mut self, number: u64, offset: u64, bytes: u64, what: &str) {
        let file = name::segment(&self.meta.identity.store, number);
        let (segment, what) = (Some(number), what.to_owned());
        self.report.damage.push(Damage { segment, file, offset, bytes, what, lost: None });
    }
}
