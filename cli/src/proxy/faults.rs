//! Which fault comes when: decided by a seed alone, so that a run can be repeated. No I/O here.

/// What happens to one request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// No fault: the request and its reply are carried.
    None,
    /// The connection breaks in the middle of the request.
    CutRequest,
    /// The hub applies the request, and the connection breaks in the middle of the reply.
    CutReply,
    /// The hub applies the request, and the reply never arrives.
    LoseReply,
    /// The hub gets the request twice at once; one of the replies arrives.
    Repeat,
    /// The request is dropped, and connections are refused for a while.
    Refuse,
    /// The hub is killed while it works on the request.
    KillHub,
    /// The uploader is killed before it learns of the reply.
    KillUploader,
}

/// The faults to come.
#[derive(Debug)]
pub struct Plan {
    /// Where chance comes from.
    chance: Chance,
    /// Faults that come first, in reverse.
    next: Vec<Fault>,
    /// Kills still to come, the earliest last: each after this many items were delivered.
    kills: Vec<(u64, Fault)>,
}

impl Plan {
    /// A plan for an upload of `items`: every fault at least once, the kills at a third and at half of the way.
    #[must_use]
    pub fn new(seed: u64, items: u64) -> Self {
        let mut next = OPENING.to_vec();
        next.reverse();
        let kills = vec![(items / 2, Fault::KillUploader), (items / 3, Fault::KillHub)];
        Self { chance: Chance(seed), next, kills }
    }

    /// What happens to the next request, given how many items were delivered so far.
    pub fn draw(&mut self, delivered: u64) -> Fault {
        if let Some((_, kill)) =
            self.kills.pop_if(|(after, _)| delivered >= *after && delivered > 0)
        {
            return kill;
        }
        if self.next.is_empty() {
            self.next = DECK.to_vec();
            self.chance.shuffle(&mut self.next);
        }
        self.next.pop().unwrap_or(Fault::None)
    }

    /// Yes or no, evenly.
    pub fn toss(&mut self) -> bool {
        self.chance.below(2) == 1
    }
}

/// A small generator of numbers (SplitMix64): the same seed, the same numbers, on every machine.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    /// The next number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..end`; the slight unevenness does not matter here.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// Brings the items into any order (Fisher and Yates).
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last.saturating_add(1)));
        }
    }
}

/// What the first requests meet, so that even a short upload meets everything.
const OPENING: [Fault; 6] = [
    Fault::LoseReply,
    Fault::CutRequest,
    Fault::Repeat,
    Fault::CutReply,
    Fault::Refuse,
    Fault::None,
];

/// What later requests meet, in an order that chance decides anew for each round.
const DECK: [Fault; 12] = [
    Fault::CutRequest,
    Fault::CutReply,
    Fault::LoseReply,
    Fault::LoseReply,
    Fault::Repeat,
    Fault::Refuse,
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::None,
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The faults of an upload that delivers 100 items whenever a reply arrives.
    fn faults(seed: u64, items: u64) -> Vec<Fault> {
        let mut plan = Plan::new(seed, items);
        let (mut delivered, mut drawn) = (0, Vec::new());
        while delivered < items {
            let fault = plan.draw(delivered);
            drawn.push(fault);
            if matches!(fault, Fault::None | Fault::Repeat) {
                delivered += 100;
            }
        }
        drawn
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_does_not() {
        assert_eq!(faults(7, 7_000), faults(7, 7_000));
        assert_ne!(faults(7, 7_000), faults(8, 7_000));
    }

    #[test]
    fn even_a_short_upload_meets_every_fault() {
        for seed in 0..50 {
            let mut counts = HashMap::new();
            for fault in faults(seed, 300) {
                *counts.entry(fault).or_insert(0) += 1;
            }
            assert_eq!(counts.len(), 8, "seed {seed}: {counts:?}");
            assert_eq!(counts[&Fault::KillHub], 1);
            assert_eq!(counts[&Fault::KillUploader], 1);
        }
    }
}
