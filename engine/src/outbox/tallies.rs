//! How many events of each scope are at which stage, and what their amounts come to: counted with every change, so
//! that asking looks at no event. No I/O, no clock, no lock here.

#[cfg(test)]
use super::Live;
use super::{Counted, Stage};

/// A number of events, and the sum of their amounts in ten-thousandths.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) count: u64,
    pub(crate) sum: i128,
}

/// The events of one scope without a final answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ScopeCounts {
    pub(crate) pending: Count,
    pub(crate) in_flight: Count,
    pub(crate) in_review: Count,
    pub(crate) uncertain: Count,
}

impl ScopeCounts {
    /// The events at a stage.
    fn at(&mut self, stage: Stage) -> &mut Count {
        match stage {
            Stage::Pending => &mut self.pending,
            Stage::InFlight(_) => &mut self.in_flight,
            Stage::InReview => &mut self.in_review,
            Stage::Uncertain => &mut self.uncertain,
        }
    }
}

/// All events without a final answer, by the number of their scope.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tallies {
    by_scope: Vec<ScopeCounts>,
    /// The counts of all scopes together.
    total: ScopeCounts,
    /// Sum of the amounts of all.
    sum: i128,
    /// Bytes of their frames.
    bytes: u64,
}

impl Tallies {
    /// Events of a scope that are at the same stage are among them.
    pub(super) fn add(&mut self, scope: usize, stage: Stage, counted: &Counted) {
        if self.by_scope.len() <= scope {
            self.by_scope.resize(scope + 1, ScopeCounts::default());
        }
        self.sum += counted.sum;
        self.bytes = self.bytes.saturating_add(counted.bytes);
        self.enter(scope, stage, counted);
    }

    /// Events of a scope that are at the same stage are none of them any more.
    pub(super) fn remove(&mut self, scope: usize, stage: Stage, counted: &Counted) {
        self.sum -= counted.sum;
        self.bytes = self.bytes.saturating_sub(counted.bytes);
        self.leave(scope, stage, counted);
    }

    /// Events of a scope that are at the same stage come to another one.
    pub(super) fn set_stage(
        &mut self,
        (scope, before): (usize, Stage),
        stage: Stage,
        counted: &Counted,
    ) {
        self.leave(scope, before, counted);
        self.enter(scope, stage, counted);
    }

    fn enter(&mut self, scope: usize, stage: Stage, counted: &Counted) {
        for counts in self.by_scope.get_mut(scope).into_iter().chain([&mut self.total]) {
            let count = counts.at(stage);
            count.count = count.count.saturating_add(counted.count);
            count.sum += counted.sum;
        }
    }

    fn leave(&mut self, scope: usize, stage: Stage, counted: &Counted) {
        for counts in self.by_scope.get_mut(scope).into_iter().chain([&mut self.total]) {
            let count = counts.at(stage);
            count.count = count.count.saturating_sub(counted.count);
            count.sum -= counted.sum;
        }
    }

    /// The events of a scope.
    pub(crate) fn of(&self, scope: usize) -> ScopeCounts {
        self.by_scope.get(scope).copied().unwrap_or_default()
    }

    /// Each scope's number, and its events.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = (usize, &ScopeCounts)> {
        self.by_scope.iter().enumerate()
    }

    /// The events of all scopes.
    pub(crate) fn all(&self) -> ScopeCounts {
        self.total
    }

    /// Sum of the amounts of all, in ten-thousandths.
    pub(crate) fn sum(&self) -> i128 {
        self.sum
    }

    /// Bytes that the frames of all take in the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The counts, made anew from the events.
    #[cfg(test)]
    pub(super) fn recount<'a>(events: impl Iterator<Item = &'a Live>) -> Self {
        let mut tallies = Self::default();
        events.for_each(|live| tallies.add(live.scope, live.stage, &live.counted()));
        tallies
    }

    /// Whether both count the same; scopes without events do not matter.
    #[cfg(test)]
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let scopes = self.by_scope.len().max(other.by_scope.len());
        (0..scopes).all(|scope| self.of(scope) == other.of(scope))
            && (self.total, self.sum, self.bytes) == (other.total, other.sum, other.bytes)
    }
}
