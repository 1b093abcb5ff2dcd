//! For whom is pulled, and how patiently.

use std::time::Duration;

use crate::error::Error;

/// Longest name of a user or a device, bytes.
const NAME_BYTES_MAX: usize = 100;
/// Longest time for which the hub may be asked to hold an answer back.
const HOLD_MAX: Duration = Duration::from_secs(25);
/// How long it is, unless the host says otherwise.
const HOLD: Duration = Duration::from_secs(20);

/// For whom is pulled, and how patiently.
///
/// ```
/// use std::time::Duration;
///
/// use onceward_uplink::deliveries::PullOptions;
///
/// let options = PullOptions::new("u-17", "phone-1")?.with_hold(Duration::from_secs(5))?;
/// assert_eq!((options.user(), options.device()), ("u-17", "phone-1"));
/// assert!(PullOptions::new("u-17", "").is_err());
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PullOptions {
    user: String,
    device: String,
    pub(super) hold: Duration,
    pub(super) backoff_base_ms: u64,
    pub(super) backoff_cap_ms: u64,
    pub(super) seed: u64,
}

impl PullOptions {
    /// What is queued for this user, on this device.
    ///
    /// # Errors
    ///
    /// `Invalid`: a name has not 1 to 100 bytes, or a `/` in it.
    pub fn new(user: &str, device: &str) -> Result<Self, Error> {
        let (user, device) = (name("user", user)?, name("device", device)?);
        Ok(Self {
            user,
            device,
            hold: HOLD,
            backoff_base_ms: 1_000,
            backoff_cap_ms: 300_000,
            seed: 0,
        })
    }

    /// How long the hub is asked to hold its answer back while there is nothing: 0 to 25 s, 20 s by default.
    ///
    /// # Errors
    ///
    /// `Invalid`: it is longer.
    pub fn with_hold(mut self, hold: Duration) -> Result<Self, Error> {
        if hold > HOLD_MAX {
            let (ms, most) = (hold.as_millis(), HOLD_MAX.as_millis());
            return Err(Error::invalid("hold", format!("{ms} ms, must be 0 to {most}")));
        }
        self.hold = hold;
        Ok(self)
    }

    /// The first wait after a failure, and the longest: 1 s and 300 s by default. Waits double, with jitter.
    pub fn with_backoff(mut self, base: Duration, cap: Duration) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        (self.backoff_base_ms, self.backoff_cap_ms) = (ms(base), ms(cap));
        self
    }

    /// What the jitter follows from: each device has another one, so that they do not all come back at once. By default
    /// it follows from the store's id and the device's name.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }
}

/// Checks a name that the hub knows somebody by.
fn name(argument: &'static str, text: &str) -> Result<String, Error> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        let bytes = text.len();
        let why = format!("has {bytes} bytes, must have 1 to {NAME_BYTES_MAX}");
        return Err(Error::invalid(argument, why));
    }
    if text.contains('/') {
        return Err(Error::invalid(argument, format!("{text:?}: must have no /")));
    }
    Ok(text.to_owned())
}
