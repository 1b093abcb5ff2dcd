//! Makes the index anew while the store is open: the first lookup that meets damage in its files reads the log
//! and is answered then.

use super::Inner;
use crate::error::{Error, Result};
use crate::inspect::read_log_as;
use crate::view::View;

/// The code of an index whose files are damaged.
const DAMAGED: &str = "INDEX_DAMAGED";

impl Inner {
    /// Asks the view what needs the index; where its files are damaged, makes it anew and asks again.
    ///
    /// # Errors
    ///
    /// As asking, and what reading the log says.
    pub(crate) fn asking<T>(&self, view: &mut View, ask: impl Fn(&View) -> Result<T>) -> Result<T> {
        match ask(view) {
            Err(error) if error.code() == DAMAGED => {
                self.tell_index_anew(view, &error)?;
                ask(view)
            }
            done => done,
        }
    }

    /// Reads the log, as opening does, and tells it to the index.
    fn tell_index_anew(&self, view: &mut View, why: &Error) -> Result<()> {
        let (_, told) = read_log_as(&*self.vfs, &self.config.sealing(), &self.config)?;
        let trusted_ms = self.moment(self.mono_ms()).trusted_ms;
        view.keys.tell_anew(&told.keys, &view.held_slices(), trusted_ms)?;
        self.keeper.tell_rebuilt(why.to_string());
        self.keeper.ask();
        Ok(())
    }
}
