//! What reading a log found. Plain structs.

/// The outcome of an examination of a log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExaminationReport {
    /// The log had been closed in order.
    pub clean: bool,
    /// Frames that belong to the log.
    pub frames: u64,
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Bytes that the last append left torn.
    pub torn_bytes: u64,
    /// Offset of the first torn byte.
    pub torn_offset: u64,
    /// File with the torn bytes.
    pub torn_file: Option<String>,
    /// Whole frames among the torn bytes.
    pub in_doubt: usize,
    /// Segments that were not read because the host knew them, by number.
    pub unchecked: Vec<u64>,
    /// Bytes that cannot be used.
    pub damage: Vec<Damage>,
}

/// Bytes that came back different from what was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The segment in which they are; `None`: in `meta`.
    pub segment: Option<u64>,
    /// Name within the store's directory.
    pub file: String,
    /// Offset of the first of them.
    pub offset: u64,
    /// Count of them; 0 where something is missing.
    pub bytes: u64,
    /// The reason in words: what is wrong and what is lost.
    pub what: String,
    /// Numbers of the frames that are lost, as far as that can be known.
    pub lost: Option<LostLsns>,
}

/// Numbers that are lost. Some of them may never have been used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LostLsns {
    /// The first one.
    pub first: u64,
    /// The last one; `None`: nothing says how many followed.
    pub last: Option<u64>,
}
