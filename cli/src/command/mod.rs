//! One module for each command; each returns its exit code or why it failed.

pub mod api_key;
mod bundle_key;
pub mod capture;
pub mod dialect;
pub mod dump;
pub mod fault_proxy;
mod line;
pub mod repair;
pub mod rescue;
pub mod review;
pub mod serve;
mod shape;
pub mod status;
pub mod stop;
pub mod summary;
pub mod sync;
pub mod tail;
pub mod verify;
