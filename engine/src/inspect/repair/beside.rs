//! What is not a file where one should be is set aside first; see `usurpers.rs`.
//!
//! The files beside the log: what is damaged in them is reported, and an index that is damaged is given up, so
//! that the next opening makes it anew from the log.
//!
//! Beside a log that lost frames, in this repair or in one that no opening followed, an index stays, damaged or not: it
//! may know their keys, and the next opening writes those to the log before it gives the index up.

use std::sync::Arc;

use onceward_vfs::Vfs;

use super::{Repair, plan_on, repair_on};
use crate::base::Result;
use crate::base::places::{INDEX_DIR, UNCHECKED};
use crate::inspect::Keys;
use crate::inspect::verify::{beside_the_log, index_damage, with_usurped};
use crate::kernel::from_log;
use crate::kernel::opening::from_index;
use crate::kernel::opening::usurpers;

/// Plans as [`plan_on`] does, for all files.
pub(super) fn plan(vfs: &Arc<dyn Vfs>, keys: &Keys) -> Result<Repair> {
    let usurped = usurpers::find(&**vfs)?;
    let planned = plan_files(vfs, keys);
    if usurped.is_empty() {
        return planned;
    }
    // What is in a file's place may be why the rest cannot be judged.
    let mut plan = planned.unwrap_or_default();
    plan.left = with_usurped(usurped.clone(), plan.left);
    plan.damage = with_usurped(usurped, plan.damage);
    Ok(plan)
}

/// Plans as [`plan`] does, for what is a file.
fn plan_files(vfs: &Arc<dyn Vfs>, keys: &Keys) -> Result<Repair> {
    let mut plan = plan_on(&**vfs, keys)?;
    let beside = beside_the_log(vfs)?;
    plan.left.extend(beside.iter().cloned());
    plan.damage.extend(beside);
    Ok(plan)
}

/// Repairs as [`repair_on`] does, for all files.
pub(super) fn repair(vfs: &Arc<dyn Vfs>, keys: &Keys) -> Result<Repair> {
    let usurped = usurpers::find(&**vfs)?;
    let mut kept = usurpers::free_lock(&**vfs, &usurped)?;
    if !usurped.is_empty() {
        let _lock = onceward_wal::lock(&**vfs).map_err(from_log)?;
        kept.extend(usurpers::free_others(&**vfs, &usurped)?);
    }
    let mut done = repair_files(vfs, keys)?;
    done.damage = with_usurped(usurped, done.damage);
    done.kept.splice(..0, kept);
    Ok(done)
}

/// Repairs as [`repair`] does, for what is a file.
fn repair_files(vfs: &Arc<dyn Vfs>, keys: &Keys) -> Result<Repair> {
    let found = beside_the_log(vfs)?;
    let mut done = repair_on(&**vfs, keys)?;
    let may_know_more = !done.damage.is_empty() || vfs.exists(UNCHECKED)?;
    if !may_know_more && !index_damage(vfs)?.is_empty() {
        let _lock = onceward_wal::lock(&**vfs).map_err(from_log)?;
        onceward_index::discard(&**vfs, INDEX_DIR).map_err(|error| from_index(&error))?;
    }
    done.left.extend(beside_the_log(vfs)?);
    done.damage.extend(found);
    Ok(done)
}
