//! Opening: what is a store, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};
use onceward_vfs::{Fault, FaultKind, FaultOp, Mode, Survival, Vfs};

use crate::config::Create;
use crate::review::ReviewFilter;
use crate::testing::{Rig, event};
use crate::{Config, ErrorKind, Verdict};

#[test]
fn a_store_that_is_open_is_locked_until_every_handle_is_dropped() {
    let rig = Rig::new();
    let store = rig.open();
    let error = rig.try_open().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Locked, "LOCKED"));
    let second = store.clone();
    drop(store);
    assert_eq!(rig.try_open().unwrap_err().kind(), ErrorKind::Locked);
    drop(second);
    assert!(rig.try_open().is_ok());
}

#[test]
fn what_is_not_a_store_is_left_as_it_is() {
    let rig = Rig::new();
    rig.disk.open("letter.txt", Mode::CreateNew).unwrap();
    let error = rig.try_open().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "NOT_A_STORE"));
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(rig.disk.list("").unwrap(), ["letter.txt"]);

    let never = Rig { config: Rig::new().config.with_create(Create::Never), ..Rig::new() };
    assert_eq!(never.try_open().unwrap_err().code(), "NO_STORE");
    assert!(never.disk.list("").unwrap().is_empty());
    let there = Rig::on(never.disk.clone());
    drop(there.open());
    assert!(never.try_open().is_ok(), "control: a store that exists is opened");
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_not_touched() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    store.close().unwrap();
    assert!(rig.try_open().is_ok(), "control");
    let path = {
        let names = rig.disk.list("log").unwrap();
        format!("log/{}", names.iter().find(|name| name.ends_with(".seg")).unwrap())
    };
    let header = rig.disk.bytes(&path).unwrap();
    let newer = newer_meta(&rig.disk.bytes("meta").unwrap());
    rig.disk.overwrite("meta", 0, &newer);
    let error = rig.try_open().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "UNSUPPORTED"), "{error}");
    assert_eq!(rig.disk.bytes("meta").unwrap(), newer);
    assert_eq!(rig.disk.bytes(&path).unwrap(), header);
}

/// The same slots with a version that does not exist yet and right checksums.
fn newer_meta(meta: &[u8]) -> Vec<u8> {
    let mut newer = meta.to_vec();
    for slot in newer.chunks_mut(65_536) {
        if slot.iter().all(|byte| *byte == 0) {
            continue;
        }
        let end = (12..slot.len() - 4)
            .find(|end| crc(&slot[..*end]).to_le_bytes() == slot[*end..*end + 4])
            .expect("a slot ends with its checksum");
        slot[8] = 99;
        let sum = crc(&slot[..end]).to_le_bytes();
        slot[end..end + 4].copy_from_slice(&sum);
    }
    newer
}

/// CRC-32 as the format says.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_configuration_outside_its_ranges_is_refused_by_name() {
    let rig = Rig::new();
    let open = |config: Config| Rig { config, ..rig.clone() }.try_open();
    let bad = [
        (rig.config.clone().with_segment_bytes(262_144 - 4096), "segment_bytes"),
        (rig.config.clone().with_segment_bytes(262_145), "segment_bytes"),
        (rig.config.clone().with_segment_bytes((1 << 30) + 4096), "segment_bytes"),
        (rig.config.clone().with_payload_bytes_max(65_537), "payload_bytes_max"),
        (rig.config.clone().with_window(Duration::from_millis(59_999)), "window"),
        (rig.config.clone().with_window(Duration::from_millis(400 * 86_400_000 + 1)), "window"),
    ];
    for (config, name) in bad {
        let error = open(config).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "CONFIG_INVALID"));
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(rig.disk.list("").unwrap().is_empty(), "nothing was made");
    let good =
        rig.config.clone().with_payload_bytes_max(65_536).with_window(Duration::from_mins(1));
    assert!(open(good).is_ok(), "control: the ends");
}

#[test]
fn closing_while_other_handles_exist_stops_them_and_loses_nothing() {
    let rig = Rig::new();
    let store = rig.open();
    let other = store.clone();
    store.capture(&event(1)).unwrap();
    store.close().unwrap();
    assert_eq!(other.capture(&event(2)).unwrap_err().code(), "CLOSED");
    assert_eq!(other.settle(&[]).unwrap_err().code(), "CLOSED");
    assert_eq!(other.tick().unwrap_err().code(), "CLOSED");
    assert_eq!(other.reviews().list(&ReviewFilter::new()).unwrap_err().code(), "CLOSED");
    // The other handle is about, and neither keeps the store from being opened nor writes to it.
    let again = rig.open();
    assert!(again.recovery().clean);
    assert!(matches!(again.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
    again.capture(&event(3)).unwrap();
    let writes = rig.disk.op_count();
    other.close().unwrap();
    store.close().unwrap();
    assert_eq!(other.capture(&event(2)).unwrap_err().code(), "CLOSED");
    drop((other, store));
    assert_eq!(rig.disk.op_count(), writes, "what is closed writes nothing");
    assert_eq!(again.status().keys, 2);
    again.close().unwrap();
    assert!(rig.open().recovery().clean);
}

/// Two that create at the same time: the one that waits for the lock finds a store.
#[test]
fn a_store_that_another_made_in_the_meantime_is_not_made_again() {
    let rig = Rig::new();
    let meanwhile = Arc::new(Meanwhile { rig: rig.clone() });
    let disk = hooked(Arc::new(rig.disk.clone()), &meanwhile);
    let late = crate::Store::open_on(disk, rig.clock, rig.config).unwrap();
    let verdict = late.capture(&event(1)).unwrap();
    assert!(matches!(verdict, Verdict::Duplicate { .. }), "{verdict:?}");
}

/// Just before the lock is taken, another process makes a store, captures, and ends.
#[derive(Debug)]
struct Meanwhile {
    rig: Rig,
}

impl Hook for Meanwhile {
    fn before(&self, call: &DiskCall<'_>) -> std::io::Result<()> {
        if matches!(call.operation, Operation::Lock) {
            self.rig.open().capture(&event(1)).unwrap();
        }
        Ok(())
    }
}

/// T14: opening is cut at every operation, and opening again finds the same.
#[test]
fn a_first_opening_that_is_cut_anywhere_can_be_done_again() {
    let control = Rig::new();
    drop(control.open());
    let ops = control.disk.changing_ops();
    assert!(ops.len() > 5, "control");
    for op in ops {
        let rig = Rig::new();
        rig.disk.cut_power_at(op);
        rig.try_open().unwrap_err();
        for survival in [Survival::Nothing, Survival::Everything, Survival::Prefix(1)] {
            let rig = rig.after_power_cut(&survival);
            let store = rig.open();
            assert_eq!(store.recovery().damage, [], "op {op}, {survival:?}");
            store.capture(&event(1)).unwrap();
            drop(store);
            assert_eq!(rig.open().status().keys, 1, "op {op}, {survival:?}");
        }
    }
}

/// What is thrown away for want of room is not closed over, whatever else finds the disk full first.
#[test]
fn a_close_that_finds_no_room_for_deferred_captures_says_so_however_much_time_there_is_to_note() {
    for passed_ms in [0, 1_000, 1_000_000] {
        let rig = Rig::new();
        let store = rig.open();
        store.capture(&event(1)).unwrap();
        drop(store.capture_deferred(&event(2)).unwrap());
        rig.clock.advance(passed_ms);
        let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
        rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
        assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Full, "{passed_ms}");
        let store = rig.after_kill().open();
        assert!(store.recovery().clean, "{passed_ms}: closed in order");
        assert_eq!(store.status().pending, 1, "{passed_ms}");
    }
}
