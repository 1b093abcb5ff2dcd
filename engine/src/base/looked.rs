//! Counts how often an item in memory was looked at, so that tests check what a call costs without a clock.

/// An item is looked at.
#[inline]
pub(crate) fn look() {
    #[cfg(test)]
    COUNT.set(COUNT.get().saturating_add(1));
}

#[cfg(test)]
thread_local! {
    static COUNT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How often this thread looked at one.
#[cfg(test)]
pub(crate) fn looked_at() -> u64 {
    COUNT.get()
}
