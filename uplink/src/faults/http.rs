//! Just enough HTTP/1.1 to know where a message ends, and to take one apart.

use std::io::{self, BufRead, Read as _};

/// The first lines of a message, up to and including the empty one.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// All of it, as it came.
    bytes: Vec<u8>,
}

impl Head {
    /// Reads one; `None` if the other side closed before its first byte.
    ///
    /// # Errors
    ///
    /// The connection broke within it, or it is too long.
    pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let line_start = bytes.len();
            read_line(input, &mut bytes, HEAD_BYTES_MAX)?;
            let line = bytes.get(line_start..).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(None);
            }
            if !line.ends_with(b"\n") {
                return Err(broken("the head ends too early or is too long"));
            }
            if line.trim_ascii().is_empty() {
                return Ok(Some(Self { bytes }));
            }
        }
    }

    /// Reads the head of the reply itself, after those that only say that it is on its way.
    pub(super) fn read_reply(input: &mut impl BufRead) -> io::Result<Self> {
        loop {
            let head = Self::read(input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if !matches!(head.status(), Some(100..=199)) {
                return Ok(head);
            }
        }
    }

    /// All of it.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The words of the first line.
    fn words(&self) -> impl Iterator<Item = &str> {
        let line = self.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        str::from_utf8(line).unwrap_or_default().split_ascii_whitespace()
    }

    /// The method of a request.
    pub(super) fn method(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// The target of a request: mostly a path.
    pub(super) fn target(&self) -> &str {
        self.words().nth(1).unwrap_or_default()
    }

    /// The status of a reply.
    pub(super) fn status(&self) -> Option<u16> {
        self.words().nth(1)?.parse().ok()
    }

    /// The values of a header.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.bytes.split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(move |line| {
            let (found, value) = str::from_utf8(line).ok()?.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether a header lists this word.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    /// The first line and all headers but those that say how long the body is, without the empty line.
    pub(super) fn without_length(&self) -> Vec<u8> {
        let says_length = |line: &&[u8]| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            LENGTH_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header))
        };
        let lines = self.bytes.split_inclusive(|byte| *byte == b'\n');
        let kept = lines.filter(|line| !says_length(line) && !line.trim_ascii().is_empty());
        kept.flatten().copied().collect()
    }

    /// How the body of this request ends.
    pub(super) fn framing_of_request(&self) -> io::Result<Framing> {
        Ok(self.framing()?.unwrap_or(Framing::Length(0)))
    }

    /// How the body of this reply to `method` ends.
    pub(super) fn framing_of_reply(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || matches!(self.status(), Some(100..=199 | 204 | 304)) {
            return Ok(Framing::Length(0));
        }
        Ok(self.framing()?.unwrap_or(Framing::UntilClose))
    }

    /// How the body ends, as the headers say.
    fn framing(&self) -> io::Result<Option<Framing>> {
        if self.lists("transfer-encoding", "chunked") {
            return Ok(Some(Framing::Chunked));
        }
        let Some(length) = self.values("content-length").next() else { return Ok(None) };
        let length = length.parse().map_err(|_no| broken("the length is not a number"))?;
        Ok(Some(Framing::Length(length)))
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With an empty chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// A piece of a body as it comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// What is in the body.
    Content(&'a [u8]),
    /// What is around it: sizes of chunks and trailers.
    Around(&'a [u8]),
}

impl<'a> Part<'a> {
    /// The bytes, whatever they are.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Part::Content(bytes) | Part::Around(bytes) => bytes,
        }
    }
}

impl Framing {
    /// Reads a body to its end and hands on each piece as it comes.
    ///
    /// # Errors
    ///
    /// The connection broke within the body, a chunk is wrong, or `sink` refused.
    pub(super) fn read(
        self,
        input: &mut impl BufRead,
        sink: &mut impl FnMut(Part<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Length(length) => read_exactly(input, length, sink),
            Self::UntilClose => loop {
                let count = read_some(input, u64::MAX, sink)?;
                if count == 0 {
                    return Ok(());
                }
            },
            Self::Chunked => read_chunks(input, sink),
        }
    }
}

/// Reads what is there, at most `most`, and returns how much that was.
fn read_some(
    input: &mut impl BufRead,
    most: u64,
    sink: &mut impl FnMut(Part<'_>) -> io::Result<()>,
) -> io::Result<u64> {
    let there = input.fill_buf()?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let taken = there.get(..most).unwrap_or(there);
    let count = taken.len();
    sink(Part::Content(taken))?;
    input.consume(count);
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Reads so many bytes.
fn read_exactly(
    input: &mut impl BufRead,
    mut length: u64,
    sink: &mut impl FnMut(Part<'_>) -> io::Result<()>,
) -> io::Result<()> {
    while length > 0 {
        let count = read_some(input, length, sink)?;
        if count == 0 {
            return Err(broken("the body ends too early"));
        }
        length = length.saturating_sub(count);
    }
    Ok(())
}

/// Reads chunks up to the empty one, and what follows it.
fn read_chunks(
    input: &mut impl BufRead,
    sink: &mut impl FnMut(Part<'_>) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let line = whole_line(input)?;
        sink(Part::Around(&line))?;
        let size = str::from_utf8(&line).unwrap_or_default().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size.trim(), 16)
            .map_err(|_no| broken("the size of a chunk is not a number"))?;
        if size == 0 {
            break;
        }
        read_exactly(input, size, sink)?;
        sink(Part::Around(&whole_line(input)?))?;
    }
    loop {
        let line = whole_line(input)?;
        sink(Part::Around(&line))?;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
    }
}

/// Reads a line with its end.
fn whole_line(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    read_line(input, &mut line, LINE_BYTES_MAX)?;
    if line.ends_with(b"\n") { Ok(line) } else { Err(broken("a chunk ends too early")) }
}

/// Appends a line to `bytes`, which get no longer than `most`.
fn read_line(input: &mut impl BufRead, bytes: &mut Vec<u8>, most: u64) -> io::Result<usize> {
    let room = most.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    input.by_ref().take(room).read_until(b'\n', bytes)
}

/// A message in memory.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Its head.
    pub(super) head: Head,
    /// Its body as it came.
    body: Vec<u8>,
    /// What is in the body.
    content: Vec<u8>,
    /// How the body ended.
    pub(super) framing: Framing,
}

impl Message {
    /// Reads the body that follows `head`.
    ///
    /// # Errors
    ///
    /// The connection broke, or the body is too long to keep.
    pub(super) fn read(head: Head, framing: Framing, input: &mut impl BufRead) -> io::Result<Self> {
        let (mut body, mut content) = (Vec::new(), Vec::new());
        framing.read(input, &mut |part| {
            body.extend_from_slice(part.bytes());
            if let Part::Content(bytes) = part {
                content.extend_from_slice(bytes);
            }
            if body.len() > BODY_BYTES_MAX { Err(broken("the body is too long")) } else { Ok(()) }
        })?;
        Ok(Self { head, body, content, framing })
    }

    /// All of it, as it came.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }

    /// What is in the body.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The body as it came.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The same head with other headers about the body, and another body.
    pub(super) fn rebuilt(&self, headers: &str, body: &[u8]) -> Vec<u8> {
        [&self.head.without_length(), headers.as_bytes(), b"\r\n", body].concat()
    }
}

/// A message that cannot be carried.
pub(super) fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The headers that say where a body ends.
const LENGTH_HEADERS: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];

/// The longest head.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// The longest line between chunks.
const LINE_BYTES_MAX: u64 = 8 * 1024;

/// The longest body that is kept in memory, which is what every fault but the slow line needs.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
