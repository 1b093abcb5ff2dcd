//! How long the keys of each scope are remembered.

use std::collections::BTreeMap;

use onceward_index::{Window, WindowStart};

use crate::config::{self, Config};
use crate::error::{Error, Result};

/// What stands before the scope of a record: no event's scope has a colon.
pub(crate) const RECORD_PREFIX: &str = "record:";

/// Stand for the windows of deliveries, where a frame names windows by scope.
const INBOX: &str = "inbox:";
const SUBJECTS: &str = "subjects:";

/// The window of each scope. A change of it holds for all keys of the scope from the next opening on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    default: Window,
    scopes: BTreeMap<String, Window>,
    /// Of all records.
    records: Window,
    /// Of deliveries, by event and by external number.
    inbox: Window,
    /// Of deliveries, by subject in a server window.
    subjects: Window,
    /// The shortest of all.
    shortest: Window,
}

impl Windows {
    /// What the configuration says.
    ///
    /// # Errors
    ///
    /// `Invalid`: a window is outside its range.
    pub(crate) fn of_config(config: &Config) -> Result<Self> {
        let default = window(config.window_ms, config::WindowStart::FromSettle)?;
        let mut scopes = BTreeMap::new();
        for (scope, (ms, start)) in &config.windows {
            scopes.insert(scope.as_str().to_owned(), window(*ms, *start)?);
        }
        let records = window(config.record_life_ms, config::WindowStart::FromSettle)?;
        let inbox_ms = config.inbox.window_ms;
        let inbox = window(inbox_ms, config::WindowStart::FromSettle)?;
        // A length of its own, and so slices of its own: these keys are remembered until a window of
        // the upstream is over, however long that is, and others that came at the same time are not.
        let other_ms = if inbox_ms > INBOX_MS_MIN { inbox_ms - 1 } else { inbox_ms + 1 };
        let subjects = window(other_ms, config::WindowStart::FromSettle)?;
        let mut all = Self { default, scopes, records, inbox, subjects, shortest: default };
        all.shortest = all.all().min_by_key(|window| window.length_ms()).unwrap_or(default);
        Ok(all)
    }

    /// The window of deliveries' keys: those of a server window, or the others.
    pub(crate) fn of_delivery(&self, is_of_window: bool) -> Window {
        if is_of_window { self.subjects } else { self.inbox }
    }

    /// The window of a scope.
    pub(crate) fn of(&self, scope: &str) -> Window {
        if scope.starts_with(RECORD_PREFIX) {
            return self.records;
        }
        match scope {
            INBOX => self.inbox,
            SUBJECTS => self.subjects,
            _ => self.scopes.get(scope).copied().unwrap_or(self.default),
        }
    }

    /// A scope, or what stands for one, that has this window; of one that nothing has any more, one
    /// with the longest.
    pub(crate) fn scope_with(&self, window: Window) -> &str {
        let all = || {
            let others = [
                ("", self.default),
                (RECORD_PREFIX, self.records),
                (INBOX, self.inbox),
                (SUBJECTS, self.subjects),
            ];
            let scopes = self.scopes.iter().map(|(scope, window)| (scope.as_str(), *window));
            others.into_iter().chain(scopes)
        };
        let same = all().find(|(_, its)| *its == window);
        let longest = || all().max_by_key(|(_, its)| its.length_ms());
        same.or_else(longest).map_or("", |(scope, _)| scope)
    }

    /// All that there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = Window> + '_ {
        let others = [self.default, self.records, self.inbox, self.subjects];
        self.scopes.values().copied().chain(others)
    }

    /// The shortest of all.
    pub(crate) fn shortest(&self) -> Window {
        self.shortest
    }
}

/// The shortest window of the inbox that can be chosen.
const INBOX_MS_MIN: u64 = 60_000;

fn window(ms: u64, start: config::WindowStart) -> Result<Window> {
    let start = match start {
        config::WindowStart::FromSettle => WindowStart::FromSettle,
        config::WindowStart::FromCapture => WindowStart::FromCapture,
    };
    Window::new(ms, start)
        .map_err(|refused| Error::invalid("CONFIG_INVALID", format!("window: {refused}")))
}
