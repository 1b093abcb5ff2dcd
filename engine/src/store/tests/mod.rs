//! A store on a simulated disk with a clock set by hand.

mod bad_blocks;
mod cleaning;
mod damage_run;
mod earlier;
mod expiry;
mod full;
mod healing;
mod holes;
mod keeper;
mod keys;
mod life;
pub(crate) mod lost_keys;
mod nonces;
mod opening;
mod printed;
mod protocol;
mod run_damage;
mod summaries;
mod unchecked;
mod unread;
