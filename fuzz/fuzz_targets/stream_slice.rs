//! No bytes make the reader of a slice of the segment stream panic or hold more than their size bounds, a flipped bit
//! is seen, and an event that passes is the same one when it is sent again.

#![no_main]

mod held;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    onceward_fuzz::slice::read(data, |run| held::most_while(run));
});
