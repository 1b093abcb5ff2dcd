//! Runs a model under many schedules, always the same ones for the same seed.
//!
//! | variable | meaning |
//! |---|---|
//! | `ONCEWARD_SCHEDULES` | how many for each scheduler, 1000 if it is not set |
//! | `ONCEWARD_SEED` | which ones |
//! | `ONCEWARD_SCHEDULE_DIR` | a folder for the schedule that fails; otherwise it is printed |
//! | `ONCEWARD_SCHEDULE_FILE` | a schedule that failed, to be run again alone |

#![expect(clippy::unwrap_used, reason = "for tests: a failure is a panic")]

use std::{
    env,
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, RoundRobinScheduler, Scheduler},
};

use super::stalling::StallingScheduler;

/// Far more than any of the models needs: one that goes on for so long goes on for ever.
const STEPS_MAX: usize = 100_000;
/// Reading a log back, or a checkpoint, takes more than a schedule's usual stack.
const STACK_BYTES: usize = 512 * 1024;
/// Changes of priority, and one: how many steps must be in a certain order for a bug to show.
const DEPTH: usize = 4;

/// Runs `model` under many schedules, each on a fresh copy of what `prepare` makes; under fewer where one takes
/// `cost` times as long as those of others.
///
/// # Panics
///
/// As the model does, or if nobody can go on.
pub fn explore<T: Send + Sync + 'static>(
    name: &'static str,
    cost: u64,
    prepare: fn() -> T,
    copy: fn(&T) -> T,
    model: fn(T),
) {
    let prepared = Arc::new(OnceLock::new());
    let to = Arc::clone(&prepared);
    Runner::new(RoundRobinScheduler::new(1), config()).run(move || {
        assert!(to.set(prepare()).is_ok(), "prepared once");
    });
    let run = |by: &str, scheduler: Chosen| {
        let prepared = Arc::clone(&prepared);
        run(name, by, scheduler, move || model(copy(prepared.get().unwrap())));
    };
    if let Ok(file) = env::var("ONCEWARD_SCHEDULE_FILE") {
        run("replay", Box::new(ReplayScheduler::new_from_file(file).unwrap()));
        return;
    }
    let seed = number("ONCEWARD_SEED", 1);
    let count = usize::try_from(number("ONCEWARD_SCHEDULES", 1000).div_ceil(cost)).unwrap();
    run("random", Box::new(RandomScheduler::new_from_seed(seed, count)));
    run("stalling", Box::new(StallingScheduler::new_from_seed(seed, count)));
    run("pct", Box::new(PctScheduler::new_from_seed(seed, DEPTH, count)));
}

/// A scheduler of any sort.
type Chosen = Box<dyn Scheduler + Send>;

/// Runs a model under one scheduler, and says how far it came.
#[expect(clippy::disallowed_methods, reason = "how long it took decides nothing")]
fn run(name: &'static str, by: &str, scheduler: Chosen, model: impl Fn() + Send + Sync + 'static) {
    let began = Instant::now();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        Runner::new(scheduler, config()).run(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            model();
        });
    }));
    let count = count.load(Ordering::SeqCst);
    let how = if ended.is_ok() { "schedules" } else { "schedules, the last of which FAILED" };
    let seconds = began.elapsed().as_secs_f32();
    let mut out = io::stdout().lock();
    writeln!(out, "{name:<60} {by:<8} {count:>7} {how} {seconds:.1}s").unwrap();
    if let Err(panic) = ended {
        panic::resume_unwind(panic);
    }
}

/// Settings of shuttle.
fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    // That memory orders are not modelled is known.
    config.silence_warnings = true;
    if let Ok(folder) = env::var("ONCEWARD_SCHEDULE_DIR") {
        config.failure_persistence = FailurePersistence::File(Some(PathBuf::from(folder)));
    }
    config
}

/// A number from the environment.
fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}
