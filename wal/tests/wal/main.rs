//! A log keeps what it confirmed, whatever disks, crashes, threads and readers do to it.
//! Method: each module opens with its own promise and method; those at the end are what they share.

#![cfg(test)]

mod background;
mod blocks;
mod by_hand;
mod cheap_flash;
mod closing;
mod crash;
mod crash_states;
mod damaged_files;
mod doubtful;
mod filling;
mod following;
mod full;
mod ground;
mod interrupted;
mod known;
mod long_logs;
mod marks;
mod misplaced;
mod panics;
mod poison;
mod promised;
mod reading;
mod recovery;
mod recovery_of_files;
mod recycling;
mod repair;
mod sealing;
mod self_written;
mod system_calls;
mod threads;
mod trusted_time;
mod unreadable;

mod between;
mod scenario;
mod stops;
mod told;
mod watched;
