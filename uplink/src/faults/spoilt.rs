//! The upstream's own reply, spoilt: its length is wrong, or its form. No I/O here.

use super::fault::Fault;
use super::http::Message;

/// The bytes of a reply with this fault; `None` if the fault spoils no reply.
pub(super) fn spoilt(fault: Fault, reply: &Message) -> Option<Vec<u8>> {
    let content = reply.content();
    let length = content.len();
    let says = |length: usize| format!("Content-Length: {length}\r\n");
    Some(match fault {
        Fault::ShortLength => reply.rebuilt(&says(length / 2), content),
        Fault::LongLength => reply.rebuilt(&says(length.saturating_add(100)), content),
        Fault::TwoLengths => {
            let two = format!("{}{}", says(length), says(length.saturating_add(7)));
            reply.rebuilt(&two, content)
        }
        Fault::BadChunk => {
            let first = if content.is_empty() { String::new() } else { format!("{length:x}\r\n") };
            let after = if content.is_empty() { "zz\r\n" } else { "\r\nzz\r\n" };
            let body = [first.as_bytes(), content, after.as_bytes()].concat();
            reply.rebuilt("Transfer-Encoding: chunked\r\n", &body)
        }
        Fault::BadHeader => {
            let headers = format!("this line is no header\r\n{}", says(length));
            reply.rebuilt(&headers, content)
        }
        _ => return None,
    })
}
