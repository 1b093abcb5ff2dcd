//! What of a configuration no store is opened with.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Config, WINDOW_MS};
use crate::base::bounds::DELIVERIES_MAX;
use crate::base::time_text::text_of;
use crate::base::{Error, Result, whole_ms};

impl Config {
    /// Finds everything in it that [`Store::open`](crate::Store::open) would refuse, without opening anything. The
    /// message names each option that is wrong.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use onceward::Config;
    ///
    /// let error = Config::new().with_window(Duration::from_secs(1)).with_leases_max(0).check().unwrap_err();
    /// assert_eq!(error.code(), "CONFIG_INVALID");
    /// assert_eq!(error.to_string(), "window: 1s must be 1m to 400d; leases_max: 0 must be at least 1");
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid`, code `CONFIG_INVALID`: what opening would return.
    pub fn check(&self) -> Result<()> {
        let faults = self.faults();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::invalid("CONFIG_INVALID", faults.join("; ")))
    }

    /// What is outside the documented ranges, each in a sentence.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let segment = onceward_wal::check_segment_bytes(self.segment_bytes);
        faults.extend(segment.err().map(|refused| refused.to_string()));
        faults.extend(self.limits.faults());
        let (payload_bytes, most) = (self.payload_bytes_max, self.segment_bytes / 4);
        if u64::from(payload_bytes) > most {
            faults.push(format!(
                "payload_bytes_max: {payload_bytes} must be at most a quarter of segment_bytes, {most}"
            ));
        }
        faults.extend(outside_windows("window", self.window));
        for (scope, own) in &self.scope_windows {
            let name = format!("scope_windows.{scope}.window");
            faults.extend(outside_windows(&name, own.window));
        }
        faults.extend(outside_windows("record_life", self.record_life));
        if self.leases_max == 0 {
            faults.push("leases_max: 0 must be at least 1".to_owned());
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (deliveries, most) = (count(self.inbox_deliveries_max), count(DELIVERIES_MAX));
        faults.extend(outside_windows("inbox_window", self.inbox_window));
        faults.extend(outside("inbox_deliveries_max", deliveries, &(1..=most)));
        faults.extend(outside("inbox_bytes_max", self.inbox_bytes_max, &(1..=u64::MAX)));
        let (memory, least) = (self.index_memory_bytes_max, onceward_index::MEMORY_BYTES_MIN);
        if memory < least {
            faults.push(format!("index_memory_bytes_max: {memory} must be at least {least}"));
        }
        faults
    }
}

/// What is wrong with a window that is too short or too long. It is judged as opening takes it, rounded up to whole
/// milliseconds.
fn outside_windows(name: &str, window: Duration) -> Option<String> {
    let text = |ms: &u64| text_of(Duration::from_millis(*ms));
    let (least, most) = (text(WINDOW_MS.start()), text(WINDOW_MS.end()));
    let is_within = WINDOW_MS.contains(&whole_ms(window));
    (!is_within).then(|| format!("{name}: {} must be {least} to {most}", text_of(window)))
}

/// What is wrong with a value that is not in a range.
fn outside(name: &str, value: u64, range: &RangeInclusive<u64>) -> Option<String> {
    let (least, most) = (range.start(), range.end());
    (!range.contains(&value)).then(|| format!("{name}: {value} must be {least} to {most}"))
}
