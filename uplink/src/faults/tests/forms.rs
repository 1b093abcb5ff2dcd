//! A spoilt reply is spoilt in the way that its fault names, and in no other.
//!
//! Method: compare it byte by byte with the reply that the upstream gave.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::super::Fault;
use super::{Upstream, ask, ask_on, items_of, read_to_end, reply_body, request};

/// The head and the body of the only reply, through one fault.
fn through(fault: &str) -> (String, Vec<u8>) {
    let upstream = Upstream::start();
    let parts = ask(&upstream.behind(&format!("* {fault}")), "x").parts();
    assert!(parts.0.contains("x-kept: yes"), "{fault}: the upstream's own reply: {}", parts.0);
    assert_eq!(upstream.count(), 1);
    parts
}

/// The keys of the only reply, through one fault.
fn keys(fault: &str) -> Vec<String> {
    let (head, body) = through(fault);
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{fault}: {head}");
    items_of(&body).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn lengths_chunks_and_headers_are_wrong_as_named_around_the_true_body() {
    let body = reply_body(1);
    let length = body.len();
    let says = |length: usize| format!("content-length: {length}\r\n");

    let (head, came) = through("short_length");
    assert!(head.contains(&says(length / 2)) && came == body.as_bytes(), "{head}");

    let (head, came) = through("long_length");
    assert!(head.contains(&says(length + 100)) && came == body.as_bytes(), "{head}");

    let (head, came) = through("two_lengths");
    assert!(head.contains(&says(length)) && head.contains(&says(length + 7)), "{head}");
    assert_eq!(came, body.as_bytes());

    let (head, came) = through("bad_chunk");
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("length"), "{head}");
    assert_eq!(String::from_utf8(came).unwrap(), format!("{length:x}\r\n{body}\r\nzz\r\n"));

    let (head, came) = through("bad_header");
    assert!(head.contains("\r\nthis line is no header\r\n"), "{head}");
    assert!(head.contains(&says(length)) && came == body.as_bytes(), "{head}");
}

#[test]
fn what_a_short_length_leaves_over_comes_before_the_next_reply() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("1 short_length");
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    let whole = reply_body(1);
    let (half, rest) = whole.as_bytes().split_at(whole.len() / 2);
    assert_eq!(ask_on(&stream, "x").content(), half);
    (&stream).write_all(request("y", "Connection: close\r\n").as_bytes()).unwrap();
    let next = read_to_end(&stream).bytes;
    assert!(next.starts_with(&[rest, b"HTTP/1.1 200 OK\r\n"].concat()));
}

#[test]
fn items_come_in_another_order_or_one_is_missing_or_a_stranger() {
    assert_eq!(keys("pass"), ["a", "b", "c"], "control");

    let mut shuffled = keys("items_shuffled");
    assert_ne!(shuffled, ["a", "b", "c"]);
    shuffled.sort();
    assert_eq!(shuffled, ["a", "b", "c"]);

    let dropped = keys("item_dropped");
    assert!(dropped.len() == 2 && dropped.is_sorted(), "{dropped:?}");

    let strange = keys("stranger_added");
    assert_eq!(&strange[..3], ["a", "b", "c"]);
    assert!(strange.len() == 4 && strange[3].ends_with("-stranger"), "{strange:?}");
}

#[test]
fn a_doubled_item_says_the_opposite_the_second_time() {
    let (_head, body) = through("item_doubled");
    let items = items_of(&body);
    assert_eq!(items.len(), 4);
    let at = items.iter().position(|(_, is_success)| !is_success).unwrap();
    assert_eq!(items[at - 1], (items[at].0.clone(), true));
    assert_eq!(items.iter().filter(|(_, is_success)| !is_success).count(), 1);
}

#[test]
fn items_of_any_json_are_found_and_what_has_none_comes_as_it_is() {
    use super::super::chance::Chance;
    use super::super::items::changed;
    let change = |fault, body: &str| {
        let changed = changed(fault, body.as_bytes(), &mut Chance::of_request(1, 1))?;
        Some(serde_json::from_slice::<Value>(&changed).unwrap())
    };
    // The longest array of objects, not the longest array.
    let body = r#"{"n":[1,2,3],"few":[{"id":"x"}],"deep":{"many":[{"id":"p"},{"id":"q"}]}}"#;
    let dropped = change(Fault::ItemDropped, body).unwrap();
    assert_eq!(dropped["deep"]["many"].as_array().unwrap().len(), 1);
    assert_eq!(
        (dropped["n"].as_array().unwrap().len(), &dropped["few"][0]["id"]),
        (3, &"x".into())
    );

    let top = r#"[{"event_id":"e","status":"accepted","n":1}]"#;
    let doubled = change(Fault::ItemDoubled, top).unwrap();
    assert_eq!(
        (&doubled[0]["status"], &doubled[1]["status"]),
        (&"accepted".into(), &"rejected".into())
    );
    assert_eq!(doubled[1]["event_id"], "e");
    let nameless = change(Fault::StrangerAdded, r#"[{"sale":"7"}]"#).unwrap();
    assert_eq!(nameless[1]["sale"], "7-stranger");

    for none in ["", "null", "[]", "{}", "[1]", r#"{"a":[{},1]}"#, "<html>"] {
        assert_eq!(change(Fault::ItemDropped, none), None, "{none}");
    }
}

#[test]
fn a_bomb_is_a_small_gzip_file_of_json_that_becomes_as_large_as_asked() {
    let upstream = Upstream::start();
    let came = ask(&upstream.behind("* gzip_bomb"), "x");
    let (head, body) = came.parts();
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    assert!(body.len() < 1024 * 1024, "{} bytes", body.len());
    // The last four bytes are the length of what is in it.
    let length = u32::from_le_bytes(*body.last_chunk().unwrap());
    assert!((104_857_600..104_857_600 + 300).contains(&length), "{length}");

    let (_head, body) = ask(&upstream.behind("* gzip_bomb bytes=1000"), "x").parts();
    assert_eq!(body, EXPECTED_SMALL_BOMB);
}

#[test]
fn deep_json_is_as_deep_as_asked() {
    let upstream = Upstream::start();
    let (_head, body) = ask(&upstream.behind("* deep_json"), "x").parts();
    assert_eq!(body.len(), 400_000);
    assert!(body[..200_000].iter().all(|byte| *byte == b'['));
    assert!(body[200_000..].iter().all(|byte| *byte == b']'));
    let (_head, body) = ask(&upstream.behind("* deep_json depth=3"), "x").parts();
    assert_eq!(body, b"[[[]]]");
}

#[test]
fn an_endless_body_goes_on_until_the_client_leaves() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("* endless_body");
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    (&stream).write_all(request("x", "").as_bytes()).unwrap();
    let mut taken = (&stream).take(8 * 1024 * 1024);
    let copied = std::io::copy(&mut taken, &mut std::io::sink()).unwrap();
    assert_eq!(copied, 8 * 1024 * 1024, "far over any reply");
    assert_eq!(proxy.counts().of(Fault::EndlessBody), 1);
    assert_eq!(upstream.count(), 0);
}

/// The bomb of 1,000 bytes, four runs: `gzip -d` makes 1,035 bytes of it, a JSON text of `x`.
const EXPECTED_SMALL_BOMB: [u8; 29] = [
    31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 83, 170, 24, 5, 163, 96, 20, 140, 2, 37, 0, 5, 124, 34, 27,
    11, 4, 0, 0,
];
