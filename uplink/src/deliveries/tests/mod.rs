//! A till and a hub in memory: what passes between them is lost, repeated and broken off, and everything is worked
//! once.

mod crashes;
mod devices;
mod driver;
mod hub;
mod line;
mod refusals;
mod till;
mod windows;
