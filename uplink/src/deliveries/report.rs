//! What pulling has done.

/// What a [`Pull`](super::Pull) has done since it started.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward_uplink::deliveries::{Pull, PullOptions, PullReport};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new())?;
/// let pull = Pull::start(&store, PullOptions::new("u-17", "phone-1")?)?;
/// assert_eq!(*pull.report(), PullReport::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PullReport {
    /// Deliveries that were stored.
    pub received: u64,
    /// Deliveries that came again, and were not stored again.
    pub duplicates: u64,
    /// Deliveries that the store can never take, such as one that is too long: each time it came.
    pub unusable: u64,
    /// Answers for which there was no room: deliveries each time they came, and windows.
    pub refused_full: u64,
    /// Steps that the hub confirmed.
    pub steps_told: u64,
    /// Deliveries that another device of the user finished.
    pub finished_elsewhere: u64,
    /// Windows that the hub ended.
    pub windows_over: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Whether the hub refuses the credentials.
    pub blocked: bool,
    /// The window in which is asked, if there is a session.
    pub window: Option<String>,
    /// The last trouble, in words. It stays when it is over.
    pub last_trouble: Option<String>,
}
