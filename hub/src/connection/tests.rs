use std::{collections::HashMap, net::IpAddr, sync::Arc};

use tokio::sync::Semaphore;

use super::{CONNECTIONS_PER_SOURCE_MAX, Phase, Seat, Sources};

fn read(bytes: &[u8]) -> Phase {
    Phase::Idle.after_reading(bytes)
}

#[test]
fn a_head_ends_at_its_blank_line_however_it_is_cut() {
    let head = b"\r\nPOST / HTTP/1.1\r\nhost: a\r\n\r\n";
    for cut in 0..=head.len() {
        let (first, second) = head.split_at(cut);
        let phase = read(first);
        assert_eq!(phase == Phase::Busy, cut == head.len(), "after {cut} bytes: {phase:?}");
        assert_eq!(phase.after_reading(second), Phase::Busy, "cut at {cut}");
    }
    assert_eq!(read(b"GET / HTTP/1.1\n\n"), Phase::Busy, "bare line ends");
}

#[test]
fn line_ends_alone_begin_no_request() {
    assert_eq!(read(b"\r\n\r\n\r\n"), Phase::Idle);
}

#[test]
fn an_answer_ends_the_request_and_a_go_on_does_not() {
    assert_eq!(Phase::Busy.after_writing(b"HTTP/1.1 200 OK\r\n"), Phase::Idle);
    assert_eq!(Phase::Busy.after_writing(b"HTTP/1.1 100 Continue\r\n\r\n"), Phase::Busy);
}

#[test]
fn an_address_gets_its_share_of_connections_and_leaves_the_rest_to_others() {
    let sources = Sources::new(HashMap::new().into());
    let places = Arc::new(Semaphore::new(CONNECTIONS_PER_SOURCE_MAX + 2));
    let take = |source: &str| {
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        Seat::take(&sources, source.parse::<IpAddr>().unwrap(), place)
    };
    let mut seats: Vec<_> =
        (0..CONNECTIONS_PER_SOURCE_MAX).map(|_| take("10.0.0.1").unwrap()).collect();
    assert!(take("10.0.0.1").is_none(), "its share is used up");
    assert!(take("10.0.0.2").is_some(), "another address");
    seats.pop();
    assert!(take("10.0.0.1").is_some(), "one was given back");
    drop(seats);
    assert!(sources.lock().unwrap().is_empty(), "nothing is left of addresses that went");
    assert_eq!(places.available_permits(), CONNECTIONS_PER_SOURCE_MAX + 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dawdles_is_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (mut peer, stream) = tokio::io::duplex(64);
    let mut bounded = super::Bounded::with_seat(stream, None);
    peer.write_all(b"POST /").await.unwrap();
    let mut buffer = [0; 64];
    assert_eq!(bounded.read(&mut buffer).await.unwrap(), 6, "control: bytes pass");
    let error = bounded.read(&mut buffer).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
