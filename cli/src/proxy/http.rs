//! Where an HTTP/1.1 message ends. Nothing else of HTTP, and only what the two ends here use: `Content-Length`.

use std::io::{self, BufRead, Read};

/// A whole message as it was on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Message {
    /// Head and body.
    bytes: Vec<u8>,
    /// Size of the head, the blank line included.
    head_bytes: usize,
}

impl Message {
    /// Head and body.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body alone.
    pub(super) fn body(&self) -> &[u8] {
        self.bytes.get(self.head_bytes..).unwrap_or_default()
    }

    /// The first half of the body with everything before it: enough to look like a message, too little to be one.
    pub(super) fn first_half(&self) -> &[u8] {
        let end = self.head_bytes.saturating_add(self.body().len() / 2);
        self.bytes.get(..end).unwrap_or_default()
    }
}

/// Reads one message; `None` if the other side closed before its first byte.
///
/// # Errors
///
/// The connection broke within the message, or the message is not one that this module understands.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut bytes = Vec::new();
    let mut body_bytes: Option<u64> = None;
    loop {
        let line_start = bytes.len();
        let room = HEAD_BYTES_MAX.saturating_sub(u64::try_from(line_start).unwrap_or(u64::MAX));
        let count = input.by_ref().take(room).read_until(b'\n', &mut bytes)?;
        if count == 0 && line_start == 0 {
            return Ok(None);
        }
        let line = bytes.get(line_start..).unwrap_or_default();
        if !line.ends_with(b"\n") {
            return Err(broken("the head ends too early or is too long"));
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        if let Some(length) = content_length(line)? {
            body_bytes = Some(length);
        }
    }
    let head_bytes = bytes.len();
    let body_bytes = body_bytes.unwrap_or(0);
    if body_bytes > BODY_BYTES_MAX {
        return Err(broken("the body is too long"));
    }
    let read = input.by_ref().take(body_bytes).read_to_end(&mut bytes)?;
    if u64::try_from(read).ok() != Some(body_bytes) {
        return Err(broken("the body ends too early"));
    }
    Ok(Some(Message { bytes, head_bytes }))
}

/// The number of a `Content-Length` line; refuses a body that is sent in chunks.
fn content_length(line: &[u8]) -> io::Result<Option<u64>> {
    let Some((name, value)) = str::from_utf8(line).ok().and_then(|line| line.split_once(':'))
    else {
        return Ok(None);
    };
    if name.eq_ignore_ascii_case("transfer-encoding") {
        return Err(broken("a body in chunks is not understood"));
    }
    if !name.eq_ignore_ascii_case("content-length") {
        return Ok(None);
    }
    value.trim().parse().map(Some).map_err(|_not_a_number| broken("the length is not a number"))
}

/// A message that cannot be carried.
fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The longest head.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// The longest body: far over any batch.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"POST / HTTP/1.1\r\ncontent-LENGTH: 4\r\n\r\nabcdGET / HTTP/1.1\r\n\r\n";

    #[test]
    fn messages_that_follow_each_other_are_told_apart() {
        let mut input = TWO;
        let first = read(&mut input).unwrap().unwrap();
        assert_eq!(first.body(), b"abcd");
        assert!(first.first_half().ends_with(b"\r\n\r\nab"));
        let second = read(&mut input).unwrap().unwrap();
        assert_eq!(second.body(), b"");
        assert_eq!(read(&mut input).unwrap(), None);
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_no_message() {
        let first_bytes = TWO.len() - b"GET / HTTP/1.1\r\n\r\n".len();
        assert!(read(&mut &TWO[..first_bytes]).is_ok(), "control: whole");
        for cut in 1..first_bytes {
            assert!(read(&mut &TWO[..cut]).is_err(), "cut at {cut}");
        }
    }
}
