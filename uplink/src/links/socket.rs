//! The netlink socket, and the loop that reads it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with,
};

use super::known::Known;
use super::message::{Fact, LIST_ADDRESSES, LIST_LINKS, facts, list_request};
use crate::clock::Monotonic;

/// A socket that the kernel tells of links and addresses.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// What came.
enum Told {
    /// These facts.
    Facts(Vec<Fact>),
    /// More than the socket could hold: some of it is lost.
    TooMuch,
    /// Nothing more for now.
    Nothing,
}

impl Socket {
    /// Opens one, and asks what there is.
    pub(super) fn open() -> io::Result<(Self, Known)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        let (socket, mut known) = (Self(socket), Known::default());
        for kind in [LIST_LINKS, LIST_ADDRESSES] {
            socket.list(kind, &mut known)?;
        }
        Ok((socket, known))
    }

    /// Asks for a list and waits for it.
    fn list(&self, kind: u16, known: &mut Known) -> io::Result<()> {
        self.ask(kind)?;
        let clock = Monotonic::start();
        loop {
            match self.take()? {
                Told::Facts(told) => {
                    let is_over = told.contains(&Fact::ListEnd);
                    for fact in told {
                        known.apply(fact);
                    }
                    if is_over {
                        return Ok(());
                    }
                }
                Told::TooMuch | Told::Nothing => {
                    let left_ms = LIST_MS.saturating_sub(clock.now_ms());
                    let mut waited = [PollFd::new(&self.0, PollFlags::IN)];
                    if left_ms == 0 || poll(&mut waited, Some(&time(left_ms)))? == 0 {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
            }
        }
    }

    /// Asks for a list.
    fn ask(&self, kind: u16) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.0, &list_request(kind), SendFlags::empty(), &kernel)?;
        Ok(())
    }

    /// Takes a datagram.
    fn take(&self) -> io::Result<Told> {
        let mut datagram = vec![0; DATAGRAM_BYTES];
        match recvfrom(&self.0, &mut *datagram, RecvFlags::empty()) {
            Ok((read, _, from)) => {
                let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                // Another process may send something too; the kernel has the number 0.
                let is_kernel = from.is_some_and(|from| from.pid() == 0);
                let told = datagram.get(..read).filter(|_| is_kernel).unwrap_or_default();
                Ok(Told::Facts(facts(told)))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Told::Nothing),
            Err(Errno::NOBUFS) => Ok(Told::TooMuch),
            Err(found) => Err(found.into()),
        }
    }
}

/// Reads until the other side of `end` is closed, or the socket fails.
pub(super) fn watch(
    socket: &Socket,
    mut known: Known,
    end: &UnixStream,
    mut on_news: impl FnMut(),
) {
    let clock = Monotonic::start();
    let mut has_news = false;
    let mut quiet_until_ms = 0_u64;
    loop {
        let quiet_ms = has_news.then(|| time(quiet_until_ms.saturating_sub(clock.now_ms())));
        let mut waited = [PollFd::new(&socket.0, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        match poll(&mut waited, quiet_ms.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        let [told, ended] = waited;
        if !ended.revents().is_empty() {
            return;
        }
        if !told.revents().is_empty() {
            match socket.take() {
                Ok(Told::Facts(told)) => {
                    for fact in told {
                        has_news |= known.apply(fact);
                    }
                }
                Ok(Told::TooMuch) => {
                    has_news = true;
                    known.forget_addresses();
                    if socket.ask(LIST_LINKS).is_err() {
                        return;
                    }
                }
                Ok(Told::Nothing) => {}
                Err(_) => return,
            }
        }
        if has_news && clock.now_ms() >= quiet_until_ms {
            on_news();
            has_news = false;
            quiet_until_ms = clock.now_ms().saturating_add(QUIET_MS);
        }
    }
}

/// A length of time for the system.
fn time(ms: u64) -> Timespec {
    // What does not fit is longer than anybody waits.
    Timespec::try_from(Duration::from_millis(ms))
        .unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
}

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Longest datagram: the kernel's are at most 32 KiB.
const DATAGRAM_BYTES: usize = 64 * 1024;
/// How long a list may take.
const LIST_MS: u64 = 2_000;
/// Shortest time between two calls.
const QUIET_MS: u64 = 1_000;
