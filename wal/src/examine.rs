//! Reads a log and judges every byte of it. Changes nothing, takes no lock.
//!
//! The decisions are in [`walk`](crate::walk) for the bytes of one segment and here for the set of
//! files; the labels are the rows of the tables in `FORMAT.md`, section Recovery. Repairing what
//! was found is [`Log::start`](crate::Log::start)'s work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onceward_vfs::{File, Mode, Vfs};

use crate::checksum::{Digest, salt};
use crate::error::Error;
use crate::frame::{self, Frame, KIND_RUN};
use crate::header::{HeaderError, Identity, READ_COMPAT_KNOWN, SegmentHeader};
use crate::limits::{HEADER_BLOCK_BYTES, HEADER_BYTES, RUN_BODY_BYTES, SEGMENT_BYTES_MAX, frame_bytes};
use crate::meta::{self, CleanEnd, Meta};
use crate::name;
use crate::report::{Damage, Report};
use crate::run::RunBody;
use crate::segment::{Segment, Segments};
use crate::walk::{self, Context, End, Walked};

/// A log as it was found.
#[derive(Debug)]
pub struct Examined {
    pub(crate) meta: Meta,
    /// Where the log goes on; `None`: in a new segment.
    pub(crate) tail: Option<FoundTail>,
    /// Segments that are listed and not begun.
    pub(crate) prepared: Vec<u64>,
    /// Files of segments that were trimmed before.
    pub(crate) returned: Vec<u64>,
    pub(crate) segments: Segments,
    pub(crate) last_lsn: u64,
    pub(crate) highest_lsn: u64,
    pub(crate) highest_run: u32,
    pub(crate) digest: Digest,
    /// Whole frames of the torn tail: offset and size in the tail's segment.
    pub(crate) in_doubt: Vec<(usize, usize)>,
    /// Features that forbid this program to write; 0 for none.
    pub(crate) read_only_for: u32,
    pub(crate) report: Report,
}

/// The segment in which the log goes on.
#[derive(Clone, Debug)]
pub(crate) struct FoundTail {
    pub(crate) number: u64,
    pub(crate) offset: usize,
    pub(crate) count: u32,
    /// Offset after the last frame that is proven synced.
    pub(crate) proven: usize,
    pub(crate) torn_bytes: usize,
}

/// What the head of a segment's file says.
struct Head {
    file: Arc<dyn File>,
    header: Option<SegmentHeader>,
    /// The segment's first frame, if it is whole.
    first: Option<RunBody>,
}

impl Head {
    fn in_use(&self) -> bool {
        self.header.is_some() || self.first.is_some()
    }
}

/// Reads the log in `vfs` and shows every frame that belongs to it, in order, to `visit`.
///
/// `None` if there is no log. Holds one segment in memory at a time.
///
/// # Errors
///
/// `Unsupported`: a newer format. `Corrupt`: `meta` and all segments' headers are unreadable.
/// `Io`: a file cannot be read.
pub fn examine(
    vfs: &dyn Vfs,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> Result<Option<Examined>, Error> {
    let slots = meta::read(vfs)?;
    let files = list(vfs)?;
    let (meta, lost) = match slots {
        None if files.is_empty() => return Ok(None),
        Some(slots) => match slots.current {
            Some(meta) => (meta, false),
            None => (rebuild_meta(vfs, &files)?, true),
        },
        None => (rebuild_meta(vfs, &files)?, true),
    };
    let mut examination = Examination::new(vfs, meta, &files)?;
    if lost {
        examination.report.damage.push(Damage {
            file: name::META.to_owned(),
            offset: 0,
            bytes: 0,
            what: "no valid slot; the list of segments was made from the directory".to_owned(),
        });
    }
    for number in examination.numbers.clone() {
        examination.segment(number, visit)?;
    }
    Ok(Some(examination.finish()))
}

/// The segment files: number and store.
fn list(vfs: &dyn Vfs) -> Result<BTreeSet<(u64, [u8; 16])>, Error> {
    let io = |source| Error::io(source, "list", name::LOG_DIR);
    if !vfs.exists(name::LOG_DIR).map_err(io)? {
        return Ok(BTreeSet::new());
    }
    let files = vfs.list(name::LOG_DIR).map_err(io)?;
    Ok(files.iter().filter_map(|file| name::parse_segment(file)).collect())
}

/// Row `meta-lost`.
fn rebuild_meta(vfs: &dyn Vfs, files: &BTreeSet<(u64, [u8; 16])>) -> Result<Meta, Error> {
    let mut rebuilt: Option<Meta> = None;
    for (number, store) in files {
        let head = read_head(vfs, store, *number)?;
        let Some(header) = head.header else { continue };
        let meta = rebuilt.get_or_insert_with(|| Meta::new(header.identity));
        if meta.identity == header.identity {
            meta.run = meta.run.max(header.run);
        }
    }
    let Some(mut meta) = rebuilt else {
        return Err(Error::corrupt("no valid slot, and no segment with a valid header")
            .at(name::META, 0));
    };
    for (number, _) in files.iter().filter(|(_, store)| *store == meta.identity.store) {
        meta.segments.add(*number);
        meta.next_number = number + 1;
    }
    Ok(meta)
}

/// Reads a segment's header block and first frame.
fn read_head(vfs: &dyn Vfs, store: &[u8; 16], number: u64) -> Result<Head, Error> {
    let path = name::segment(store, number);
    let io = |source| Error::io(source, "read", &path);
    let file = vfs.open(&path, Mode::Read).map_err(io)?;
    let mut head = vec![0; HEADER_BLOCK_BYTES + frame_bytes(RUN_BODY_BYTES)];
    let count = file.read_at(0, &mut head).map_err(io)?;
    head.truncate(count);
    let header = match SegmentHeader::decode(&head) {
        Ok(header) => {
            Some(header).filter(|h| h.number == number && h.identity.store == *store)
        }
        Err(HeaderError::NotAHeader) => None,
        Err(HeaderError::Newer { version, incompat }) => {
            return Err(HeaderError::unsupported(version, incompat, &path));
        }
    };
    let frame = head.get(HEADER_BLOCK_BYTES..).unwrap_or_default();
    let first = frame::decode(frame, salt(store, number))
        .ok()
        .filter(|(header, _)| header.kind == KIND_RUN && header.lsn_delta == 0)
        .and_then(|(_, body)| RunBody::decode(body));
    Ok(Head { file, header, first })
}

/// The work in progress.
struct Examination {
    meta: Meta,
    numbers: Vec<u64>,
    heads: BTreeMap<u64, Head>,
    last_in_use: u64,
    returned: Vec<u64>,
    prepared: Vec<u64>,
    segments: Segments,
    tail: Option<FoundTail>,
    previous: Option<(u64, Walked)>,
    highest_lsn: u64,
    highest_run: u32,
    /// Features that forbid this program to write.
    read_only_for: u32,
    report: Report,
}

impl Examination {
    fn new(
        vfs: &dyn Vfs,
        mut meta: Meta,
        files: &BTreeSet<(u64, [u8; 16])>,
    ) -> Result<Self, Error> {
        let mut heads = BTreeMap::new();
        let mut returned = Vec::new();
        for (number, store) in files.iter().filter(|(_, store)| *store == meta.identity.store) {
            let head = read_head(vfs, store, *number)?;
            let listed = meta.segments.contains(*number);
            if listed || (*number >= meta.next_number && head.in_use()) {
                heads.insert(*number, head);
            } else if *number < meta.next_number {
                returned.push(*number);
            }
            if !listed && *number >= meta.next_number && heads.contains_key(number) {
                meta.segments.add(*number);
                meta.next_number = number + 1;
            }
        }
        let last_in_use =
            heads.iter().rev().find(|(_, head)| head.in_use()).map_or(0, |(number, _)| *number);
        let segments = Segments::new(meta.identity);
        Ok(Self {
            numbers: meta.segments.iter().collect(),
            highest_lsn: meta.next_lsn.saturating_sub(1),
            highest_run: meta.run,
            meta,
            heads,
            last_in_use,
            returned,
            prepared: Vec::new(),
            segments,
            tail: None,
            previous: None,
            read_only_for: 0,
            report: Report::default(),
        })
    }

    /// Judges one listed segment.
    fn segment(&mut self, number: u64, visit: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Error> {
        let last_lsn = self.previous.as_ref().map_or(0, |(_, walked)| walked.last_lsn);
        let ended = self.previous.as_ref().is_some_and(|(_, walked)| walked.end == End::Lost);
        let begun = number <= self.last_in_use || (self.meta.synced > last_lsn && !ended);
        let Some(head) = self.heads.remove(&number) else {
            // Before everything that exists, it may have been trimmed by a state of `meta` that is gone.
            if begun && (self.previous.is_some() || self.last_in_use == 0) {
                self.damage(number, 0, 0, "missing: its frames are lost");
            }
            return Ok(());
        };
        if !begun {
            self.prepared.push(number);
            return Ok(());
        }
        let image = self.image(number, &head)?;
        let context = self.context(number, &head, last_lsn);
        self.judge_header(number, &head);
        self.report.bytes += u64::try_from(image.len()).unwrap_or(u64::MAX);
        let walked = walk::walk(&image, &context, visit);
        let path = name::segment(&self.meta.identity.store, number);
        for lost in &walked.lost {
            self.report.damage.push(Damage {
                file: path.clone(),
                offset: u64::try_from(lost.offset).unwrap_or(u64::MAX),
                bytes: u64::try_from(lost.bytes).unwrap_or(u64::MAX),
                what: lost.what.clone(),
            });
        }
        self.report.frames += walked.frames;
        self.highest_lsn = self.highest_lsn.max(walked.highest_lsn);
        self.highest_run = self.highest_run.max(walked.highest_run);
        self.segments.insert(Segment {
            number,
            file: head.file,
            salt: context.salt,
            first_lsn: context.first_lsn,
            last_lsn: walked.last_lsn,
            used_bytes: u64::try_from(walked.offset).unwrap_or(u64::MAX),
            file_bytes: u64::try_from(image.len()).unwrap_or(u64::MAX),
            damaged: self.report.damage.iter().any(|damage| damage.file == path),
        });
        self.previous = Some((number, walked));
        Ok(())
    }

    fn image(&self, number: u64, head: &Head) -> Result<Vec<u8>, Error> {
        let path = name::segment(&self.meta.identity.store, number);
        let io = |source| Error::io(source, "read", &path);
        let bytes = head.file.len().map_err(io)?.min(SEGMENT_BYTES_MAX);
        let mut image = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let count = head.file.read_at(0, &mut image).map_err(io)?;
        image.truncate(count);
        Ok(image)
    }

    fn context(&self, number: u64, head: &Head, last_lsn: u64) -> Context {
        let previous = self.previous.as_ref().map(|(_, walked)| walked);
        let known = head.header.map(|h| h.first_lsn).or(head.first.map(|run| run.lsn));
        // Without the segments before it, a first segment begins where it says.
        let last_lsn = match (previous, known) {
            (None, Some(first)) => first.saturating_sub(1),
            _ => last_lsn,
        };
        let digest = match (previous, head.header) {
            (Some(walked), _) if walked.lost.is_empty() => walked.digest,
            (_, Some(header)) => header.digest,
            (Some(walked), None) => walked.digest,
            (None, None) => Digest::default(),
        };
        Context {
            number,
            store: self.meta.identity.store,
            salt: salt(&self.meta.identity.store, number),
            first_lsn: known.unwrap_or(last_lsn + 1),
            run: previous.map_or(0, |walked| walked.run),
            last_lsn,
            digest,
            synced: self.meta.synced,
            later_in_use: number < self.last_in_use,
        }
    }

    /// Rows `header-damaged`, and what the header says of the segment before.
    fn judge_header(&mut self, number: u64, head: &Head) {
        let Some(header) = head.header else {
            let bytes = u64::try_from(HEADER_BYTES).unwrap_or(0);
            self.damage(number, 0, bytes, "the header is not what was written");
            return;
        };
        self.read_only_for |= header.read_compat & !READ_COMPAT_KNOWN;
        let Some((before, walked)) = &self.previous else { return };
        let whole = walked.lost.is_empty() && walked.end == End::Sealed;
        let offset = u64::try_from(walked.offset).unwrap_or(u64::MAX);
        if header.before == *before && whole && header.before_end != offset {
            let (before, end) = (*before, header.before_end);
            self.damage(before, offset, 0, &format!("ends here, the next segment says at {end}"));
        }
    }

    fn damage(&mut self, number: u64, offset: u64, bytes: u64, what: &str) {
        let file = name::segment(&self.meta.identity.store, number);
        self.report.damage.push(Damage { file, offset, bytes, what: what.to_owned() });
    }

    fn finish(mut self) -> Examined {
        let (mut last_lsn, mut digest, mut in_doubt) = (0, Digest::default(), Vec::new());
        let mut end = CleanEnd { number: 0, offset: 0, digest };
        if let Some((number, walked)) = self.previous.take() {
            last_lsn = walked.last_lsn;
            digest = walked.digest;
            let offset = u64::try_from(walked.offset).unwrap_or(u64::MAX);
            end = CleanEnd { number, offset, digest };
            if walked.end == End::Open {
                self.tail = Some(FoundTail {
                    number,
                    offset: walked.offset,
                    count: walked.count,
                    proven: walked.proven,
                    torn_bytes: walked.torn_bytes,
                });
                self.report.torn_bytes = u64::try_from(walked.torn_bytes).unwrap_or(u64::MAX);
                self.report.torn_file = Some(name::segment(&self.meta.identity.store, number));
                self.report.torn_offset = offset;
            }
            in_doubt = walked.in_doubt;
        }
        self.report.in_doubt = in_doubt.len();
        match self.meta.clean {
            Some(clean) if clean == end && self.report.damage.is_empty() => {
                self.report.clean = true;
            }
            // With other damage about, the digest differs for a reason that was already told.
            Some(clean) if (clean.number, clean.offset) != (end.number, end.offset) => {
                let what = format!(
                    "the log was closed in order and ended in segment {} at {}",
                    clean.number, clean.offset
                );
                self.damage(end.number.max(1), end.offset, 0, &what);
            }
            Some(_) | None => {}
        }
        Examined {
            tail: self.tail,
            prepared: self.prepared,
            returned: self.returned,
            segments: self.segments,
            last_lsn,
            highest_lsn: self.highest_lsn,
            highest_run: self.highest_run,
            digest,
            in_doubt,
            read_only_for: self.read_only_for,
            report: self.report,
            meta: self.meta,
        }
    }
}

impl Examined {
    /// Who the store is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.meta.identity
    }

    /// What was found.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads single frames of the log as it was found.
    #[must_use]
    pub fn into_segments(self) -> Segments {
        self.segments
    }
}
