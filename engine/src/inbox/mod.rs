//! What the upstream delivers to a terminal, and what becomes of it.
//!
//! A delivery is stored once, whatever is repeated: [`Inbox::receive`](crate::inbox::Inbox::receive). Work on
//! it goes step by step and resumes where it was: [`Inbox::progress`](crate::inbox::Inbox::progress). How it
//! ended travels upstream as an event: [`Inbox::ack`](crate::inbox::Inbox::ack) and
//! [`Inbox::fail`](crate::inbox::Inbox::fail).

mod answer;
mod bounds;
mod calls;
pub(crate) mod frames;
mod table;

use std::fmt;

pub(crate) use bounds::InboxBounds;
pub use calls::Inbox;
pub(crate) use table::{DeliveryTable, FinishedHere};

pub use answer::{
    DeliveryState, DropReason, DroppedDelivery, InboxStatus, Progress, Received, StoredDelivery,
};

use crate::base::bounds::{DELIVERY_ID_BYTES_MAX, WINDOW_ID_BYTES_MAX};
use crate::base::{Error, Result};
use crate::event::Payload;
use frames::{DeliveryBody, WithinBody};

/// The windows of deliveries' keys, where a frame names windows by scope: by event and by external number, and by
/// subject in a server window.
pub(crate) const INBOX: &str = "inbox:";
pub(crate) const SUBJECTS: &str = "subjects:";

/// The name of a window that the upstream issued, such as a session: text of 1 to 63 bytes.
///
/// How long it is open is decided by the upstream, see
/// [`Inbox::open_window`](crate::inbox::Inbox::open_window). Not to be confused with the window of a key,
/// which is chosen in [`Config`](crate::Config).
///
/// ```
/// use onceward::inbox::WindowId;
///
/// assert_eq!(WindowId::new("session-8f2c")?.as_str(), "session-8f2c");
/// assert!(WindowId::new("").is_err());
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WindowId(Box<str>);

impl WindowId {
    /// Checks a window's name.
    ///
    /// # Errors
    ///
    /// `Invalid`: empty, or over 63 bytes.
    pub fn new(text: &str) -> Result<Self> {
        sized("window", "WINDOW_INVALID", text, WINDOW_ID_BYTES_MAX).map(|text| Self(text.into()))
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The subject to whom something is delivered once in a window.
///
/// Who the subject is decides what a repetition is: a user's name delivers once to the user, on
/// whichever device; a name with the device in it delivers once to each device.
///
/// ```
/// use onceward::inbox::{WindowId, WindowKey};
///
/// let window = WindowId::new("session-8f2c")?;
/// let to_the_user = WindowKey::new("user-17", "survey-4", window.clone())?;
/// let to_the_device = WindowKey::new("user-17/phone", "survey-4", window)?;
/// assert_ne!(to_the_user, to_the_device);
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WindowKey {
    subject: Box<str>,
    delivery_id: Box<str>,
    window: WindowId,
}

impl WindowKey {
    /// Checks the texts: subject and delivery of 1 to 255 bytes each.
    ///
    /// # Errors
    ///
    /// `Invalid`: a text is empty or too long.
    pub fn new(subject: &str, delivery_id: &str, window: WindowId) -> Result<Self> {
        let subject = sized("subject", "SUBJECT_INVALID", subject, DELIVERY_ID_BYTES_MAX)?.into();
        let delivery_id = id("delivery_id", delivery_id)?;
        Ok(Self { subject, delivery_id, window })
    }

    /// The user, the device, or whoever gets it once.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What is delivered, such as a survey.
    #[must_use]
    pub fn delivery_id(&self) -> &str {
        &self.delivery_id
    }

    /// The window in which once is once.
    #[must_use]
    pub fn window(&self) -> &WindowId {
        &self.window
    }
}

/// Something that the upstream delivers and that must take effect here once.
///
/// It is known by every name that it has: the upstream's `event_id`, the `external_id` that its
/// origin gave it, and subject, delivery and window. If any of them was seen, it is a duplicate.
///
/// ```
/// use onceward::Payload;
/// use onceward::inbox::Delivery;
///
/// let payload = Payload::json(r#"{"price":2.40}"#)?;
/// let delivery = Delivery::new("6f1c2c1e", payload)?.with_external_id("evt_1Nx")?.with_steps(3)?;
/// assert_eq!(delivery.event_id(), Some("6f1c2c1e"));
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    event_id: Option<Box<str>>,
    external_id: Option<Box<str>>,
    within: Option<WindowKey>,
    payload: Payload,
    steps: Option<u32>,
}

impl Delivery {
    /// A delivery that is known by the upstream's number of the event: text of 1 to 255 bytes.
    ///
    /// # Errors
    ///
    /// `Invalid`: the text is empty or too long.
    pub fn new(event_id: &str, payload: Payload) -> Result<Self> {
        let event_id = Some(id("event_id", event_id)?);
        Ok(Self { event_id, external_id: None, within: None, payload, steps: None })
    }

    /// A delivery that is known by its subject and its window, and by no number of an event: in the
    /// next window, or to another subject, it is delivered once more.
    #[must_use]
    pub fn of_window(within: WindowKey, payload: Payload) -> Self {
        Self { event_id: None, external_id: None, within: Some(within), payload, steps: None }
    }

    /// Adds the number that the event's origin gave it: text of 1 to 255 bytes.
    ///
    /// # Errors
    ///
    /// `Invalid`: the text is empty or too long.
    pub fn with_external_id(mut self, external_id: &str) -> Result<Self> {
        self.external_id = Some(id("external_id", external_id)?);
        Ok(self)
    }

    /// Adds subject and window. The number of the event makes it a duplicate in the next window too, once it was
    /// acknowledged or failed; where that is not meant, use [`Delivery::of_window`]. One that is dropped with its
    /// window, unfinished, is new if it comes again, from its first step on.
    #[must_use]
    pub fn with_window(mut self, within: WindowKey) -> Self {
        self.within = Some(within);
        self
    }

    /// Sets how many steps it has, at least 1.
    ///
    /// # Errors
    ///
    /// `Invalid`: no steps.
    pub fn with_steps(mut self, steps: u32) -> Result<Self> {
        if steps == 0 {
            return Err(Error::invalid("STEP_INVALID", "steps: 0, must be at least 1"));
        }
        self.steps = Some(steps);
        Ok(self)
    }

    /// The upstream's number of the event.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    /// The number that the event's origin gave it.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }

    /// The subject that the delivery is for, and the window.
    #[must_use]
    pub fn within(&self) -> Option<&WindowKey> {
        self.within.as_ref()
    }

    /// The content.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// How many steps it has, if that is known.
    #[must_use]
    pub fn steps(&self) -> Option<u32> {
        self.steps
    }

    /// The delivery as the log has it.
    pub(crate) fn to_body(&self) -> DeliveryBody {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        DeliveryBody {
            event_id: owned(&self.event_id),
            external_id: owned(&self.external_id),
            within: self.within.as_ref().map(|within| WithinBody {
                subject: within.subject().to_owned(),
                delivery_id: within.delivery_id().to_owned(),
                window: within.window.as_str().to_owned(),
            }),
            steps: self.steps.unwrap_or(0),
            is_json: self.payload.is_json(),
            payload: self.payload.as_bytes().to_vec(),
        }
    }

    /// What the log holds; `None` if a part breaks its rule.
    pub(crate) fn of_body(body: DeliveryBody) -> Option<Self> {
        let text = |text: Option<String>| text.map(String::into_boxed_str);
        let within = body
            .within
            .map(|it| WindowKey::new(&it.subject, &it.delivery_id, WindowId::new(&it.window)?));
        Some(Self {
            event_id: text(body.event_id),
            external_id: text(body.external_id),
            within: within.transpose().ok()?,
            payload: if body.is_json {
                Payload::from_stored_json(body.payload)
            } else {
                Payload::bytes(body.payload)
            },
            steps: Some(body.steps).filter(|steps| *steps > 0),
        })
    }
}

/// Checks a number that the upstream gives.
fn id(field: &str, text: &str) -> Result<Box<str>> {
    sized(field, "ID_INVALID", text, DELIVERY_ID_BYTES_MAX).map(Into::into)
}

/// Checks that `text` has 1 to `bytes_max` bytes.
fn sized<'a>(field: &str, code: &'static str, text: &'a str, bytes_max: usize) -> Result<&'a str> {
    if text.is_empty() || text.len() > bytes_max {
        let bytes = text.len();
        let message = format!("{field}: has {bytes} bytes, must have 1 to {bytes_max}");
        return Err(Error::invalid(code, message));
    }
    Ok(text)
}

#[cfg(test)]
pub(crate) mod tests;
