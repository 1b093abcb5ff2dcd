//! The files of segments that are open to be read: few, however many segments there are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use onceward_vfs::File;

/// Files that stay open for the next read, beside those that somebody holds.
const KEPT_MAX: usize = 16;

/// Open files, by the number of the segment.
///
/// All who read a segment share one handle, so that it is known whether anybody still does.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    /// Files that were open when one was last added.
    shared: BTreeMap<u64, Weak<dyn File>>,
    /// Files that stay open; the one that was used last comes first.
    kept: VecDeque<(u64, Arc<dyn File>)>,
}

impl OpenFiles {
    /// The file, if it is open; it stays so for a while.
    pub(crate) fn get(&mut self, number: u64) -> Option<Arc<dyn File>> {
        let file = self.shared.get(&number)?.upgrade()?;
        match self.kept.iter().position(|(kept, _)| *kept == number) {
            Some(0) => return Some(file),
            Some(at) => drop(self.kept.remove(at)),
            None => {}
        }
        self.kept.push_front((number, Arc::clone(&file)));
        self.kept.truncate(KEPT_MAX);
        Some(file)
    }

    /// Adds a file that was just opened. If somebody was faster, theirs is the one to use.
    pub(crate) fn share(&mut self, number: u64, file: Arc<dyn File>) -> Arc<dyn File> {
        if let Some(first) = self.get(number) {
            return first;
        }
        self.add(number, &file);
        self.get(number).unwrap_or(file)
    }

    /// Adds the file of whoever writes the segment: it is open as long as they hold it.
    pub(crate) fn add(&mut self, number: u64, file: &Arc<dyn File>) {
        self.kept.retain(|(kept, _)| *kept != number);
        self.shared.retain(|_, file| file.strong_count() > 0);
        self.shared.insert(number, Arc::downgrade(file));
    }

    /// Forgets a file; whether somebody still holds it. Nobody can get it from here any more.
    pub(crate) fn forget(&mut self, number: u64) -> bool {
        self.kept.retain(|(kept, _)| *kept != number);
        self.shared.remove(&number).is_some_and(|file| file.strong_count() > 0)
    }
}

#[cfg(not(shuttle))]
#[cfg(test)]
mod tests {
    use onceward_vfs::{Mode, SimVfs, Vfs};

    use super::*;

    fn file(disk: &SimVfs, number: u64) -> Arc<dyn File> {
        let name = number.to_string();
        disk.open(&name, Mode::Read).or_else(|_| disk.open(&name, Mode::CreateNew)).unwrap()
    }

    #[test]
    fn those_used_last_stay_open() {
        let (disk, mut files) = (SimVfs::new(), OpenFiles::default());
        let all = 3 * u64::try_from(KEPT_MAX).unwrap();
        for number in 1..=all {
            files.share(number, file(&disk, number));
            assert!(files.get(1).is_some(), "{number}");
        }
        let is_open =
            |number: &u64| files.shared.get(number).is_some_and(|file| file.strong_count() > 0);
        let open: Vec<u64> = (1..=all).filter(is_open).collect();
        assert_eq!(open.len(), KEPT_MAX);
        assert_eq!((open[0], *open.last().unwrap()), (1, all));
        assert!(files.shared.len() <= KEPT_MAX + 1, "what was closed is not remembered");
    }

    #[test]
    fn who_holds_a_file_is_known_until_they_let_go_even_if_it_was_not_used_for_long() {
        let (disk, mut files) = (SimVfs::new(), OpenFiles::default());
        let held = files.share(1, file(&disk, 1));
        let again = files.share(1, file(&disk, 1));
        assert!(Arc::ptr_eq(&held, &again), "one handle for all");
        drop(held);
        for number in 2..100 {
            files.share(number, file(&disk, number));
        }
        assert!(files.forget(1) && files.get(1).is_none());
        drop(again);
        files.share(1, file(&disk, 1));
        assert!(!files.forget(1), "what is only kept here is not held");
    }
}
