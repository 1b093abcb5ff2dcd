//! Makes the index anew while the store is open: whoever meets damage in its files reads the log, and is answered
//! then.
//!
//! Nothing that can still be read is given up for that: what the index knows and the log has lost since the store was
//! opened goes into the new one, and the damaged files stay until that is written.

use super::Engine;
use crate::base::{Damage, Error, ErrorKind, RecoveryReport, Result, observe};
use crate::kernel::keys::Strays;
use crate::kernel::opening::{READINGS_MAX, damage_of, log_damage, read_log};
use crate::kernel::{Areas, Asking};

/// The code of an index whose files are damaged.
const DAMAGED: &str = "INDEX_DAMAGED";

impl<S: Areas> Engine<S> {
    /// Asks the state what needs the index; where the index's files are damaged, makes the index anew and asks again.
    ///
    /// # Errors
    ///
    /// As asking, and what reading the log says.
    ///
    /// # Cost
    ///
    /// Where the index is damaged, a reading of the whole log, while nobody else gets the state.
    pub(crate) fn asking<T>(
        &self,
        state: &mut S,
        mut ask: impl FnMut(&S, Asking<'_>) -> Result<T>,
    ) -> Result<T> {
        match ask(state, state.kernel().keys.ask()) {
            Err(error) if error.code() == DAMAGED => {
                self.apply_log_anew(state, &error)?;
                ask(state, state.kernel().keys.ask())
            }
            done => done,
        }
    }

    /// Does work that asks the index on its way; where the index's files are damaged, makes the index anew and does
    /// the work once more. The caller does not hold the state.
    pub(crate) fn asking_on_the_way<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if error.code() == DAMAGED => {
                self.apply_log_anew(&mut self.state.lock(), &error)?;
                work()
            }
            done => done,
        }
    }

    /// How many ranges are damaged, as far as anybody found out.
    pub(crate) fn damaged_ranges(&self) -> u64 {
        let report = self.report();
        let since = self.damage_since.lock();
        let more = since.iter().filter(|damage| !report.damage.contains(damage)).count();
        report.damaged_ranges().saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
    }

    /// What opening found, and what was found since in segments that it did not read.
    pub(crate) fn report(&self) -> RecoveryReport {
        // In this order: what is not among the damage is not counted as checked.
        let unchecked_segments = self.summaries.unchecked();
        let mut report = RecoveryReport { unchecked_segments, ..self.recovery.clone() };
        report.damage.extend(self.summaries.damage());
        report
    }

    /// Reads the log, as opening does, and applies it to the index.
    fn apply_log_anew(&self, state: &mut S, why: &Error) -> Result<()> {
        let (damage, replayed) = self.read_log_anew()?;
        let trusted_ms = self.time.trusted_ms();
        let lost = Strays::of_all(&state.kernel().keys, |item| replayed.knows(item)).keys;
        let held = state.held_slices();
        state.kernel_mut().keys.rebuild(&replayed.kernel().keys, &lost, &held, trusted_ms)?;
        let mut why = why.to_string();
        if let Some(Damage { file, offset, what, .. }) = damage.first() {
            why = format!("{why}; the log is damaged too: {file} at {offset}: {what}");
        }
        observe::index_made_anew(damage.len());
        for Damage { file, offset, length, .. } in &damage {
            observe::damage_found(file, *offset, *length);
        }
        *self.damage_since.lock() = damage;
        self.checkpointer.report_rebuilt(why);
        self.checkpointer.ask();
        Ok(())
    }

    /// What the log says, and what of it was damaged since the store was opened. Others write meanwhile: segments
    /// go, and only what a second reading finds too is damage.
    fn read_log_anew(&self) -> Result<(Vec<Damage>, S)> {
        let (mut damage, mut replayed) = self.read_log_once()?;
        if !damage.is_empty() {
            let (again, second) = self.read_log_once()?;
            damage.retain(|damage| again.contains(damage));
            replayed = second;
        }
        Ok((damage, replayed))
    }

    fn read_log_once(&self) -> Result<(Vec<Damage>, S)> {
        let mut tries = 1;
        let (examined, replayed) = loop {
            match read_log::<S>(&*self.vfs, self.settings.sealing.as_ref(), &self.settings.keys) {
                Err(error) if error.kind() == ErrorKind::Io && tries < READINGS_MAX => tries += 1,
                read => break read?,
            }
        };
        let found =
            examined.report().damage.iter().map(log_damage).chain(damage_of(replayed.kernel()));
        let damage = found.filter(|found| !self.recovery.damage.contains(found)).collect();
        Ok((damage, replayed))
    }
}
