//! What both ends of a line agree on, written once: JSON that every reader understands alike, and moments as text.

mod json;
mod moment;
mod slice;

/// Most bytes of an item in a message of the dialects of this program's hub, as it is sent without white space.
///
/// ```
/// assert_eq!(onceward::wire::ITEM_BYTES_MAX, 65_536);
/// ```
pub const ITEM_BYTES_MAX: usize = 65_536;

/// Most bytes of a code, name or key in such an item.
///
/// ```
/// assert_eq!(onceward::wire::TEXT_BYTES_MAX, 255);
/// ```
pub const TEXT_BYTES_MAX: usize = 255;

pub use json::{JSON_LEVELS_MAX, JSON_MEMBERS_MAX, JsonFault, check_json, member_path};
pub use moment::{MomentFault, parse_rfc3339, rfc3339};
pub use slice::{
    SliceFault, StreamEntry, StreamSlice, begin_slice, end_slice, push_entry, slice_outline,
};
