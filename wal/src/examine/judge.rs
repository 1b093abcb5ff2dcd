//! Judges the set of files: which segments are in use, damaged, missing, prepared or trimmed.

use std::collections::BTreeMap;

use onceward_vfs::Vfs;

use super::head::{Files, Head, SegmentFile};
use super::look::{Found, Shows};
use super::pieces::Unreadable;
use super::repairs::{Fix, Repair};
use super::returned::{Returned, is_damaged};
use super::{Examined, FoundTail};
use crate::checksum::{Digest, salt};
use crate::error::{Error, Position};
use crate::frame::Frame;
use crate::header::{READ_COMPAT_KNOWN, SegmentHeader};
use crate::later;
use crate::meta::{self, CleanEnd, Meta};
use crate::name;
use crate::report::{Damage, Report};
use crate::segment::{Segment, Segments, Source};
use crate::walk::{Context, End, Walked};

/// The work in progress.
pub(super) struct Examination<'a> {
    pub(super) vfs: &'a dyn Vfs,
    pub(super) meta: Meta,
    files: BTreeMap<u64, SegmentFile>,
    /// Memory that segments are read into.
    buffer: Vec<u8>,
    /// Numbers of the segments whose head says where they begin.
    first_lsns: Vec<(u64, u64)>,
    pub(super) shows: Shows,
    /// Frames that were not shown because nothing proves them, marks apart.
    pub(super) hidden: u64,
    last_in_use: u64,
    returned: Vec<Returned>,
    prepared: Vec<u64>,
    /// Listed, not begun, and without a file.
    absent: Vec<u64>,
    /// What `meta` said once the files were listed, if that was asked.
    meta_then: Option<Option<Meta>>,
    /// Listed, begun, and without a file.
    missing: Vec<u64>,
    segments: Segments,
    pub(super) torn_header: Option<SegmentHeader>,
    pub(super) previous: Option<(u64, Walked)>,
    highest_lsn: u64,
    highest_run: u32,
    /// Features that forbid this program to write.
    pub(super) read_only_for: u32,
    /// The first place that the disk could not read.
    unreadable: Option<Position>,
    /// What would mend the damage.
    pub(super) repairs: Vec<Repair>,
    pub(super) report: Report,
}

impl<'a> Examination<'a> {
    /// Finds out which files belong to the log.
    pub(super) fn new(vfs: &'a dyn Vfs, meta: Meta, files: &Files) -> Result<Self, Error> {
        let mut it = Self {
            vfs,
            files: BTreeMap::new(),
            buffer: Vec::new(),
            first_lsns: Vec::new(),
            shows: Shows::All,
            hidden: 0,
            last_in_use: 0,
            returned: Vec::new(),
            prepared: Vec::new(),
            absent: Vec::new(),
            meta_then: None,
            missing: Vec::new(),
            segments: Segments::new(meta.identity),
            torn_header: None,
            previous: None,
            highest_lsn: meta.next_lsn.saturating_sub(1),
            highest_run: meta.run,
            read_only_for: meta.read_compat & !READ_COMPAT_KNOWN,
            unreadable: None,
            repairs: Vec::new(),
            report: Report::default(),
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
            self.returned.push(Returned { number, damaged });
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
        if !listed && in_use {
            self.meta.segments.add(number);
            self.meta.next_number = number + 1;
        }
        if listed || in_use {
            self.files.insert(number, file);
        }
        Ok(())
    }

    /// The numbers of the listed segments.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.meta.segments.iter().collect()
    }

    /// The segment in which `lsn` must stand, if it is there: all before it have lower ones.
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
        let ended = self.previous.as_ref().is_some_and(|(_, walked)| walked.end == End::Lost);
        let begun = number <= self.last_in_use || (self.meta.synced > last_lsn && !ended);
        let Some(file) = self.files.remove(&number) else {
            return self.without_file(number, begun);
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        if !begun {
            // Segments are begun in order: only the first of these can have lost its head.
            if !self.prepared.is_empty() {
                self.prepared.push(number);
                return Ok(());
            }
            let image = file.image(&mut buffer)?.bytes;
            // A writer at work begins it just now: what was read of the log ends before it.
            let just_begun = Head::of(image, number, &file.store)?.in_use();
            if just_begun || !later::proves_itself(image, salt(&file.store, number)) {
                self.prepared.push(number);
                return Ok(());
            }
        }
        if let Some(found) = self.look(&file, &mut buffer, last_lsn, visit)? {
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
        if begun {
            self.missing.push(number);
        }
        Ok(())
    }

    /// Takes up what was found in a segment.
    fn take(&mut self, found: Found) {
        self.judge_head(&found);
        let Found { file, bytes, context, mut walked, unreadable, hidden, .. } = found;
        let number = file.number;
        self.report.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        let path = name::segment(&self.meta.identity.store, number);
        for lost in &walked.lost {
            self.report.damage.push(Damage {
                file: path.clone(),
                offset: u64::try_from(lost.offset).unwrap_or(u64::MAX),
                bytes: u64::try_from(lost.bytes).unwrap_or(u64::MAX),
                what: lost.what.clone(),
            });
            self.repairs.extend(Repair::of(number, context.first_lsn, lost));
        }
        self.take_unreadable(number, &unreadable, &mut walked, (context.first_lsn, bytes));
        self.hidden += hidden;
        self.report.frames += walked.frames;
        self.highest_lsn = self.highest_lsn.max(walked.highest_lsn);
        self.highest_run = self.highest_run.max(walked.highest_run);
        let source =
            Source { number, file: file.file, salt: context.salt, first_lsn: context.first_lsn };
        self.segments.insert(Segment {
            source,
            last_lsn: walked.last_lsn,
            used_bytes: u64::try_from(walked.offset).unwrap_or(u64::MAX),
            file_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            damaged: self.report.damage.iter().any(|damage| damage.file == path),
            waypoints: std::mem::take(&mut walked.waypoints),
        });
        self.previous = Some((number, walked));
    }

    /// Takes up what the disk could not read of a segment of `bytes` bytes.
    fn take_unreadable(
        &mut self,
        number: u64,
        unreadable: &[Unreadable],
        walked: &mut Walked,
        (first_lsn, bytes_of_file): (u64, usize),
    ) {
        for Unreadable { offset, bytes, what } in unreadable {
            let at = u64::try_from(*offset).unwrap_or(u64::MAX);
            let count = u64::try_from(*bytes).unwrap_or(u64::MAX);
            self.damage(number, at, count, &format!("cannot be read: {what}"));
            let file = name::segment(&self.meta.identity.store, number);
            self.unreadable.get_or_insert(Position { file, offset: at });
            let (offset, bytes) = (*offset, *bytes);
            self.repairs.push(Repair { number, first_lsn, offset, bytes, fix: Fix::Zeros });
            if walked.end == End::Open && offset + bytes > walked.offset {
                // The log may go on in there.
                walked.end = End::Lost;
                let (offset, bytes) = (walked.offset, bytes_of_file - walked.offset);
                let fix = Fix::Seal(walked.before_end);
                self.repairs.push(Repair { number, first_lsn, offset, bytes, fix });
            }
        }
    }

    /// What is known of a segment before its frames are read.
    pub(super) fn context(&self, number: u64, head: &Head, last_lsn: u64) -> Context {
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
        let whole = walked.lost.is_empty() && walked.end == End::Sealed;
        (before + 1 == number && whole).then_some(walked)
    }

    /// Whether the LSN of its first frame is the one after the last before it.
    pub(super) fn follows_the_one_before(&self, number: u64) -> bool {
        number == 1 || self.one_before(number).is_some()
    }

    /// Reports damage.
    pub(super) fn damage(&mut self, number: u64, offset: u64, bytes: u64, what: &str) {
        let file = name::segment(&self.meta.identity.store, number);
        self.report.damage.push(Damage { file, offset, bytes, what: what.to_owned() });
    }

    /// Row `clean-short`.
    fn judge_end(&mut self, end: CleanEnd) {
        let Some(clean) = self.meta.clean else { return };
        let same_place = (clean.number, clean.offset) == (end.number, end.offset);
        let whole = self.report.damage.is_empty();
        if clean == end && whole {
            self.report.clean = true;
            self.report.torn_bytes = 0;
            self.report.torn_file = None;
        } else if (!same_place || whole) && !self.has_moved_on() {
            // With other damage about, the digest differs for a reason that was already told.
            let what = format!(
                "the log was closed in order and ended in segment {} at {}",
                clean.number, clean.offset
            );
            self.damage(end.number.max(1), end.offset, 0, &what);
        }
    }

    /// Sums up.
    pub(super) fn finish(mut self) -> Examined {
        let (mut last_lsn, mut digest, mut in_doubt) = (0, Digest::default(), Vec::new());
        let mut end = CleanEnd::default();
        let mut tail = None;
        if let Some((number, walked)) = self.previous.take() {
            last_lsn = walked.last_lsn;
            digest = walked.digest;
            let offset = u64::try_from(walked.offset).unwrap_or(u64::MAX);
            end = CleanEnd { number, offset, digest };
            if walked.end != End::Lost {
                tail = Some(FoundTail {
                    number,
                    offset: walked.offset,
                    count: walked.count,
                    proven: walked.proven,
                    sealed: walked.end == End::Sealed,
                    torn_bytes: walked.torn_bytes,
                    torn_header: self.torn_header,
                });
                self.report.torn_bytes = u64::try_from(walked.torn_bytes).unwrap_or(u64::MAX);
                self.report.torn_file = Some(name::segment(&self.meta.identity.store, number));
                self.report.torn_offset = offset;
            }
            in_doubt = walked.in_doubt;
        }
        self.report.in_doubt = in_doubt.len();
        self.judge_end(end);
        for number in &self.absent {
            self.meta.segments.remove(*number);
        }
        Examined {
            tail,
            missing: self.missing,
            prepared: self.prepared,
            returned: self.returned,
            segments: self.segments,
            last_lsn,
            highest_lsn: self.highest_lsn,
            highest_run: self.highest_run,
            digest,
            in_doubt,
            read_only_for: self.read_only_for,
            unreadable: self.unreadable,
            repairs: self.repairs,
            report: self.report,
            meta: self.meta,
        }
    }
}
