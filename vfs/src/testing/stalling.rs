//! A scheduler that holds a thread back, as a busy machine does.
//!
//! A uniformly random walk hardly ever leaves a thread behind while others do a whole group, and
//! one by priorities must change several of them at the right steps for it. Here every thread is
//! stopped for a while now and then, whatever it is doing, and the others walk at random.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "for tests: a failure is a panic"
)]

use shuttle::scheduler::{RandomScheduler, Schedule, Scheduler, Task, TaskId};

/// A random walk in which one thread at a time stands still.
#[derive(Debug)]
pub(super) struct StallingScheduler {
    /// Counts the schedules, and gives models their random numbers.
    inner: RandomScheduler,
    state: u64,
    stalled: Option<TaskId>,
    /// Steps until another one is chosen.
    left: u64,
    /// Out of eight steps, how many stay with the thread that made the last one.
    staying: u64,
}

impl StallingScheduler {
    /// A scheduler that makes `count` schedules.
    pub(super) fn new_from_seed(seed: u64, count: usize) -> Self {
        let inner = RandomScheduler::new_from_seed(seed, count);
        Self { inner, state: seed, stalled: None, left: 0, staying: 0 }
    }

    /// A random number below `count`. (SplitMix64.)
    fn any(&mut self, count: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % count
    }

    /// A random one of the tasks; `None` if there is none.
    fn one_of(&mut self, tasks: &[TaskId]) -> Option<TaskId> {
        let count = u64::try_from(tasks.len()).unwrap();
        (count > 0).then(|| tasks[usize::try_from(self.any(count)).unwrap()])
    }
}

impl Scheduler for StallingScheduler {
    fn new_execution(&mut self) -> Option<Schedule> {
        (self.stalled, self.left) = (None, 0);
        self.staying = self.any(8);
        self.inner.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let mut able: Vec<TaskId> = runnable.iter().map(|task| task.id()).collect();
        if self.left == 0 {
            self.stalled = self.one_of(&able);
            self.left = 1 + self.any(60);
        }
        self.left -= 1;
        // It goes on if all the others wait for it.
        if able.len() > 1 {
            able.retain(|task| Some(*task) != self.stalled);
        }
        let stays = current.filter(|task| able.contains(task) && !is_yielding);
        if self.any(8) < self.staying && stays.is_some() { stays } else { self.one_of(&able) }
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}
