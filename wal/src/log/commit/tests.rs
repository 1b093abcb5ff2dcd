use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use onceward_vfs::{SimVfs, Vfs};

use super::super::{Alignment, Log, NewFrame, Options, Preparation, Purpose, QueuedChunk};
use super::write_out;
use crate::identity::Identity;
use crate::limits::SEGMENT_BYTES_MIN;
use crate::lsn::Lsn;
use crate::run::Stamp;

fn log() -> Log {
    let vfs: Arc<dyn Vfs> = Arc::new(SimVfs::new());
    let lock = crate::lock(&*vfs).unwrap();
    crate::create(&*vfs, &lock, Identity { store: [1; 16], secret: [2; 64] }).unwrap();
    let examined = crate::examine(&*vfs, &mut |_| {}).unwrap().unwrap();
    let options = Options {
        segment_bytes: SEGMENT_BYTES_MIN,
        reserve: 0,
        preparation: Preparation::OnDemand,
        alignment: Alignment::Frame,
    };
    Log::start(vfs, lock, examined, options, Stamp::default()).unwrap()
}

fn append(log: &Log) -> Lsn {
    let frame = NewFrame { kind: 16, flags: 0, parts: &[b"body"] };
    log.append_deferred(&[frame], 0, Purpose::Capture).unwrap().appended().last
}

/// Does the first half of what a leader does: it takes the group that formed.
fn take_group(log: &Log) -> (Vec<QueuedChunk>, u64) {
    let mut commit = log.core.commit.lock();
    assert!(!commit.writing, "one at a time");
    commit.writing = true;
    let queue = commit.take_group();
    (queue, commit.forming - 1)
}

/// Does the second half: writes, syncs, and lets others lead. Nobody is woken yet.
fn write_group(log: &Log, mut queue: Vec<QueuedChunk>) {
    let written = write_out(&log.core, &queue);
    let mut commit = log.core.commit.lock();
    commit.accept(&mut queue, written, &log.core);
    commit.writing = false;
}

/// Waits until `count` sleep at the gate of `group`.
fn until_asleep(log: &Log, group: u64, count: u32) {
    while log.core.gates.of(group).waiting() < count {
        thread::yield_now();
    }
}

/// The leader of a group is slow: its frames are durable, and its members still sleep when the leader
/// after it calls one of the next group at their gate.
#[test]
fn a_call_to_lead_is_passed_on_by_whoever_has_an_answer_already() {
    let log = log();
    let log = &log;
    thread::scope(|scope| {
        let first = append(log);
        let (queue, group) = take_group(log);
        let member = scope.spawn(move || log.wait(first));
        until_asleep(log, group, 1);
        write_group(log, queue);

        append(log);
        let (queue, next_group) = take_group(log);
        let last = append(log);
        let (tell, told) = channel();
        scope.spawn(move || tell.send(log.wait(last)).unwrap());
        until_asleep(log, group, 2);
        write_group(log, queue);
        log.core.gates.of(next_group).finish(next_group);
        // Whoever sleeps longest is woken: the member of the first group.
        log.core.gates.of(next_group + 1).call_leader();
        member.join().unwrap().unwrap();

        let answer = told.recv_timeout(Duration::from_secs(20));
        // Only now the slow leader comes to it; without a call it would wake this one, too late to tell.
        log.core.gates.of(group).finish(group + 2);
        log.core.gates.call_leaders();
        answer.expect("nobody called it").unwrap();
    });
}
