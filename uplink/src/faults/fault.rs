//! The faults, and what each can be told. No I/O here.

use std::fmt;
use std::str::FromStr;

use super::ParseError;
use super::parse_error::UNKNOWN_NAME;
use super::table::{Row, TABLE, row_of};

/// What a fault can be told. Written `name=value` behind the name of the fault.
///
/// ```
/// use onceward_uplink::faults::Argument;
///
/// assert_eq!(Argument::RetryAfter.name(), "retry_after");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Argument {
    /// `applied`: `yes` if the upstream gets the request before the fault happens, else `no`.
    Applied,
    /// `bytes`: a count of bytes; where a message is cut also `half`, which is in the middle of its body.
    Bytes,
    /// `bytes_per_s`: bytes per second, at least 1.
    BytesPerS,
    /// `code`: the name of the problem in the body, for programs.
    Code,
    /// `depth`: how deep arrays are nested.
    Depth,
    /// `ms`: milliseconds.
    Ms,
    /// `reply`: `1` or `2`, whichever of two replies is delivered.
    Reply,
    /// `requests`: how many newer requests go first.
    Requests,
    /// `retry_after`: seconds, or one of `date`, `negative`, `huge`, `garbage` and `absent`.
    RetryAfter,
    /// `to`: where a redirect leads.
    To,
}

impl Argument {
    /// How it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Bytes => "bytes",
            Self::BytesPerS => "bytes_per_s",
            Self::Code => "code",
            Self::Depth => "depth",
            Self::Ms => "ms",
            Self::Reply => "reply",
            Self::Requests => "requests",
            Self::RetryAfter => "retry_after",
            Self::To => "to",
        }
    }

    /// What is wrong with `value` as the value of this argument; `None` if nothing is.
    pub(super) fn objection(self, value: &str) -> Option<&'static str> {
        let number = value.parse::<u64>();
        let (is_fine, wanted) = match self {
            Self::Applied => (["yes", "no"].contains(&value), "needs yes or no"),
            Self::Bytes => (number.is_ok() || value == "half", "needs a number of bytes, or half"),
            Self::BytesPerS => (number.is_ok_and(|rate| rate > 0), "needs a number from 1"),
            Self::Code => (is_code(value), "needs letters, digits and _"),
            Self::Depth => (number.is_ok_and(|depth| depth <= DEPTH_MAX), "needs a number"),
            Self::Ms | Self::Requests => (number.is_ok(), "needs a number"),
            Self::Reply => (["1", "2"].contains(&value), "needs 1 or 2"),
            Self::RetryAfter => (
                number.is_ok() || RETRY_AFTER_WORDS.contains(&value),
                "needs seconds, or date, negative, huge, garbage or absent",
            ),
            Self::To => (
                value.starts_with('/') || value.starts_with("http"),
                "needs a path or an http address",
            ),
        };
        (!is_fine).then_some(wanted)
    }
}

/// Whether this can be the name of a problem.
fn is_code(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The shapes of `Retry-After` that have a word.
pub(super) const RETRY_AFTER_WORDS: [&str; 5] = ["date", "negative", "huge", "garbage", "absent"];

/// The deepest JSON that is made: 16 MB of brackets.
const DEPTH_MAX: u64 = 8_000_000;

/// A fault of the line, or of whoever answers on it. [`TABLE`](super::TABLE) has them with their arguments.
///
/// ```
/// use onceward_uplink::faults::Fault;
///
/// assert_eq!("lost_reply".parse(), Ok(Fault::LostReply));
/// assert_eq!(Fault::Status503.to_string(), "status_503");
/// assert!("lost_socks".parse::<Fault>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Fault {
    /// `pass`: no fault: the request and its reply are carried as they are.
    Pass,
    /// `delay`: both ways take this long; goes together with any other fault.
    Delay,
    /// `rate`: each way carries so many bytes a second; goes together with any other fault.
    Rate,
    /// `cut_request`: the connection breaks after so many bytes of the request.
    CutRequest,
    /// `cut_reply`: the upstream applies the request, and the connection breaks after so many bytes of the reply.
    CutReply,
    /// `lost_reply`: the upstream applies the request, and the connection is closed without a reply.
    LostReply,
    /// `hung_up`: the upstream gets the request, and the connection is closed before it answers.
    HungUp,
    /// `twice`: the upstream gets the request twice at once, and either reply is delivered.
    Twice,
    /// `late`: the connection is closed, and the request reaches the upstream after newer ones.
    Late,
    /// `late_copy`: the request is carried, and reaches the upstream once more after newer ones.
    LateCopy,
    /// `old_reply`: the upstream applies the request, and its reply to an older one is delivered.
    OldReply,
    /// `items_shuffled`: the items of the JSON reply come in another order.
    ItemsShuffled,
    /// `item_dropped`: one item of the JSON reply is missing.
    ItemDropped,
    /// `stranger_added`: the JSON reply has one more item, with a key that nobody sent.
    StrangerAdded,
    /// `item_doubled`: one item of the JSON reply is there twice, with another answer the second time.
    ItemDoubled,
    /// `malformed_json`: 200 with JSON that breaks off.
    MalformedJson,
    /// `empty_body`: 200 with an empty body.
    EmptyBody,
    /// `null_body`: 200 with the body null.
    NullBody,
    /// `html_200`: 200 with the page of a captive portal.
    Html200,
    /// `login_redirect`: 302 to the login page of a captive portal.
    LoginRedirect,
    /// `status_202`: 202 with JSON that has no items.
    Status202,
    /// `status_204`: 204, which has no body.
    Status204,
    /// `redirect_same_host`: 307 to another path of the same host.
    RedirectSameHost,
    /// `redirect_other_host`: 307 to another host.
    RedirectOtherHost,
    /// `redirect_loop`: 307 to the very address that was asked.
    RedirectLoop,
    /// `status_400`: 400 for the whole request, with a problem document.
    Status400,
    /// `status_401`: 401 with a problem document, as for an expired credential.
    Status401,
    /// `status_403`: 403 with the HTML page of a middlebox.
    Status403,
    /// `status_409`: 409 for the whole request, with a problem document.
    Status409,
    /// `status_413`: 413 for the whole request, with a problem document.
    Status413,
    /// `status_421`: 421 with a problem document: the request went to the wrong host.
    Status421,
    /// `status_429`: 429 with a problem document and Retry-After.
    Status429,
    /// `status_500`: 500 with a problem document.
    Status500,
    /// `status_502`: 502 with the HTML page of a gateway.
    Status502,
    /// `status_503`: 503 with a problem document and Retry-After.
    Status503,
    /// `status_511`: 511: the network wants a login.
    Status511,
    /// `drip_head`: the head of the reply comes byte by byte, with this long between two.
    DripHead,
    /// `drip_body`: the body of the reply comes byte by byte, with this long between two.
    DripBody,
    /// `reset`: the connection is reset instead of a reply.
    Reset,
    /// `short_length`: the reply says that it is half as long as it is.
    ShortLength,
    /// `long_length`: the reply says that it is longer than it is, and ends early.
    LongLength,
    /// `two_lengths`: the reply has two lengths that differ.
    TwoLengths,
    /// `bad_chunk`: the reply comes in chunks, and the size of the second one is no number.
    BadChunk,
    /// `bad_header`: the head of the reply has a line that is no header.
    BadHeader,
    /// `endless_body`: 200 with a body that never ends.
    EndlessBody,
    /// `gzip_bomb`: 200 with a small gzip body that becomes so many bytes.
    GzipBomb,
    /// `deep_json`: 200 with JSON arrays nested so deep.
    DeepJson,
    /// `close_after`: the reply is delivered, and the connection closed although it was to be kept.
    CloseAfter,
    /// `refuse`: the request is dropped, and new connections are refused for so long.
    Refuse,
    /// `hang`: the request is taken and nothing is ever said.
    Hang,
}

impl Fault {
    /// Its line of the table.
    ///
    /// ```
    /// use onceward_uplink::faults::Fault;
    ///
    /// assert_eq!(Fault::Hang.row().name, "hang");
    /// ```
    #[must_use]
    pub const fn row(self) -> &'static Row {
        row_of(self)
    }

    /// How it is written; never changed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let row = TABLE.iter().find(|row| row.name == text);
        row.map(|row| row.fault).ok_or_else(|| ParseError::new(text, UNKNOWN_NAME))
    }
}
