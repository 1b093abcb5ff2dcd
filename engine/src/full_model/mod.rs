//! Random histories of a store on a full disk: whatever happened before, an upstream that is well in the
//! end drains it, without room being made outside.
//!
//! | file | what |
//! |---|---|
//! | `run` | a store, its disk and its upstream, and what happens to them |
//! | `upstream` | an upstream with moods |
//! | `tests` | the normal run |

mod run;
mod tests;
mod upstream;

/// Numbers from a seed: SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of these.
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}
