//! What takes effect here and now, with its receipt. No I/O here.

use crate::event::layout::View;
use crate::event::{Event, EventRef, Receipt, fields::Fields};

/// Something that takes effect here and now, with the receipt that every repetition of it gets.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Receipt, Scope, Store};
/// use onceward::capture::{Applied, Effect};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let event = Event::new(Scope::default(), Key::new("p-1")?, Payload::json("{}")?);
/// let effect = Effect { event, receipt: Receipt::new(b"txn_1")? };
/// let first = store.apply_batch(std::slice::from_ref(&effect))?;
/// assert!(matches!(first[0], Applied::Fresh { .. }));
/// let again = store.apply_batch(&[effect])?;
/// assert!(matches!(&again[0], Applied::Duplicate { receipt: Some(it), .. } if it.as_bytes() == b"txn_1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effect {
    /// What takes effect.
    pub event: Event,
    /// The receipt.
    pub receipt: Receipt,
}

/// An [`Effect`] whose parts are elsewhere.
///
/// ```
/// use onceward::{Config, EventRef, PayloadRef, Receipt, Scope, Store};
/// use onceward::capture::{Applied, EffectRef};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (scope, receipt) = (Scope::default(), Receipt::new(b"txn_1")?);
/// let event = EventRef::new(&scope, "p-1", PayloadRef::json("{}")?)?;
/// let applied = store.apply_batch(&[EffectRef { event, receipt: &receipt }])?;
/// assert!(matches!(applied[0], Applied::Fresh { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EffectRef<'a> {
    /// What takes effect.
    pub event: EventRef<'a>,
    /// The receipt.
    pub receipt: &'a Receipt,
}

/// What a receiver applies: an [`Effect`], or an [`EffectRef`] whose parts are elsewhere. Nothing else is one.
pub trait AnyEffect: parts::Parts {}

impl AnyEffect for Effect {}

impl AnyEffect for EffectRef<'_> {}

/// What the crate asks of any effect.
pub(super) mod parts {
    use super::{Effect, EffectRef, Fields, Receipt, View};

    /// The parts of an effect, where they are.
    #[expect(unnameable_types, private_interfaces, reason = "sealed: nobody else has an effect")]
    pub trait Parts {
        /// What its frame is made of, but for the receipt.
        fn view(&self) -> View<'_>;
        /// The receipt.
        fn receipt(&self) -> &Receipt;
    }

    #[expect(private_interfaces, reason = "sealed: nobody else has an effect")]
    impl Parts for Effect {
        fn view(&self) -> View<'_> {
            self.event.view()
        }

        fn receipt(&self) -> &Receipt {
            &self.receipt
        }
    }

    #[expect(private_interfaces, reason = "sealed: nobody else has an effect")]
    impl Parts for EffectRef<'_> {
        fn view(&self) -> View<'_> {
            self.event.view()
        }

        fn receipt(&self) -> &Receipt {
            self.receipt
        }
    }
}
