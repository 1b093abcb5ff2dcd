//! The faults by name: the one table that the scripts, the command line and the documentation go by. No I/O here.

use std::fmt;
use std::str::FromStr;

use super::ParseError;

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

/// One line of the table of faults.
///
/// ```
/// use onceward_uplink::faults::{Fault, TABLE};
///
/// let row = TABLE.iter().find(|row| row.name == "lost_reply").unwrap();
/// assert_eq!(row.fault, Fault::LostReply);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The fault.
    pub fault: Fault,
    /// How it is written; never changed.
    pub name: &'static str,
    /// What it can be told, each with what holds otherwise.
    pub arguments: &'static [(Argument, &'static str)],
    /// What it does, in one line.
    pub summary: &'static str,
}

/// Makes the enum and the table of one list, so that neither can lack what the other has.
macro_rules! faults {
    ($($variant:ident $name:literal [$($argument:ident = $default:literal),*] $summary:literal)*) => {
        /// A fault of the line, or of whoever answers on it. [`TABLE`] has them with their arguments.
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
            $(#[doc = concat!("`", $name, "`: ", $summary, ".")] $variant,)*
        }

        /// Every fault, in the order of its variants.
        ///
        /// ```
        /// use onceward_uplink::faults::TABLE;
        ///
        /// for row in TABLE {
        ///     println!("{:20} {}", row.name, row.summary);
        /// }
        /// ```
        pub const TABLE: &[Row] = &[$(*Fault::$variant.row()),*];

        impl Fault {
            /// Its line of the table.
            #[must_use]
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$variant => &Row {
                        fault: Self::$variant,
                        name: $name,
                        arguments: &[$((Argument::$argument, $default)),*],
                        summary: $summary,
                    },)*
                }
            }
        }
    };
}

faults! {
    Pass "pass" [] "no fault: the request and its reply are carried as they are"
    Delay "delay" [Ms = "50"] "both ways take this long; goes together with any other fault"
    Rate "rate" [BytesPerS = "12500"] "each way carries so many bytes a second; goes together with any other fault"
    CutRequest "cut_request" [Bytes = "half"] "the connection breaks after so many bytes of the request"
    CutReply "cut_reply" [Bytes = "half"] "the upstream has applied the request, and the connection breaks after so many bytes of the reply"
    LostReply "lost_reply" [] "the upstream has applied the request, and the connection is closed without a byte of the reply"
    Twice "twice" [Reply = "1"] "the upstream gets the request twice at once, and either reply is delivered"
    Late "late" [Requests = "2"] "the connection is closed, and the request reaches the upstream after newer ones"
    LateCopy "late_copy" [Requests = "2"] "the request is carried, and reaches the upstream once more after newer ones"
    OldReply "old_reply" [] "the upstream applies the request, and the reply to an older one to the same path is delivered"
    ItemsShuffled "items_shuffled" [] "the items of the JSON reply come in another order"
    ItemDropped "item_dropped" [] "one item of the JSON reply is missing"
    StrangerAdded "stranger_added" [] "the JSON reply has one more item, with a key that nobody sent"
    ItemDoubled "item_doubled" [] "one item of the JSON reply is there twice, with another answer the second time"
    MalformedJson "malformed_json" [Applied = "no"] "200 with JSON that breaks off"
    EmptyBody "empty_body" [Applied = "no"] "200 with an empty body"
    NullBody "null_body" [Applied = "no"] "200 with the body null"
    Html200 "html_200" [Applied = "no"] "200 with the page of a captive portal"
    LoginRedirect "login_redirect" [Applied = "no", To = "http://login.invalid/portal"] "302 to the login page of a captive portal"
    Status202 "status_202" [Applied = "no"] "202 with JSON that has no items"
    Status204 "status_204" [Applied = "no"] "204, which has no body"
    RedirectSameHost "redirect_same_host" [Applied = "no", To = "/elsewhere"] "307 to another path of the same host"
    RedirectOtherHost "redirect_other_host" [Applied = "no", To = "http://other.invalid/"] "307 to another host"
    RedirectLoop "redirect_loop" [Applied = "no"] "307 to the very address that was asked"
    Status400 "status_400" [Applied = "no", Code = "NOT_JSON"] "400 for the whole request, with a problem document"
    Status401 "status_401" [Applied = "no", Code = "UNAUTHORIZED"] "401 with a problem document, as for an expired credential"
    Status403 "status_403" [Applied = "no"] "403 with the HTML page of a middlebox"
    Status409 "status_409" [Applied = "no", Code = "REQUEST_IN_PROGRESS"] "409 for the whole request, with a problem document"
    Status413 "status_413" [Applied = "no", Code = "TOO_LARGE"] "413 for the whole request, with a problem document"
    Status421 "status_421" [Applied = "no", Code = "MISDIRECTED"] "421 with a problem document: the request went to the wrong host"
    Status429 "status_429" [Applied = "no", Code = "TOO_MANY_REQUESTS", RetryAfter = "1"] "429 with a problem document and Retry-After"
    Status500 "status_500" [Applied = "no", Code = "INTERNAL"] "500 with a problem document"
    Status502 "status_502" [Applied = "no"] "502 with the HTML page of a gateway"
    Status503 "status_503" [Applied = "no", Code = "UNAVAILABLE", RetryAfter = "1"] "503 with a problem document and Retry-After"
    Status511 "status_511" [Applied = "no"] "511: the network wants a login"
    DripHead "drip_head" [Ms = "100"] "the head of the reply comes byte by byte, with this long between two"
    DripBody "drip_body" [Ms = "100"] "the body of the reply comes byte by byte, with this long between two"
    Reset "reset" [Applied = "no"] "the connection is reset instead of a reply"
    ShortLength "short_length" [] "the reply says that it is half as long as it is"
    LongLength "long_length" [] "the reply says that it is longer than it is, and ends early"
    TwoLengths "two_lengths" [] "the reply has two lengths that differ"
    BadChunk "bad_chunk" [] "the reply comes in chunks, and the size of the second one is no number"
    BadHeader "bad_header" [] "the head of the reply has a line that is no header"
    EndlessBody "endless_body" [Applied = "no"] "200 with a body that never ends"
    GzipBomb "gzip_bomb" [Applied = "no", Bytes = "104857600"] "200 with a small gzip body that becomes so many bytes"
    DeepJson "deep_json" [Applied = "no", Depth = "200000"] "200 with JSON arrays nested so deep"
    CloseAfter "close_after" [] "the reply is delivered, and the connection closed although it was to be kept"
    Refuse "refuse" [Ms = "1000"] "the request is dropped, and new connections are refused for so long"
    Hang "hang" [Applied = "no"] "the request is taken and nothing is ever said"
}

impl Fault {
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
        row.map(|row| row.fault).ok_or_else(|| ParseError::new(text, "no fault has this name"))
    }
}
