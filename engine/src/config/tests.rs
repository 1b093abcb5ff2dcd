use std::time::Duration;

use onceward_vfs::Vfs;

use crate::base::ErrorKind;
use crate::limits::Limits;
use crate::testing::{Rig, event};
use crate::{Amount, Config, Scope};

use super::WindowStart;

fn amount(ten_thousandths: i64) -> Amount {
    Amount::from_ten_thousandths(ten_thousandths)
}

/// Each option just outside of what it may be, and its name.
fn wrong() -> Vec<(Config, &'static str)> {
    // A part of a millisecond is rounded up.
    const DAYS_400: Duration = Duration::from_hours(400 * 24);
    const WINDOWS: [Duration; 3] = [
        Duration::from_millis(59_999),
        DAYS_400.saturating_add(Duration::from_nanos(1)),
        Duration::MAX,
    ];
    let new = || Rig::new().config;
    let mut wrong = vec![
        (new().with_segment_bytes(262_144 - 4096), "segment_bytes"),
        (new().with_segment_bytes(262_145), "segment_bytes"),
        (new().with_segment_bytes((1 << 30) + 4096), "segment_bytes"),
        (new().with_payload_bytes_max(65_537), "payload_bytes_max"),
        (new().with_leases_max(0), "leases_max"),
        (new().with_inbox_deliveries_max(0), "inbox_deliveries_max"),
        (new().with_inbox_deliveries_max(10_001), "inbox_deliveries_max"),
        (new().with_inbox_bytes_max(0), "inbox_bytes_max"),
        (new().with_index_memory_bytes_max(4 * 1024 * 1024 - 1), "index_memory_bytes_max"),
        (new().with_limits(Limits::new().with_amount(amount(-1))), "limits.amount: "),
        (new().with_limits(Limits::new().with_sum(amount(-1))), "limits.sum: "),
    ];
    for window in WINDOWS {
        let scope = Scope::new("doors").unwrap();
        wrong.extend([
            (new().with_window(window), "window: "),
            (
                new().with_scope_window(scope, window, WindowStart::FromCapture),
                "scope_windows.doors.window: ",
            ),
            (new().with_record_life(window), "record_life"),
            (new().with_inbox_window(window), "inbox_window"),
        ]);
    }
    wrong
}

#[test]
fn what_opening_refuses_check_refuses_in_the_same_words() {
    for (config, name) in wrong() {
        let found = config.check().unwrap_err();
        assert!(found.to_string().starts_with(name), "{name}: {found}");
        let rig = Rig { config, ..Rig::new() };
        let opened = rig.try_open().unwrap_err();
        let facts = |error: &crate::Error| (error.kind(), error.code(), error.to_string());
        assert_eq!(facts(&found), facts(&opened));
        assert_eq!((found.kind(), found.code()), (ErrorKind::Invalid, "CONFIG_INVALID"));
        assert!(rig.disk.list("").unwrap().is_empty(), "{name}: nothing was made");
    }
}

#[test]
fn what_check_passes_opens_at_the_ends_of_every_range() {
    let new = || Rig::new().config;
    let doors = || Scope::new("doors").unwrap();
    let mut right = vec![
        Config::new(),
        new().with_segment_bytes(262_144).with_payload_bytes_max(65_536),
        new().with_leases_max(1).with_inbox_deliveries_max(1).with_inbox_bytes_max(1),
        new()
            .with_leases_max(u32::MAX)
            .with_inbox_deliveries_max(10_000)
            .with_inbox_bytes_max(u64::MAX),
        new().with_index_memory_bytes_max(4 * 1024 * 1024).with_record_cache_bytes_max(0),
        new().with_limits(
            Limits::new()
                .with_amount(amount(0))
                .with_sum(amount(0))
                .with_count(0)
                .with_bytes(0)
                .with_age(Duration::from_millis(0)),
        ),
    ];
    let nearly_a_minute = Duration::from_nanos(59_999_000_001);
    for window in [nearly_a_minute, Duration::from_mins(1), Duration::from_hours(400 * 24)] {
        let windows = new().with_window(window).with_record_life(window).with_inbox_window(window);
        right.push(windows.with_scope_window(doors(), window, WindowStart::FromSettle));
    }
    for config in right {
        config.check().unwrap();
        assert!(Rig { config: config.clone(), ..Rig::new() }.try_open().is_ok(), "{config:?}");
    }
}

#[test]
fn every_wrong_option_is_named_at_once() {
    let limits = Limits::new().with_amount(amount(-1)).with_sum(amount(-20_000));
    let config = Config::new()
        .with_leases_max(0)
        .with_window(Duration::from_millis(1))
        .with_inbox_bytes_max(0)
        .with_limits(limits);
    let said = config.check().unwrap_err().to_string();
    let parts: Vec<&str> = said.split("; ").collect();
    assert_eq!(parts.len(), 5, "{said}");
    assert_eq!(parts[1], "limits.sum: -2.00 must be at least 0");
    assert_eq!(parts[2], "window: 1ms must be 1m to 400d");
    assert_eq!(parts[3], "leases_max: 0 must be at least 1");
    let doors = Scope::new("doors").unwrap();
    let config = Config::new().with_scope_window(
        doors,
        Duration::from_hours(401 * 24),
        WindowStart::FromCapture,
    );
    let said = config.check().unwrap_err().to_string();
    assert_eq!(said, "scope_windows.doors.window: 401d must be 1m to 400d");
}

#[test]
fn a_limit_of_nothing_closes_a_store_for_captures_and_for_nothing_else() {
    for (limits, code) in
        [(Limits::new().with_count(0), "LIMIT_COUNT"), (Limits::new().with_bytes(0), "LIMIT_BYTES")]
    {
        let rig = Rig::new();
        let store = rig.open();
        store.capture(&event(1)).unwrap();
        store.close().unwrap();
        let store = Rig { config: rig.config.clone().with_limits(limits), ..rig }.open();
        assert_eq!(store.capture(&event(2)).unwrap_err().code(), code);
        assert!(matches!(store.capture(&event(1)).unwrap(), crate::Verdict::Duplicate { .. }));
        store.cancel(&event(1).scope, &event(1).key).unwrap();
        assert_eq!(store.capture(&event(2)).unwrap_err().code(), code);
    }
}

#[test]
fn only_what_a_host_can_choose_is_printed() {
    let shown =
        format!("{:?}", Rig::new().config.with_limits(Limits::new().with_sum(amount(11_100_000))));
    for private in ["index_log_bytes_max", "cleaning_slack_segments", "toy"] {
        assert!(!shown.contains(private), "{shown}");
    }
    assert!(
        shown.contains("sum: Some(Amount(1110.00))") && shown.contains("inbox_scope: None"),
        "{shown}"
    );
}

#[cfg(feature = "serde")]
mod files {
    use super::*;
    use crate::config::{Create, IndexReading, Retain};
    use crate::limits::WhenFull;

    /// A configuration in which nothing is as by default.
    fn other() -> Config {
        let limits = Limits::new()
            .with_bytes(1)
            .with_count(2)
            .with_age(Duration::from_millis(90_000))
            .with_amount(amount(2_500_001));
        Config::new()
            .with_segment_bytes(2 * 1024 * 1024)
            .with_payload_bytes_max(1_000)
            .with_window(Duration::from_millis(7 * 86_400_000))
            .with_scope_window(
                Scope::new("doors").unwrap(),
                Duration::from_millis(3_600_000),
                WindowStart::FromCapture,
            )
            .with_scope_window(
                Scope::new("sales").unwrap(),
                Duration::from_millis(61_500),
                WindowStart::FromSettle,
            )
            .with_index_memory_bytes_max(8 * 1024 * 1024)
            .with_index_reading(IndexReading::Mapped)
            .with_record_life(Duration::from_millis(120_000))
            .with_leases_max(7)
            .with_record_cache_bytes_max(0)
            .with_create(Create::Never)
            .with_retain(Retain::Everything)
            .with_inbox_window(Duration::from_millis(5_400_000))
            .with_inbox_deliveries_max(5)
            .with_inbox_bytes_max(99)
            .with_inbox_scope(Scope::new("acks").unwrap())
            .with_limits(limits.with_sum(amount(-10_000)).with_when_full(WhenFull::EvictOldest))
    }

    #[test]
    fn a_configuration_is_read_as_it_was_written() {
        for config in [Config::new(), other()] {
            let text = serde_json::to_string_pretty(&config).unwrap();
            let read: Config = serde_json::from_str(&text).unwrap();
            assert_eq!(format!("{read:?}"), format!("{config:?}"), "{text}");
        }
        let (this, that) = (format!("{:?}", Config::new()), format!("{:?}", other()));
        assert_ne!(this, that, "control");
    }

    #[test]
    fn a_file_has_these_names_and_every_default_when_it_is_empty() {
        let written = serde_json::to_value(other()).unwrap();
        let expected = serde_json::json!({
            "segment_bytes": 2_097_152,
            "payload_bytes_max": 1_000,
            "window": "7d",
            "scope_windows": {
                "doors": { "window": "1h", "start": "from_capture" },
                "sales": { "window": "61500ms", "start": "from_settle" },
            },
            "index_memory_bytes_max": 8_388_608,
            "index_reading": "mapped",
            "record_life": "2m",
            "leases_max": 7,
            "record_cache_bytes_max": 0,
            "create": "never",
            "retain": "everything",
            "inbox_window": "90m",
            "inbox_deliveries_max": 5,
            "inbox_bytes_max": 99,
            "inbox_scope": "acks",
            "limits": {
                "bytes": 1, "count": 2, "age": "90s", "amount": "250.0001", "sum": "-1.00",
                "when_full": "evict_oldest",
            },
        });
        assert_eq!(written, expected);
        let empty: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(format!("{empty:?}"), format!("{:?}", Config::new()));
    }

    #[test]
    fn what_is_no_option_or_no_value_of_one_is_refused_by_name() {
        let refusal = |text: &str| serde_json::from_str::<Config>(text).unwrap_err().to_string();
        for (text, named) in [
            (r#"{"windw": "7d"}"#, "`windw`, expected one of `segment_bytes`"),
            (r#"{"limits": {"cuont": 1}}"#, "`cuont`"),
            (r#"{"scope_windows": {"doors": {"window": "1h", "form": 1}}}"#, "`form`"),
            (r#"{"scope_windows": {"Doors!": {"window": "1h"}}}"#, "Doors!"),
            (r#"{"window": "7 weeks"}"#, "7 weeks"),
            (r#"{"limits": {"age": "long"}}"#, "long"),
            (r#"{"limits": {"sum": "1.00001"}}"#, "1.00001"),
            (r#"{"retain": "all"}"#, "`all`, expected `needed` or `everything`"),
            (r#"{"index_log_bytes_max": 1}"#, "`index_log_bytes_max`"),
        ] {
            let refused = refusal(text);
            assert!(refused.contains(named), "{text}: {refused}");
        }
        for (text, said) in [
            (r#"{"window": 7}"#, "integer `7`, expected a length of time such as \"7d\""),
            (r#"{"limits": {"age": 7}}"#, "integer `7`, expected a length of time such as \"7d\""),
            (
                r#"{"scope_windows": {"doors": {"window": true}}}"#,
                "a length of time such as \"7d\"",
            ),
            (
                r#"{"scope_windows": {"doors": {"start": "from_capture"}}}"#,
                "missing field `window`",
            ),
            (r#"{"limits": {"sum": 250.5}}"#, "expected an amount in quotes such as \"250.00\""),
            (r#"{"inbox_scope": 1}"#, "expected the name of a scope such as \"sales\""),
        ] {
            let refused = refusal(text);
            assert!(refused.contains(said), "{text}: {refused}");
        }
        let sum: Config = serde_json::from_str(r#"{"record_life": "1h30m"}"#).unwrap();
        assert_eq!(sum.record_life, Duration::from_mins(90));
        let short: Config =
            serde_json::from_str(r#"{"scope_windows": {"doors": {"window": "1h"}}}"#).unwrap();
        let start = short.scope_windows[&Scope::new("doors").unwrap()].start;
        assert_eq!(start, WindowStart::FromSettle);
    }
}
