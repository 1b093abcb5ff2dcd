//! The one table of the faults, by which scripts, the command line and people go. No I/O here.

use super::fault::{Argument, Fault};

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

/// Makes the table, and the way from a fault to its line, of one list; a fault that it lacks is an error.
macro_rules! table {
    ($($fault:ident $name:literal [$($argument:ident = $default:literal),*] $summary:literal)*) => {
        /// Every fault, in the order of the variants.
        ///
        /// ```
        /// use onceward_uplink::faults::TABLE;
        ///
        /// for row in TABLE {
        ///     println!("{:20} {}", row.name, row.summary);
        /// }
        /// ```
        pub const TABLE: &[Row] = &[$(*row_of(Fault::$fault)),*];

        /// The line of a fault.
        pub(super) const fn row_of(fault: Fault) -> &'static Row {
            match fault {
                $(Fault::$fault => &Row {
                    fault: Fault::$fault,
                    name: $name,
                    arguments: &[$((Argument::$argument, $default)),*],
                    summary: $summary,
                },)*
            }
        }
    };
}

table! {
    Pass "pass" []
        "no fault: the request and its reply are carried as they are"
    Delay "delay" [Ms = "50"]
        "both ways take this long; goes together with any other fault"
    Rate "rate" [BytesPerS = "12500"]
        "each way carries so many bytes a second; goes together with any other fault"
    CutRequest "cut_request" [Bytes = "half"]
        "the connection breaks after so many bytes of the request"
    CutReply "cut_reply" [Bytes = "half"]
        "the upstream applies the request, and the connection breaks after so many bytes of the reply"
    LostReply "lost_reply" []
        "the upstream applies the request, and the connection is closed without a reply"
    HungUp "hung_up" []
        "the upstream gets the request, and the connection is closed before it answers"
    Twice "twice" [Reply = "1"]
        "the upstream gets the request twice at once, and either reply is delivered"
    Late "late" [Requests = "2"]
        "the connection is closed, and the request reaches the upstream after newer ones"
    LateCopy "late_copy" [Requests = "2"]
        "the request is carried, and reaches the upstream once more after newer ones"
    OldReply "old_reply" []
        "the upstream applies the request, and its reply to an older one is delivered"
    ItemsShuffled "items_shuffled" []
        "the items of the JSON reply come in another order"
    ItemDropped "item_dropped" []
        "one item of the JSON reply is missing"
    StrangerAdded "stranger_added" []
        "the JSON reply has one more item, with a key that nobody sent"
    ItemDoubled "item_doubled" []
        "one item of the JSON reply is there twice, with another answer the second time"
    MalformedJson "malformed_json" [Applied = "no"]
        "200 with JSON that breaks off"
    EmptyBody "empty_body" [Applied = "no"]
        "200 with an empty body"
    NullBody "null_body" [Applied = "no"]
        "200 with the body null"
    Html200 "html_200" [Applied = "no"]
        "200 with the page of a captive portal"
    LoginRedirect "login_redirect" [Applied = "no", To = "http://login.invalid/portal"]
        "302 to the login page of a captive portal"
    Status202 "status_202" [Applied = "no"]
        "202 with JSON that has no items"
    Status204 "status_204" [Applied = "no"]
        "204, which has no body"
    RedirectSameHost "redirect_same_host" [Applied = "no", To = "/elsewhere"]
        "307 to another path of the same host"
    RedirectOtherHost "redirect_other_host" [Applied = "no", To = "http://other.invalid/"]
        "307 to another host"
    RedirectLoop "redirect_loop" [Applied = "no"]
        "307 to the very address that was asked"
    Status400 "status_400" [Applied = "no", Code = "NOT_JSON"]
        "400 for the whole request, with a problem document"
    Status401 "status_401" [Applied = "no", Code = "UNAUTHORIZED"]
        "401 with a problem document, as for an expired credential"
    Status403 "status_403" [Applied = "no"]
        "403 with the HTML page of a middlebox"
    Status409 "status_409" [Applied = "no", Code = "REQUEST_IN_PROGRESS"]
        "409 for the whole request, with a problem document"
    Status413 "status_413" [Applied = "no", Code = "TOO_LARGE"]
        "413 for the whole request, with a problem document"
    Status421 "status_421" [Applied = "no", Code = "MISDIRECTED"]
        "421 with a problem document: the request went to the wrong host"
    Status429 "status_429" [Applied = "no", Code = "TOO_MANY_REQUESTS", RetryAfter = "1"]
        "429 with a problem document and Retry-After"
    Status500 "status_500" [Applied = "no", Code = "INTERNAL"]
        "500 with a problem document"
    Status502 "status_502" [Applied = "no"]
        "502 with the HTML page of a gateway"
    Status503 "status_503" [Applied = "no", Code = "UNAVAILABLE", RetryAfter = "1"]
        "503 with a problem document and Retry-After"
    Status511 "status_511" [Applied = "no"]
        "511: the network wants a login"
    DripHead "drip_head" [Ms = "100"]
        "the head of the reply comes byte by byte, with this long between two"
    DripBody "drip_body" [Ms = "100"]
        "the body of the reply comes byte by byte, with this long between two"
    Reset "reset" [Applied = "no"]
        "the connection is reset instead of a reply"
    ShortLength "short_length" []
        "the reply says that it is half as long as it is"
    LongLength "long_length" []
        "the reply says that it is longer than it is, and ends early"
    TwoLengths "two_lengths" []
        "the reply has two lengths that differ"
    BadChunk "bad_chunk" []
        "the reply comes in chunks, and the size of the second one is no number"
    BadHeader "bad_header" []
        "the head of the reply has a line that is no header"
    EndlessBody "endless_body" [Applied = "no"]
        "200 with a body that never ends"
    GzipBomb "gzip_bomb" [Applied = "no", Bytes = "104857600"]
        "200 with a small gzip body that becomes so many bytes"
    DeepJson "deep_json" [Applied = "no", Depth = "200000"]
        "200 with JSON arrays nested so deep"
    CloseAfter "close_after" []
        "the reply is delivered, and the connection closed although it was to be kept"
    Refuse "refuse" [Ms = "1000"]
        "the request is dropped, and new connections are refused for so long"
    Hang "hang" [Applied = "no"]
        "the request is taken and nothing is ever said"
}
