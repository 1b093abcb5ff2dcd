//! Messages made by hand, and links of a network that is the test's own.

#![expect(clippy::print_stdout, reason = "why a test was left out is part of the result")]

use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::known::Known;
use super::message::{Fact, LinkAddress, facts, list_request, native, native_short};
use super::*;

const UP: u32 = 0x1 | 0x40 | 0x1_0000;
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = 16 + u32::try_from(body.len()).unwrap();
    let mut message = [&native(length)[..], &native_short(kind), &[0; 10], body].concat();
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

fn link(index: u32, flags: u32) -> Vec<u8> {
    // A family, a type and, behind the flags, the name of the link as an attribute that nobody reads.
    let name = [&native_short(9)[..], &native_short(3), b"eth0\0"].concat();
    let body = [&[0, 0, 1, 0][..], &native(index), &native(flags), &[0; 4], &name].concat();
    message(NEW_LINK, &body)
}

fn address(kind: u16, (flags, scope): (u8, u8), attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = [&[2, 24, flags, scope][..], &native(2)].concat();
    for (kind, value) in attributes {
        let length = u16::try_from(4 + value.len()).unwrap();
        body.extend([&native_short(length)[..], &native_short(*kind), value].concat());
        body.resize(body.len().next_multiple_of(4), 0);
    }
    message(kind, &body)
}

fn ours(last: u8) -> LinkAddress {
    LinkAddress { index: 2, bytes: vec![192, 0, 2, last] }
}

#[test]
fn every_message_of_a_datagram_is_read_and_foreign_kinds_and_the_loopback_are_passed_over() {
    let datagram = [
        link(2, UP),
        message(24, &[7; 21]),
        link(1, UP | 0x8),
        link(3, 0x1 | 0x40),
        address(NEW_ADDRESS, (0, 0), &[(1, &[9; 4]), (2, &[192, 0, 2, 7]), (3, b"eth0\0")]),
        address(21, (0, 0), &[(1, &[192, 0, 2, 8])]),
        message(17, &[&[0; 4][..], &native(3), &[0; 8]].concat()),
        message(3, &[0; 4]),
    ];
    let expected = [
        Fact::Link { index: 2, is_up: true },
        Fact::Link { index: 3, is_up: false },
        Fact::Address(ours(7)),
        Fact::AddressGone(ours(8)),
        Fact::LinkGone { index: 3 },
        Fact::ListEnd,
    ];
    assert_eq!(facts(&datagram.concat()), expected);
}

#[test]
fn an_address_that_reaches_nobody_else_or_may_not_be_used_yet_is_passed_over() {
    let value: (u16, &[u8]) = (1, &[192, 0, 2, 7]);
    let is_told = |of: (u8, u8), attributes: &[(u16, &[u8])]| {
        !facts(&address(NEW_ADDRESS, of, attributes)).is_empty()
    };
    assert!(is_told((0, 0), &[value]), "control");
    assert!(!is_told((0, 253), &[value]) && !is_told((0, 254), &[value]));
    assert!(!is_told((0x40, 0), &[value]));
    assert!(!is_told((0, 0), &[value, (8, &native(0x40))]));
    assert!(is_told((0x40, 0), &[value, (8, &native(0x80))]), "the longer flags count");
    assert!(!is_told((0, 0), &[]), "without an address");
}

#[test]
fn a_datagram_that_is_cut_anywhere_tells_what_came_whole() {
    let first = link(2, UP);
    let whole = [first.clone(), address(NEW_ADDRESS, (0, 0), &[(2, &[192, 0, 2, 7])])].concat();
    assert_eq!(facts(&whole).len(), 2, "control");
    for length in 0..whole.len() {
        let told = facts(&whole[..length]).len();
        // What a message is filled up with need not be there.
        assert_eq!(told, usize::from(length >= first.len() - 3), "{length}");
    }
    for length in [0, 1, 15, 17, u32::MAX] {
        let mut wrong = whole.clone();
        wrong[..4].copy_from_slice(&native(length));
        assert!(facts(&wrong).len() < 2, "{length}");
    }
    for byte in 0..whole.len() {
        let mut wrong = whole.clone();
        wrong[byte] ^= 0xff;
        assert!(facts(&wrong).len() <= 2);
    }
    assert_eq!(list_request(18).len(), 32);
}

#[test]
fn only_what_was_not_so_before_is_news() {
    let mut known = Known::default();
    let mut is_news = |fact: Fact| known.apply(fact);
    let link = |is_up| Fact::Link { index: 2, is_up };
    assert!(!is_news(link(false)) && is_news(link(true)) && !is_news(link(true)));
    assert!(!is_news(link(false)) && is_news(link(true)));
    assert!(is_news(Fact::Address(ours(7))) && !is_news(Fact::Address(ours(7))));
    assert!(is_news(Fact::Address(ours(8))));
    assert!(!is_news(Fact::AddressGone(ours(7))) && is_news(Fact::Address(ours(7))));
    assert!(!is_news(Fact::LinkGone { index: 2 }));
    assert!(is_news(link(true)) && is_news(Fact::Address(ours(8))));
    known.forget_addresses();
    assert!(known.apply(Fact::Address(ours(8))));
}

/// A watch and what it calls, or why there is none.
fn watched() -> Result<(LinkWatch, Receiver<()>), Error> {
    let (sender, news) = channel();
    let watch = LinkWatch::start(move || sender.send(()).unwrap_or_default())?;
    Ok((watch, news))
}

#[test]
fn the_thread_ends_within_100_ms_of_the_watch() {
    match watched() {
        Ok((watch, news)) => {
            drop(watch);
            // Its end of the channel goes with it.
            let ended = std::iter::repeat_with(|| news.recv_timeout(Duration::from_millis(100)))
                .find_map(Result::err);
            assert_eq!(ended, Some(RecvTimeoutError::Disconnected));
        }
        Err(why) => println!("skipped: {why}"),
    }
}

/// In its environment the test runs in a network of its own.
const INSIDE: &str = "ONCEWARD_TEST_NETWORK";

#[test]
fn a_real_link_that_comes_up_and_its_address_are_told_and_nothing_else() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let name = "links::tests::a_real_link_that_comes_up_and_its_address_are_told_and_nothing_else";
    let mut command = Command::new("unshare");
    let made = "ip link add onceward0 type veth peer name onceward1 && exec \"$@\"";
    command.args(["--net", "sh", "-c", made, "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    let told = match command.env(INSIDE, "1").output() {
        Ok(output) => output,
        Err(why) => return println!("skipped: no unshare: {why}"),
    };
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    if !said.contains("running 1 test") {
        let why = String::from_utf8_lossy(&told.stderr);
        return println!("skipped: no network of its own: {}", why.trim());
    }
    assert!(told.status.success(), "{said}{}", String::from_utf8_lossy(&told.stderr));
}

/// The same, in a network with a link that is down.
fn inside() {
    let run = |args: &str| {
        assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "{args}");
    };
    let (_watch, news) = watched().unwrap();
    let soon = || news.recv_timeout(Duration::from_secs(5));
    let quiet = || {
        let none = news.recv_timeout(Duration::from_millis(1_200));
        assert_eq!(none, Err(RecvTimeoutError::Timeout));
    };
    run("link set lo up");
    // The other end of the cable; without this one it has no carrier.
    run("link set onceward1 up");
    quiet();
    run("link set onceward0 up");
    assert_eq!(soon(), Ok(()));
    // Within the second after a call: told when that is over, and not lost.
    run("address add 192.0.2.7/24 dev onceward0");
    assert_eq!(soon(), Ok(()));
    run("link set onceward0 mtu 1400");
    run("link set onceward0 down");
    quiet();
    let (_second, heard) = watched().unwrap();
    run("link set onceward0 up");
    assert_eq!(soon(), Ok(()));
    assert_eq!(heard.recv_timeout(Duration::from_secs(5)), Ok(()));
}
