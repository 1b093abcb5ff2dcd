//! A store on a simulated disk with a clock set by hand.

mod bad_blocks;
mod cancel;
mod capture;
mod catalog;
mod cleaning;
mod clock;
mod damage_run;
mod decisions;
#[cfg(feature = "rescue")]
mod doubt;
mod expiry;
mod full;
mod healing;
mod holes;
mod inbox;
mod inbox_cleaning;
mod inbox_crashes;
mod inbox_windows;
mod inspection;
mod keys;
#[cfg(feature = "rescue")]
mod leaving;
#[cfg(feature = "rescue")]
mod leaving_crashes;
#[cfg(feature = "rescue")]
mod leaving_damage;
#[cfg(feature = "rescue")]
mod leaving_fence;
mod life;
mod limits;
mod limits_crashes;
mod lost_keys;
mod nonces;
mod opening;
mod outcomes;
mod records;
mod records_crashes;
mod records_kept;
mod records_refused;
mod review;
mod run_damage;
mod sendable;
mod settling;
mod tickets;
mod witnesses;
