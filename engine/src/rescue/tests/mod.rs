//! Leaving a store.

#[cfg(feature = "rescue")]
pub(crate) mod calls;
#[cfg(feature = "rescue")]
mod crashes;
#[cfg(feature = "rescue")]
mod damage;
#[cfg(feature = "rescue")]
mod doubt;
#[cfg(feature = "rescue")]
mod fence;
