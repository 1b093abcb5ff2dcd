//! The files that come with the crate, to use as they are or to start from.

/// Names of the files in `uplink/dialects/`, and what is in them.
///
/// ```
/// use onceward_uplink::{BUILT_IN, HttpDialect};
///
/// for (name, text) in BUILT_IN {
///     assert!(HttpDialect::from_toml(text).is_ok(), "{name}");
/// }
/// ```
pub const BUILT_IN: [(&str, &str); 5] = [
    ("cloudevents", include_str!("../../../dialects/cloudevents.toml")),
    ("cloudevents-batch", include_str!("../../../dialects/cloudevents-batch.toml")),
    ("stripe-like", include_str!("../../../dialects/stripe-like.toml")),
    ("webhook", include_str!("../../../dialects/webhook.toml")),
    ("wede-single", include_str!("../../../dialects/wede-single.toml")),
];
