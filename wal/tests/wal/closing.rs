//! A log that was closed takes nothing more, writes nothing more, and lets another handle have the files.
//! Method: close a log on a simulated disk while its handle stays, try everything that writes, and open it beside.

use onceward_vfs::SimVfs;
use onceward_wal::{CLOSED, Error, ErrorKind};

use super::scenario::{bodies, body, fill_segment, found, open_sim, put, queue};

fn is_closed(error: &Error) -> bool {
    (error.kind(), error.code()) == (ErrorKind::Poisoned, Some(CLOSED)) && !error.in_doubt()
}

#[test]
fn a_closed_log_refuses_whatever_writes_and_changes_nothing_on_the_disk() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    fill_segment(&log);
    fill_segment(&log);
    let finished = log.segments()[0].number;
    let queued = queue(&log, &[body(1, 50)]).unwrap();
    log.close().unwrap();
    let before = disk.op_count();
    assert!(is_closed(&put(&log, &body(2, 50)).unwrap_err()));
    assert!(is_closed(&queue(&log, &[body(3, 50)]).unwrap_err()));
    assert!(is_closed(&log.trim(finished).unwrap_err()));
    assert!(is_closed(&log.close().unwrap_err()), "closed again");
    // What was queued before is durable, and whoever waits for it hears so.
    log.wait(queued.last).unwrap();
    assert_eq!(disk.op_count(), before);
    assert!(found(&disk).0.clean);
}

#[test]
fn while_the_handle_of_a_closed_log_exists_another_one_has_the_files() {
    let disk = SimVfs::new();
    let first = open_sim(&disk);
    put(&first, &body(1, 50)).unwrap();
    first.close().unwrap();
    let second = open_sim(&disk);
    put(&second, &body(2, 50)).unwrap();
    assert!(is_closed(&put(&first, &body(3, 50)).unwrap_err()));
    drop(first);
    put(&second, &body(4, 50)).unwrap();
    second.close().unwrap();
    assert_eq!(bodies(&disk), [body(1, 50), body(2, 50), body(4, 50)]);
    assert!(found(&disk).0.clean);
}
