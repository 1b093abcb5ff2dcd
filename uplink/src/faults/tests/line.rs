//! A request or a reply is cut, lost, repeated, held or refused as its fault says, and the upstream hears what it says.
//!
//! Method: ask through each fault, and compare what came back with what the upstream heard.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::super::ending::lock;
use super::super::{Fault, TABLE};
use super::{Upstream, ask, ask_on, read_to_end, reply_body, request, until};

/// What a client sees of a fault.
#[derive(Debug, Eq, PartialEq)]
enum Seen {
    /// A reply with this status.
    Reply(u16),
    /// The connection is closed before a byte came.
    Nothing,
    /// The connection is reset.
    Reset,
    /// It goes on and on, or stays silent.
    NoEnd,
}

/// What a client is to see of each fault. Without a rest, so that no fault is left out.
fn expected(fault: Fault) -> Seen {
    use Fault::*;
    match fault {
        Pass | Delay | Rate | CutReply | Twice | LateCopy | OldReply | CloseAfter => {
            Seen::Reply(200)
        }
        ItemsShuffled | ItemDropped | StrangerAdded | ItemDoubled => Seen::Reply(200),
        MalformedJson | EmptyBody | NullBody | Html200 | DripHead | DripBody => Seen::Reply(200),
        ShortLength | LongLength | TwoLengths | BadChunk | BadHeader => Seen::Reply(200),
        GzipBomb | DeepJson => Seen::Reply(200),
        Status202 => Seen::Reply(202),
        Status204 => Seen::Reply(204),
        LoginRedirect => Seen::Reply(302),
        RedirectSameHost | RedirectOtherHost | RedirectLoop => Seen::Reply(307),
        Status400 => Seen::Reply(400),
        Status401 => Seen::Reply(401),
        Status403 => Seen::Reply(403),
        Status409 => Seen::Reply(409),
        Status413 => Seen::Reply(413),
        Status421 => Seen::Reply(421),
        Status429 => Seen::Reply(429),
        Status500 => Seen::Reply(500),
        Status502 => Seen::Reply(502),
        Status503 => Seen::Reply(503),
        Status511 => Seen::Reply(511),
        CutRequest | LostReply | HungUp | Late | Refuse => Seen::Nothing,
        Reset => Seen::Reset,
        EndlessBody | Hang => Seen::NoEnd,
    }
}

#[test]
fn each_fault_shows_the_client_what_it_says_and_is_counted_and_in_the_log() {
    let upstream = Upstream::start();
    for row in TABLE.iter().filter(|row| expected(row.fault) != Seen::NoEnd) {
        let faster = if row.arguments.iter().any(|(argument, _)| argument.name() == "ms") {
            "ms=1"
        } else {
            ""
        };
        let proxy = upstream.behind(&format!("* {} {faster}", row.name));
        let came = ask(&proxy, "x");
        let seen = match (came.is_reset, came.bytes.is_empty()) {
            (true, _) => Seen::Reset,
            (false, true) => Seen::Nothing,
            (false, false) => Seen::Reply(came.status()),
        };
        assert_eq!(seen, expected(row.fault), "{}", row.name);

        // A slow line is no fault of its request.
        let met =
            if matches!(row.fault, Fault::Delay | Fault::Rate) { Fault::Pass } else { row.fault };
        let (counts, log) = (proxy.counts(), proxy.log());
        assert_eq!((counts.requests, counts.of(met)), (1, 1), "{}", row.name);
        assert_eq!(counts.bytes_down, came.bytes.len() as u64, "{}", row.name);
        assert_eq!((log.len(), log[0].number, log[0].injection.fault()), (1, 1, met));
        assert_eq!(log[0].request, "POST /sync");
        let status = if let Seen::Reply(status) = seen { Some(status) } else { None };
        assert_eq!(log[0].status, status, "{}", row.name);
    }
}

#[test]
fn a_request_is_cut_at_the_byte_and_the_upstream_sees_no_whole_one() {
    let upstream = Upstream::start();
    let sent = request("abcdefgh", "Connection: close\r\n");
    for (bytes, heard) in [("70", 70), ("half", sent.len() - 4), ("10", 0)] {
        let proxy = upstream.behind(&format!("* cut_request bytes={bytes}"));
        assert_eq!(ask(&proxy, "abcdefgh").text(), "");
        until(|| !lock(&upstream.heard).broken_off.is_empty());
        // A cut in the head leaves none.
        let expected = if heard > sent.len() - 8 { heard } else { 0 };
        assert_eq!(lock(&upstream.heard).broken_off.pop(), Some(expected), "{bytes}");
        assert_eq!(proxy.counts().bytes_up, bytes.parse().unwrap_or(sent.len() as u64 - 4));
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_reply_is_cut_at_the_byte_after_the_upstream_applied() {
    let upstream = Upstream::start();
    let whole = ask(&upstream.behind("* pass"), "x");
    for bytes in [0, 1, 20, whole.bytes.len() - 1] {
        let cut = ask(&upstream.behind(&format!("* cut_reply bytes={bytes}")), "x");
        assert_eq!(cut.bytes.len(), bytes);
        // The number in the body is another one.
        assert_eq!(cut.bytes[..bytes.min(50)], whole.bytes[..bytes.min(50)]);
    }
    let half = ask(&upstream.behind("* cut_reply"), "x");
    let (head, body) = half.parts();
    assert_eq!(body.len(), reply_body(6).len() / 2);
    assert!(head.contains(&format!("content-length: {}\r\n", reply_body(6).len())));
    assert_eq!(upstream.count(), 6);
}

#[test]
fn a_lost_reply_is_applied_and_the_next_request_is_carried() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("1 lost_reply");
    assert_eq!(ask(&proxy, "sale").text(), "");
    assert_eq!(lock(&upstream.heard).whole, ["sale"]);
    assert_eq!(ask(&proxy, "sale").parts().1, reply_body(2).as_bytes());
}

#[test]
fn whoever_hangs_up_is_gone_while_the_upstream_is_still_at_work() {
    let listener = super::TcpListener::bind(super::any_port()).unwrap();
    let plan = super::Plan::script("* hung_up").unwrap();
    let upstream = listener.local_addr().unwrap();
    let proxy = super::FaultProxy::start(super::any_port(), upstream, plan).unwrap();
    let client = TcpStream::connect(proxy.addr()).unwrap();
    (&client).write_all(request("sale", "").as_bytes()).unwrap();
    let (work, _) = listener.accept().unwrap();
    // Nobody has answered.
    assert!(read_to_end(&client).bytes.is_empty());
    assert_eq!(proxy.log()[0].to_string(), "1 POST /sync hung_up -> no reply");
    let mut heard = vec![0; request("sale", "").len()];
    (&work).read_exact(&mut heard).unwrap();
    assert!(heard.ends_with(b"sale"), "it has the whole request");
    (&work).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(!read_to_end(&work).is_reset, "it was listened to");
}

#[test]
fn a_request_sent_twice_is_heard_twice_and_either_reply_comes() {
    let upstream = Upstream::start();
    for reply in ["1", "2"] {
        lock(&upstream.heard).whole.clear();
        let came = ask(&upstream.behind(&format!("* twice reply={reply}")), "sale");
        assert_eq!(lock(&upstream.heard).whole, ["sale", "sale"]);
        let (_head, body) = came.parts();
        assert!(body == reply_body(1).as_bytes() || body == reply_body(2).as_bytes());
    }
}

#[test]
fn a_late_request_arrives_after_newer_ones() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("1 late requests=2");
    assert_eq!(ask(&proxy, "old").text(), "");
    assert_eq!(upstream.count(), 0);
    ask(&proxy, "new");
    ask(&proxy, "newer");
    until(|| upstream.count() == 3);
    assert_eq!(lock(&upstream.heard).whole, ["new", "newer", "old"]);
}

#[test]
fn a_late_copy_arrives_besides() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("1 late_copy requests=1");
    assert_eq!(ask(&proxy, "old").parts().1, reply_body(1).as_bytes());
    ask(&proxy, "new");
    until(|| upstream.count() == 3);
    assert_eq!(lock(&upstream.heard).whole, ["old", "new", "old"]);
    let counts = proxy.counts();
    assert_eq!((counts.requests, counts.of(Fault::LateCopy)), (2, 1), "the copy is no request");
}

#[test]
fn an_old_reply_is_that_to_an_older_request_to_the_same_path() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("1 old_reply\n3 old_reply");
    assert_eq!(ask(&proxy, "a").parts().1, reply_body(1).as_bytes(), "there is no older one");
    assert_eq!(ask(&proxy, "b").parts().1, reply_body(2).as_bytes());
    assert_eq!(ask(&proxy, "c").parts().1, reply_body(2).as_bytes(), "the one before");
    assert_eq!(lock(&upstream.heard).whole, ["a", "b", "c"]);
    let notes: Vec<_> = proxy.log().into_iter().map(|exchange| exchange.note).collect();
    assert_eq!(notes, [Some("there is no older reply".to_owned()), None, None]);
}

#[test]
fn a_kept_connection_is_closed_after_the_reply() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("2 close_after");
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    assert_eq!(ask_on(&stream, "a").content(), reply_body(1).as_bytes(), "control: kept");
    let reply = ask_on(&stream, "b");
    assert_eq!(reply.content(), reply_body(2).as_bytes());
    assert!(!reply.head.lists("connection", "close"), "nothing announces it");
    let after = read_to_end(&stream);
    assert!(after.bytes.is_empty() && !after.is_reset);
}

#[test]
fn a_reset_comes_before_or_after_the_upstream_applied() {
    let upstream = Upstream::start();
    assert!(ask(&upstream.behind("* reset"), "x").is_reset);
    assert_eq!(upstream.count(), 0);
    assert!(ask(&upstream.behind("* reset applied=yes"), "x").is_reset);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn connections_are_refused_for_a_while_and_then_taken_again() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("1 refuse ms=1000");
    assert_eq!(ask(&proxy, "x").text(), "");
    let refused = TcpStream::connect(proxy.addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    until(|| TcpStream::connect(proxy.addr()).is_ok());
    assert_eq!(ask(&proxy, "x").status(), 200);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn whoever_hangs_takes_the_request_and_says_nothing() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("* hang");
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    (&stream).write_all(request("x", "").as_bytes()).unwrap();
    until(|| proxy.log().len() == 1);
    stream.set_nonblocking(true).unwrap();
    let silent = (&stream).read(&mut [0; 1]).unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::WouldBlock);
    assert_eq!((proxy.counts().of(Fault::Hang), upstream.count()), (1, 0));
}

#[test]
fn an_upstream_that_is_not_there_is_in_the_log() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("");
    // A port that was free a moment ago.
    let nobody = super::TcpListener::bind(super::any_port()).unwrap().local_addr().unwrap();
    proxy.lead_to(nobody).unwrap();
    assert_eq!(ask(&proxy, "x").text(), "");
    let exchange = proxy.log().pop().unwrap();
    assert!(
        exchange.to_string().starts_with("1 POST /sync pass -> no reply (no way to"),
        "{exchange}"
    );
}
