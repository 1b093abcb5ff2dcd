//! How long the keys of each scope are remembered.

use std::collections::BTreeMap;

use onceward_index::Window;

/// The window of each scope. A change of it holds for all keys of the scope from the next opening on.
///
/// A name with a colon is for keys that are no events': no event's scope has one. Up to its colon, it names the
/// area that has such keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    default: Window,
    scopes: BTreeMap<String, Window>,
    /// By names that end with a colon.
    areas: BTreeMap<&'static str, Window>,
    /// The shortest of all.
    shortest: Window,
}

impl Windows {
    /// The windows of scopes, those of areas by names that end with a colon, and that of all other scopes.
    pub(crate) fn new(
        default: Window,
        scopes: BTreeMap<String, Window>,
        areas: BTreeMap<&'static str, Window>,
    ) -> Self {
        let mut all = Self { default, scopes, areas, shortest: default };
        all.shortest = all.all().min_by_key(|window| window.length_ms()).unwrap_or(default);
        all
    }

    /// The window of a scope, or of an area's keys.
    pub(crate) fn of(&self, scope: &str) -> Window {
        // Asked with every event: of a name so short a look at each byte is the fastest search.
        let is_area = scope.bytes().any(|byte| byte == b':');
        if !is_area {
            return self.scopes.get(scope).copied().unwrap_or(self.default);
        }
        let area = scope.split_once(':').map(|(area, _)| area);
        let found = self.areas.iter().find(|(name, _)| name.strip_suffix(':') == area);
        found.map_or(self.default, |(_, window)| *window)
    }

    /// A scope, or an area's name, that has this window; of one that nothing has any more, one with the
    /// longest.
    pub(crate) fn scope_with(&self, window: Window) -> &str {
        let all = || {
            let areas = self.areas.iter().map(|(name, window)| (*name, *window));
            let scopes = self.scopes.iter().map(|(scope, window)| (scope.as_str(), *window));
            std::iter::once(("", self.default)).chain(areas).chain(scopes)
        };
        let same = all().find(|(_, its)| *its == window);
        let longest = || all().max_by_key(|(_, its)| its.length_ms());
        same.or_else(longest).map_or("", |(scope, _)| scope)
    }

    /// All that there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = Window> + '_ {
        let areas = self.areas.values().copied();
        self.scopes.values().copied().chain(areas).chain([self.default])
    }

    /// The shortest of all.
    pub(crate) fn shortest(&self) -> Window {
        self.shortest
    }
}
