//! How a line is used.

/// How a line is used; see each setter for its default.
///
/// ```
/// use onceward::sync::LineOptions;
///
/// // A line that costs by the byte.
/// let options = LineOptions::new().with_in_flight(4).with_bytes_per_second(Some(20_000));
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LineOptions {
    pub(super) in_flight_max: usize,
    pub(super) is_probed: bool,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) seed: u64,
}

impl Default for LineOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LineOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self { in_flight_max: 16, is_probed: true, bytes_per_second: None, seed: 0 }
    }

    /// Most requests that may be on their way at once, of all scopes together: 16 by default, at least 1. Of each scope
    /// [`Options::with_window`](crate::sync::Options::with_window) may be.
    pub fn with_in_flight(mut self, count: usize) -> Self {
        self.in_flight_max = count.max(1);
        self
    }

    /// Whether the driver can open a connection without sending anything: yes by default. Then
    /// [`Step::Probe`](crate::sync::Step::Probe) is returned while nobody answers, 1 to 2 s after the first failure,
    /// every 5 s for ten minutes and every 60 s after that. Otherwise requests go after the backoff of each scope.
    /// With [`Effort::Once`](crate::sync::Effort::Once) there are no probes.
    pub fn with_probes(mut self, are_made: bool) -> Self {
        self.is_probed = are_made;
        self
    }

    /// Most bytes a second, for a line that costs by the byte or is shared: `None`, as many as will go, by default.
    /// Counted are the items, as they are before any compression, and 512 bytes for each request. A batch has at most
    /// what may go in five seconds.
    pub fn with_bytes_per_second(mut self, bytes: Option<u64>) -> Self {
        self.bytes_per_second = bytes;
        self
    }

    /// Seed of the times of probes: give each terminal its own, so that they do not return all at once.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
