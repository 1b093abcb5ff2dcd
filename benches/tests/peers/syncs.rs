//! Every peer that claims durability syncs at least once for each commit: none of the figures is of a peer that cheats.
//!
//! Method: strace counts the syncs of a process that commits 200 events one by one, less those of one that only opens
//! and closes. That the count can be low is shown by the same peers without syncs.

use std::path::Path;

use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::workload::Workload;
use onceward_benches::peers::{Mode, syncs};

/// Syncs for each commit of a peer.
fn counted(kind: Kind, mode: Mode) -> f64 {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_figures"));
    syncs::for_each_commit(program, dir.path(), kind, mode)
        .unwrap_or_else(|error| panic!("{kind:?}, {mode:?}: {error}"))
}

#[test]
fn every_durable_commit_is_synced() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_counted()) {
        let syncs = counted(kind, Mode::Durable);
        assert!(syncs >= 1.0, "{kind:?} has {syncs} syncs for each commit");
    }
}

#[test]
fn commits_that_are_not_synced_are_told_from_those_that_are() {
    let unsynced = |kind: &Kind| kind.is_counted() && kind.does(Workload::Unsynced);
    for kind in Kind::ALL.into_iter().filter(unsynced) {
        let syncs = counted(kind, Mode::Unsynced);
        assert!(syncs < 0.5, "{kind:?} has {syncs} syncs for each commit that asks for none");
    }
}
