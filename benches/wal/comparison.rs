//! One thing and its limit, measured by Criterion one after the other and then in turn.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use onceward_benches::pairing::{Extent, Plan, Slice, paired};

/// How they are measured in turn. A slice is so short that the fastest one fits a segment.
const PLAN: Plan =
    Plan { rounds: 9, slices: 8, slice: Duration::from_millis(25), most: Duration::from_secs(60) };

/// A comparison of a thing with its limit.
#[derive(Clone, Debug)]
pub(crate) struct Comparison<'a> {
    /// The comparison's name among the bench's.
    pub(crate) name: &'a str,
    /// The amount that a piece of work does.
    pub(crate) throughput: Throughput,
}

impl Comparison<'_> {
    /// Measures both, and prints their ratio if they were not filtered out.
    pub(crate) fn run(
        self,
        criterion: &mut Criterion,
        mut thing: impl FnMut(Extent) -> Slice,
        mut floor: impl FnMut(Extent) -> Slice,
    ) {
        let Self { name, throughput } = self;
        let mut was_wanted = false;
        let mut group = criterion.benchmark_group("wal");
        // Equal counts make the samples alike; a linear series would end in one longer than a segment.
        group.sampling_mode(SamplingMode::Flat);
        group.throughput(throughput);
        group.bench_function(BenchmarkId::new(name, "log"), |b| {
            was_wanted = true;
            b.iter_custom(|count| took(count, &mut thing));
        });
        group.bench_function(BenchmarkId::new(name, "limit"), |b| {
            was_wanted = true;
            b.iter_custom(|count| took(count, &mut floor));
        });
        group.finish();
        if was_wanted {
            let extent = Extent::Lasting(PLAN.slice);
            let turns = paired(PLAN, || thing(extent), || floor(extent)).unwrap();
            println!(
                "wal, {name}, in turn, {} rounds: {turns}; {:.0} events/s, limit {:.0}",
                PLAN.rounds,
                1.0 / turns.thing.median,
                1.0 / turns.floor.median
            );
        }
    }
}

/// Time that `count` pieces of work take.
fn took(count: u64, work: &mut impl FnMut(Extent) -> Slice) -> Duration {
    let times = usize::try_from(count).unwrap();
    Duration::from_secs_f64(work(Extent::Times(times)).seconds)
}
