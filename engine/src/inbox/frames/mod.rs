//! The bodies of the inbox's frames. Field order and variant order are the format: never reorder.
//!
//! A number of 0 means the frame's own LSN, a time of 0 the frame's own moment: what is
//! written first says little, what cleaning carries says everything.

use bincode::{Decode, Encode};

use crate::base::codec::Control;

/// A window that the upstream issued.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) enum WindowFrame {
    /// The upstream opened a server window, or repeated its times.
    Opened(WindowOpened),
    /// A server window is over.
    Closed(WindowClosed),
    /// How many deliveries were dropped so far, when nothing else says it.
    Counted {
        /// Deliveries that were stored and dropped, since the store was made.
        dropped_total: u64,
    },
}

/// A window is open.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct WindowOpened {
    /// LSN of the frame that opened it first; 0: this one.
    pub(in crate::inbox) number: u64,
    /// What the upstream calls it.
    pub(in crate::inbox) id: String,
    /// Trusted time at which it was opened first; without a number, that of this frame.
    pub(in crate::inbox) opened_ms: u64,
    /// Trusted time at which it is over.
    pub(in crate::inbox) ends_ms: u64,
}

/// A window is over.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct WindowClosed {
    /// The window's number; 0: it was not open.
    pub(in crate::inbox) number: u64,
    /// What the upstream calls it.
    pub(in crate::inbox) id: String,
    /// The window's unfinished deliveries: dropped with this frame.
    pub(in crate::inbox) dropped: Vec<u64>,
    /// Deliveries that were stored and dropped since the store was made, with these.
    pub(in crate::inbox) dropped_total: u64,
}

/// What the upstream delivers.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) enum DeliveryFrame {
    /// A delivery came.
    Received {
        /// How far the wall clock was then from what the run's beginning says.
        wall_offset_ms: i64,
        /// The delivery.
        body: DeliveryBody,
    },
    /// An unfinished delivery was carried.
    Moved(DeliveryMoved),
    /// Finished ones moved: of each only its keys and how it ended.
    Finished(Vec<FinishedEntry>),
}

/// A delivery as it came.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct DeliveryBody {
    /// The upstream's number of the event.
    pub(in crate::inbox) event_id: Option<String>,
    /// The number that the event's origin gave it.
    pub(in crate::inbox) external_id: Option<String>,
    /// The subject that the delivery is for, and the window.
    pub(in crate::inbox) within: Option<WithinBody>,
    /// Steps that it has; 0: not known.
    pub(in crate::inbox) steps: u32,
    /// The payload is JSON.
    pub(in crate::inbox) is_json: bool,
    /// The payload.
    pub(in crate::inbox) payload: Vec<u8>,
}

/// The subject that a delivery is for, and the window.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct WithinBody {
    /// The user or the device.
    pub(in crate::inbox) subject: String,
    /// What is delivered to it once a window.
    pub(in crate::inbox) delivery_id: String,
    /// The window.
    pub(in crate::inbox) window: String,
}

/// An unfinished delivery whose first frame is gone.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct DeliveryMoved {
    /// LSN of its first frame.
    pub(in crate::inbox) number: u64,
    /// Trusted time at which it came.
    pub(in crate::inbox) trusted_ms: u64,
    /// Wall clock when it came, Unix milliseconds; the lowest number: nobody knows.
    pub(in crate::inbox) wall_ms: i64,
    /// The last step that is done; 0 for none.
    pub(in crate::inbox) done: u32,
    /// Trusted time at which the slice of each of its keys began, in the keys' order.
    pub(in crate::inbox) slice_begins: Vec<u64>,
    /// The delivery.
    pub(in crate::inbox) body: DeliveryBody,
}

/// A finished delivery whose first frame is gone.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct FinishedEntry {
    /// LSN of its first frame.
    pub(in crate::inbox) number: u64,
    /// Code of a [`DeliveryState`](crate::inbox::DeliveryState).
    pub(in crate::inbox) state: u8,
    /// The event that reports the end to the upstream; 0 for none.
    pub(in crate::inbox) event: u64,
    /// The delivery's keys that are still remembered.
    pub(in crate::inbox) keys: Vec<FinishedKey>,
}

/// A key of a finished delivery.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct FinishedKey {
    /// The key's fingerprint.
    pub(in crate::inbox) fingerprint: u128,
    /// Whether the key is of a server window.
    pub(in crate::inbox) is_of_window: bool,
    /// Trusted time at which its slice began.
    pub(in crate::inbox) slice_begin: u64,
    /// Trusted time of the last settlement in its slice.
    pub(in crate::inbox) settled_ms: u64,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) enum ProgressFrame {
    /// A step is done, and those before it.
    Step {
        /// The delivery.
        delivery: u64,
        /// The step, counted from 1.
        step: u32,
    },
    /// A delivery is finished.
    Final(DeliveryEnd),
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct DeliveryEnd {
    /// The delivery.
    pub(in crate::inbox) delivery: u64,
    /// Code of a [`DeliveryState`](crate::inbox::DeliveryState).
    pub(in crate::inbox) state: u8,
    /// Trusted time at which it was finished; 0: that of this frame.
    pub(in crate::inbox) settled_ms: u64,
    /// The event that reports the end to the upstream; 0: the frame behind this one.
    pub(in crate::inbox) event: u64,
}

impl Control for WindowFrame {
    const VERSION: u16 = 1;
}
impl Control for DeliveryFrame {
    const VERSION: u16 = 1;
}
impl Control for ProgressFrame {
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests;
