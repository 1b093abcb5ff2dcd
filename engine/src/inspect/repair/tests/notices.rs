//! What was lost stays told after the log was mended.

use super::*;
use crate::rescue::{Reason, SafeToWipe};

#[test]
fn what_a_repair_lost_is_written_down_and_the_store_is_not_safe_to_wipe_until_a_person_took_it_away()
 {
    for is_whole_segment in [false, true] {
        let rig = filled(5, 20).after_kill();
        let (path, offset) = find(&rig, r#"{"n":3,"#);
        if is_whole_segment {
            rig.disk.open(&path, Mode::Write).unwrap().set_len(0).unwrap();
        } else {
            rig.disk.flip_bit(&path, offset + 5, 0);
        }
        let done = repair_on(&rig.disk, &None).unwrap();
        let note = done.kept.first().unwrap();
        let text = String::from_utf8(rig.disk.bytes(note).unwrap()).unwrap();
        assert!(text.contains("lost: LSN"), "{text}");
        assert_eq!(text.contains("scope \"sales\", key \"k3\""), !is_whole_segment, "{text}");
        // A crash before the log was mended: the same note, once.
        assert_eq!(repair_on(&rig.disk, &None).unwrap().kept, Vec::<String>::new());
        let store = rig.open();
        let lost = if is_whole_segment { 5 } else { 1 };
        assert_eq!((store.status().lost, store.status().settled), (lost, 0));
        for n in 1..=5 {
            let state = store.outcome(&sales(), &key(n)).unwrap().state;
            if state == State::Pending {
                store.cancel(&sales(), &key(n)).unwrap();
            }
        }
        let is_kept = |reason: &Reason| matches!(reason, Reason::Quarantine { .. });
        let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else {
            panic!("it lost events")
        };
        assert!(why.iter().any(is_kept), "{why:?}");
        done.kept.iter().for_each(|file| rig.disk.remove(file).unwrap());
        assert_eq!(store.rescue().safe_to_wipe(), SafeToWipe::Safe);
    }
}
