//! Whose turn it is: of scopes that all have something to send each gets its part, by its weight; one that had nothing
//! for a while gets no more for that. Start-time fair queueing.

/// The cost of an item of weight 1.
const ITEM_COST: u64 = 1 << 20;

/// The turns of some scopes, by their position.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Weight, and when the last turn of each ends, in virtual time.
    of: Vec<(u32, u64)>,
    /// When the last turn began.
    now: u64,
}

impl Turns {
    /// Adds one of that weight.
    pub(super) fn add(&mut self, weight: u32) {
        self.of.push((weight.max(1), self.now));
    }

    /// All of them, whose turn it is first.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.of.len()).collect();
        order.sort_by_key(|at| self.start(*at));
        order
    }

    /// One of them takes its turn, with so many items.
    pub(super) fn take(&mut self, at: usize, items: usize) {
        let start = self.start(at);
        self.now = self.now.max(start);
        let Some((weight, end)) = self.of.get_mut(at) else { return };
        let items = u64::try_from(items.max(1)).unwrap_or(u64::MAX);
        *end = start.saturating_add(items.saturating_mul(ITEM_COST) / u64::from(*weight));
    }

    fn start(&self, at: usize) -> u64 {
        self.of.get(at).map_or(u64::MAX, |(_, end)| self.now.max(*end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many items of 3,000 each of them gets, in batches of so many.
    fn parts(weights: &[u32], items: &[usize]) -> Vec<usize> {
        let mut turns = Turns::default();
        weights.iter().for_each(|weight| turns.add(*weight));
        let mut parts = vec![0; weights.len()];
        while parts.iter().sum::<usize>() < 3_000 {
            let next = turns.order()[0];
            turns.take(next, items[next]);
            parts[next] += items[next];
        }
        parts
    }

    #[test]
    fn each_gets_its_part_by_weight_however_large_its_batches_are() {
        assert_eq!(parts(&[1, 1, 1], &[10, 10, 10]), [1_000, 1_000, 1_000]);
        let by_weight = parts(&[2, 1, 0], &[50, 10, 1]);
        assert!((1_450..=1_550).contains(&by_weight[0]), "{by_weight:?}");
        assert!((700..=800).contains(&by_weight[1]) && (700..=800).contains(&by_weight[2]));
    }

    #[test]
    fn who_had_nothing_for_a_while_gets_no_more_for_that() {
        let mut turns = Turns::default();
        [1, 1].iter().for_each(|weight| turns.add(*weight));
        (0..100).for_each(|_| turns.take(0, 10));
        let mut second = 0;
        for _ in 0..10 {
            let next = turns.order()[0];
            second += next;
            turns.take(next, 10);
        }
        assert!((5..=6).contains(&second), "{second}");
    }
}
