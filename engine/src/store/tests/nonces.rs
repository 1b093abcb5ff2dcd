//! No key seals two bodies under one nonce; nor do two keys of one history of a store.

use std::sync::Arc;

use onceward_vfs::Survival;
use onceward_wal::testing::ToySealing;

use crate::testing::{Rig, sized_event};

#[test]
fn nonces_of_an_encrypted_store_never_come_again_over_power_cuts_and_kills() {
    let toy = Arc::new(ToySealing::default());
    let mut rig = Rig::new().sealed(&toy);
    let mut n = 0;
    for round in 0..80_u64 {
        let store = rig.open();
        let ops = rig.disk.op_count();
        rig.disk.cut_power_at(ops + 1 + round * 7 % 23);
        for _ in 0..4 {
            n += 1;
            // The same events again and again: only nonces and keys tell their bodies apart.
            let event = sized_event(n, if round % 3 == 0 { 30_000 } else { 30 });
            if store.capture(&event).is_err() {
                break;
            }
        }
        drop(store);
        let seeded = Survival::Seeded { seed: round, sector_bytes: 512 };
        let survival = match round % 4 {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => seeded,
        };
        rig = if rig.disk.is_cut() { rig.after_power_cut(&survival) } else { rig.after_kill() };
    }
    let (sealed, twice) = toy.sealings();
    assert!(sealed > 100 && toy.made() > 40, "control: {sealed} with {} keys", toy.made());
    assert_eq!((twice, toy.nonces_used_twice()), (vec![], 0));
}
