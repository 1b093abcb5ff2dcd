//! A log whose files were damaged, moved or forged opens without a panic, shows only what was appended,
//! is silent about no loss, and goes on.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| onceward_fuzz::directory::open(data));
