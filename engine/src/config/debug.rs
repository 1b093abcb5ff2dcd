//! A configuration as it is printed: what a host can choose, and nothing that only tests have.

use std::fmt;

use super::Config;

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            #[cfg(test)]
                toy: _,
            segment_bytes,
            payload_bytes_max,
            window,
            scope_windows,
            index_memory_bytes_max,
            index_reading,
            record_life,
            leases_max,
            record_cache_bytes_max,
            create,
            retain,
            inbox_window,
            inbox_deliveries_max,
            inbox_bytes_max,
            inbox_scope,
            limits,
            index_log_bytes_max: _,
            cleaning_slack_segments: _,
            #[cfg(feature = "encryption")]
            encryption,
            sendable,
        } = self;
        let mut shown = f.debug_struct("Config");
        shown
            .field("segment_bytes", segment_bytes)
            .field("payload_bytes_max", payload_bytes_max)
            .field("window", window)
            .field("scope_windows", scope_windows)
            .field("index_memory_bytes_max", index_memory_bytes_max)
            .field("index_reading", index_reading)
            .field("record_life", record_life)
            .field("leases_max", leases_max)
            .field("record_cache_bytes_max", record_cache_bytes_max)
            .field("create", create)
            .field("retain", retain)
            .field("inbox_window", inbox_window)
            .field("inbox_deliveries_max", inbox_deliveries_max)
            .field("inbox_bytes_max", inbox_bytes_max)
            .field("inbox_scope", inbox_scope)
            .field("limits", limits)
            .field("sendable", sendable);
        #[cfg(feature = "encryption")]
        shown.field("encryption", encryption);
        shown.finish()
    }
}
