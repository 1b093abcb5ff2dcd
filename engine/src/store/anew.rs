//! Makes the index anew while the store is open: whoever meets damage in its files reads the log, and is answered
//! then.
//!
//! Nothing that can still be read is given up for that: what the index knows and the log has lost since the store was
//! opened goes into the new one, and the damaged files stay until that is written.

use super::{Inner, damage_of, told_of};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::{READINGS_MAX, read_log_as};
use crate::report::Damage;
use crate::view::{Asking, View};

/// The code of an index whose files are damaged.
const DAMAGED: &str = "INDEX_DAMAGED";

impl Inner {
    /// Asks the view what needs the index; where its files are damaged, makes it anew and asks again.
    ///
    /// # Errors
    ///
    /// As asking, and what reading the log says.
    ///
    /// # Cost
    ///
    /// Where the index is damaged, a reading of the whole log, while nobody else gets the view.
    pub(crate) fn asking<T>(
        &self,
        view: &mut View,
        ask: impl Fn(Asking<'_>) -> Result<T>,
    ) -> Result<T> {
        match ask(view.ask()) {
            Err(error) if error.code() == DAMAGED => {
                self.tell_index_anew(view, &error)?;
                ask(view.ask())
            }
            done => done,
        }
    }

    /// The same for work that asks on its way and may be done once more. The caller does not hold the view.
    pub(super) fn asking_on_the_way<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if error.code() == DAMAGED => {
                self.tell_index_anew(&mut self.view.lock(), &error)?;
                work()
            }
            done => done,
        }
    }

    /// How many ranges are damaged, as far as anybody found out.
    pub(super) fn damaged_ranges(&self) -> u64 {
        let since = self.damage_since.lock().len();
        self.recovery.damaged_ranges().saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Reads the log, as opening does, and tells it to the index.
    fn tell_index_anew(&self, view: &mut View, why: &Error) -> Result<()> {
        let (damage, told) = self.read_log_anew()?;
        let trusted_ms = self.moment(self.mono_ms()).trusted_ms;
        view.tell_keys_anew(&told, trusted_ms)?;
        let mut why = why.to_string();
        if let Some(Damage { file, offset, what, .. }) = damage.first() {
            why = format!("{why}; the log is damaged too: {file} at {offset}: {what}");
        }
        *self.damage_since.lock() = damage;
        self.keeper.tell_rebuilt(why);
        self.keeper.ask();
        Ok(())
    }

    /// What the log says, and what of it was damaged since the store was opened. Others write meanwhile: segments
    /// go, and only what a second reading finds too is damage.
    fn read_log_anew(&self) -> Result<(Vec<Damage>, View)> {
        let (mut damage, mut told) = self.read_log_once()?;
        if !damage.is_empty() {
            let (again, view) = self.read_log_once()?;
            damage.retain(|damage| again.contains(damage));
            told = view;
        }
        Ok((damage, told))
    }

    fn read_log_once(&self) -> Result<(Vec<Damage>, View)> {
        let mut tries = 1;
        let (examined, told) = loop {
            match read_log_as(&*self.vfs, &self.config.sealing(), &self.config) {
                Err(error) if error.kind() == ErrorKind::Io && tries < READINGS_MAX => tries += 1,
                read => break read?,
            }
        };
        let found = examined.report().damage.iter().map(told_of).chain(damage_of(&told));
        let damage = found.filter(|found| !self.recovery.damage.contains(found)).collect();
        Ok((damage, told))
    }
}
