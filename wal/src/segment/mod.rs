//! The segments that hold frames, and reading single frames of them by place.

mod salvage;
mod source;
pub(crate) mod span;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use onceward_vfs::{File, Mode, Vfs};

pub use self::salvage::SalvagedFrame;
pub(crate) use self::source::Source;
use self::span::FrameSpan;
use crate::checksum::Digest;
use crate::error::{Error, ErrorKind};
use crate::frame::{Frame, Place};
use crate::identity::Identity;
use crate::limits::{HEADER_BLOCK_BYTES, SEGMENT_BYTES_MAX};
use crate::lsn::Lsn;
use crate::name;
use crate::open_files::OpenFiles;
use crate::sealing::{BodyOpener, KeyEnvelope, SegmentBodies};
use crate::sync::Mutex;
use crate::walk::{self, Context};
use crate::waypoints::Waypoints;

/// A segment that was begun.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) salt: u32,
    pub(crate) first_lsn: u64,
    pub(crate) last_lsn: u64,
    pub(crate) used_bytes: u64,
    /// The first bytes of which each block was written, by frames or zeros; as far as that is known.
    pub(crate) written_bytes: u64,
    pub(crate) file_bytes: u64,
    pub(crate) damaged: bool,
    /// The disk could not read all of it.
    pub(crate) unread: bool,
    /// Opening did not read it, and nobody did since: the running digest that its end has to have.
    pub(crate) unchecked: Option<Digest>,
    pub(crate) waypoints: Waypoints,
    /// How the host's bodies are stored in it.
    pub(crate) bodies: SegmentBodies,
    /// The envelope of its key.
    pub(crate) envelope: Option<KeyEnvelope>,
}

/// The number, the LSNs and the sizes of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SegmentInfo {
    /// The segment's number.
    pub number: u64,
    /// LSN of its first frame.
    pub first_lsn: u64,
    /// LSN of its last frame.
    pub last_lsn: u64,
    /// Bytes of it that are in use.
    pub used_bytes: u64,
    /// Size of its file.
    pub file_bytes: u64,
    /// Whether damage was found in it.
    pub damaged: bool,
    /// Whether the disk could not read all of it: it may be able to another time.
    pub unread: bool,
    /// Whether opening did not read it, because the host knew it, and nobody checked it since.
    pub unchecked: bool,
}

/// The segments of a log, by number.
#[derive(Debug)]
pub struct Segments {
    identity: Identity,
    by_number: BTreeMap<u64, Segment>,
    /// Files of some of them.
    open: Mutex<OpenFiles>,
}

/// A frame that was read by itself.
#[derive(Debug)]
pub struct FrameBuf {
    span: FrameSpan,
    place: Place,
    bytes: u32,
    lsn: Lsn,
}

impl Segments {
    pub(crate) fn new(identity: Identity) -> Self {
        Self { identity, by_number: BTreeMap::new(), open: Mutex::new(OpenFiles::default()) }
    }

    pub(crate) fn insert(&mut self, segment: Segment) {
        self.by_number.insert(segment.number, segment);
    }

    /// Removes a segment; whether somebody still holds its file. From here on nobody gets it.
    pub(crate) fn remove(&mut self, number: u64) -> Option<(Segment, bool)> {
        let held = self.open.lock().forget(number);
        self.by_number.remove(&number).map(|segment| (segment, held))
    }

    /// The file in which a segment is written: it is read through the same handle.
    pub(crate) fn written_in(&self, number: u64, file: &Arc<dyn File>) {
        self.open.lock().add(number, file);
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Segment> {
        self.by_number.get(&number)
    }

    /// Where the frames of a segment are read, if its file is open.
    pub(crate) fn source(&self, number: u64) -> Option<Source> {
        let segment = self.get(number)?;
        self.open.lock().get(number).map(|file| segment.source(file))
    }

    /// As [`Segments::source`], with a file that was opened for it. `None`: the segment was removed meanwhile.
    pub(crate) fn source_in(&self, number: u64, file: Arc<dyn File>) -> Option<Source> {
        let segment = self.get(number)?;
        Some(segment.source(self.open.lock().share(number, file)))
    }

    /// As [`Segments::source`], with the file opened where it is not. `None`: there is no such segment.
    pub(crate) fn source_on(&self, vfs: &dyn Vfs, number: u64) -> Result<Option<Source>, Error> {
        let open = self.source(number);
        if open.is_some() || self.get(number).is_none() {
            return Ok(open);
        }
        let path = name::segment(&self.identity.store, number);
        match open_file(vfs, &self.identity, number) {
            Ok(file) => Ok(self.source_in(number, file)),
            // Nobody else takes a file away that was there.
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
                Err(Error::new(ErrorKind::Trimmed, "the segment was trimmed").at(&path, 0))
            }
            Err(source) => Err(Error::io(source, "open", &path)),
        }
    }

    /// The first segment behind number `done` that has a frame of `lsn` or behind it.
    pub(crate) fn holding(&self, lsn: u64, done: u64) -> Option<&Segment> {
        let mut behind = self.by_number.range(done.saturating_add(1)..).map(|(_, segment)| segment);
        behind.find(|segment| segment.last_lsn >= lsn && segment.used_bytes > 0)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Segment> {
        self.by_number.get_mut(&number)
    }

    /// Whether a segment after `number` holds synced frames: then `number` is finished.
    pub(crate) fn goes_on_after(&self, number: u64) -> bool {
        // A header alone is none: the first commit behind it may have been torn.
        let frames_from = u64::try_from(HEADER_BLOCK_BYTES).unwrap_or(u64::MAX);
        let mut later = self.by_number.range(number.saturating_add(1)..);
        later.any(|(_, later)| later.used_bytes > frames_from)
    }

    /// The envelopes of the segments' keys.
    pub(crate) fn envelopes(&self) -> impl Iterator<Item = KeyEnvelope> + '_ {
        self.by_number.values().filter_map(|segment| segment.envelope).filter(KeyEnvelope::is_known)
    }

    /// The segments, in the order of their numbers.
    pub fn infos(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        self.by_number.values().map(|segment| SegmentInfo {
            number: segment.number,
            first_lsn: segment.first_lsn,
            last_lsn: segment.last_lsn,
            used_bytes: segment.used_bytes,
            file_bytes: segment.file_bytes,
            damaged: segment.damaged,
            unread: segment.unread,
            unchecked: segment.unchecked.is_some(),
        })
    }

    /// Reads the frame `lsn` of `bytes` bytes at `place`. `vfs`: where the log was examined.
    ///
    /// A few files stay open from one read to the next.
    ///
    /// # Errors
    ///
    /// `Corrupt`: the bytes there are not that frame. `Trimmed`: a writer removed the file or uses it again.
    /// `Io`: they cannot be read.
    pub fn read(
        &self,
        vfs: &dyn Vfs,
        place: Place,
        bytes: u32,
        lsn: Lsn,
    ) -> Result<FrameBuf, Error> {
        let source = self.source_on(vfs, place.segment)?;
        read_frame(&self.identity, source, place, bytes, lsn)
    }

    /// Shows every frame of a finished segment to `visit`, in order, and skips what is damaged. `vfs`: where
    /// the log was examined.
    ///
    /// # Errors
    ///
    /// `Corrupt`: no such segment. `Trimmed`: a writer removed the file, or uses it again. `Io`: it cannot
    /// be read.
    pub fn read_segment(
        &self,
        vfs: &dyn Vfs,
        number: u64,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<(), Error> {
        let path = name::segment(&self.identity.store, number);
        let none = || Error::corrupt("no such segment").at(&path, 0);
        let used_bytes = self.get(number).ok_or_else(none)?.used_bytes;
        let source = self.source_on(vfs, number)?.ok_or_else(none)?;
        read_whole(&self.identity, &source, used_bytes, visit)
    }
}

impl Segment {
    /// Where its frames are read, in this file.
    fn source(&self, file: Arc<dyn File>) -> Source {
        let Self { number, salt, first_lsn, .. } = *self;
        Source { number, file, salt, first_lsn, bodies: self.bodies.clone() }
    }
}

/// Opens the file of a segment to be read.
pub(crate) fn open_file(
    vfs: &dyn Vfs,
    identity: &Identity,
    number: u64,
) -> io::Result<Arc<dyn File>> {
    vfs.open(&name::segment(&identity.store, number), Mode::Read)
}

/// Shows every frame of a finished segment to `visit`.
pub(crate) fn read_whole(
    identity: &Identity,
    source: &Source,
    used_bytes: u64,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> Result<(), Error> {
    let path = name::segment(&identity.store, source.number);
    let bytes = used_bytes.min(SEGMENT_BYTES_MAX);
    let mut image = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let count =
        source.file.read_at(0, &mut image).map_err(|source| Error::io(source, "read", &path))?;
    image.truncate(count);
    if source.is_used_again() {
        return Err(Error::new(ErrorKind::Trimmed, "the segment was trimmed").at(&path, 0));
    }
    let context = standalone(&identity.store, source.number, source.salt, source.first_lsn);
    let mut opener = BodyOpener::new(&source.bodies);
    walk::walk(&image, &context, &mut |frame| opener.show(frame, visit));
    Ok(())
}

/// The context of a finished segment, without the segments around it.
pub(crate) fn standalone(store: &[u8; 16], number: u64, salt: u32, first_lsn: u64) -> Context {
    Context {
        number,
        store: *store,
        salt,
        first_lsn,
        run: 0,
        last_lsn: first_lsn.saturating_sub(1),
        digest: None,
        synced: u64::MAX,
        later_in_use: true,
        recycled: false,
    }
}

/// Reads one frame.
pub(crate) fn read_frame(
    identity: &Identity,
    source: Option<Source>,
    place: Place,
    bytes: u32,
    lsn: Lsn,
) -> Result<FrameBuf, Error> {
    let offsets = place.offset..place.offset.saturating_add(bytes);
    let span = span::read(identity, source, (place.segment, offsets), None)?;
    span.frame(place, bytes, lsn)?;
    Ok(FrameBuf { span, place, bytes, lsn })
}

impl FrameBuf {
    /// The frame.
    ///
    /// # Errors
    ///
    /// Never in practice: the bytes were checked when they were read.
    pub fn frame(&self) -> Result<Frame<'_>, Error> {
        self.span.frame(self.place, self.bytes, self.lsn)
    }
}
