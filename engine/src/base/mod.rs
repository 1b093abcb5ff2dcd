//! What everything else is built on: errors, clocks, moments, kinds of frames and where frames are. Knows no
//! area and no kernel.

mod boot;
pub(crate) mod bounds;
pub(crate) mod clock;
pub(crate) mod codec;
mod error;
#[cfg(test)]
pub(crate) mod golden;
mod kind;
mod located;
pub(crate) mod looked;
mod moment;
mod monitor;
pub(crate) mod observe;
pub(crate) mod panics;
pub(crate) mod places;
mod report;
pub(crate) mod shown;
mod state;
pub(crate) mod time_text;
mod whole_ms;

pub use boot::BootId;
pub(crate) use error::GROUND_MOVED;
pub use error::{Error, ErrorKind, Result};
pub(crate) use kind::{EventPart, FrameKind};
pub(crate) use located::Located;
pub(crate) use moment::{Moment, Origin, Wall, WrittenAt};
pub(crate) use monitor::Monitor;
pub use report::{Damage, RecoveryReport, StoreId, Unmeasured};
pub use state::State;
pub(crate) use whole_ms::{whole_ms, whole_ms_down};
