//! How many batches may be on their way at once: one more for each that is answered, up to what the host allows; a
//! single one after the line failed, until it answers; and from half of what failed last on only one more for each
//! round, so that an upstream which takes a few at a time is not overrun again and again.

use crate::sync::Options;

/// The number of batches that may be on their way.
#[derive(Debug)]
pub(super) struct SendWindow {
    /// What the host allows.
    max: usize,
    now: usize,
    /// From here on it grows slowly.
    slow_from: usize,
    /// Answers since it grew last, where it grows slowly.
    answers: usize,
}

impl SendWindow {
    /// One batch, until it is answered.
    pub(super) fn new(options: &Options) -> Self {
        let max = options.window_max.unwrap_or(1);
        Self { max, now: 1, slow_from: max, answers: 0 }
    }

    /// Whether another batch may go while so many are on their way.
    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.now
    }

    /// A batch was answered.
    pub(super) fn grow(&mut self) {
        self.answers += 1;
        if self.now < self.slow_from || self.answers >= self.now {
            self.now = self.now.saturating_add(1).min(self.max);
            self.answers = 0;
        }
    }

    /// The line failed, or the upstream is busy, while as many could be on their way as now.
    pub(super) fn shrink(&mut self) {
        self.slow_from = (self.now / 2).max(1);
        self.now = 1;
        self.answers = 0;
    }

    /// The line is another one: what was learned of it counts no more.
    pub(super) fn forget(&mut self) {
        self.slow_from = self.max;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Scope;

    fn window(max: usize) -> SendWindow {
        SendWindow::new(&Options::new(Scope::default()).with_window(max))
    }

    /// How many may be on their way.
    fn room(window: &SendWindow) -> usize {
        (0..).find(|in_flight| !window.has_room(*in_flight)).unwrap()
    }

    #[test]
    fn each_answer_lets_one_more_go_up_to_what_is_allowed() {
        let mut window = window(4);
        let rooms = [1, 2, 3, 4, 4].map(|_| {
            let now = room(&window);
            window.grow();
            now
        });
        assert_eq!(rooms, [1, 2, 3, 4, 4]);
    }

    #[test]
    fn after_a_failure_one_goes_and_above_half_of_what_failed_only_one_more_a_round() {
        let mut window = window(16);
        (0..15).for_each(|_| window.grow());
        window.shrink();
        assert_eq!(room(&window), 1);
        (0..7).for_each(|_| window.grow());
        assert_eq!(room(&window), 8, "fast up to half");
        (0..7).for_each(|_| window.grow());
        assert_eq!(room(&window), 8);
        window.grow();
        assert_eq!(room(&window), 9, "after a round of eight");
        window.shrink();
        window.forget();
        (0..15).for_each(|_| window.grow());
        assert_eq!(room(&window), 16);
    }

    #[test]
    fn a_window_of_one_is_one_batch_at_a_time_for_ever() {
        let mut window = window(0);
        (0..9).for_each(|_| window.grow());
        assert_eq!(room(&window), 1);
        window.shrink();
        assert_eq!(room(&window), 1);
    }
}
