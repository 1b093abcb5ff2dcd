//! The only place that reads clocks, the boot id and random numbers.

use std::fmt::Debug;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{Error, ErrorKind, Result};

/// The clocks from which a store gets its time.
pub(crate) trait Clock: Debug + Send + Sync {
    /// Milliseconds from any zero that never run backward while this process lives. Where
    /// [`Clock::boot`] is known, the zero is the machine's start: readings of two processes can be
    /// compared.
    fn mono_ms(&self) -> u64;
    /// Wall clock, Unix milliseconds. May be wrong and may step.
    fn wall_ms(&self) -> i64;
    /// Since which start of the machine [`Clock::mono_ms`] counts; zeros if that is not known.
    fn boot(&self) -> [u8; 16];
}

/// The machine's clocks.
///
/// On Linux and Android monotonic time is `CLOCK_BOOTTIME`: it goes on while the machine is suspended,
/// and from one process to the next. A suspended till is off duty, not out of time: what the upstream
/// forgets meanwhile need not be remembered here either. Nobody can set that clock, and what it adds
/// for a sleep the kernel takes from hardware that ran on. In a time namespace it is another clock, which counts
/// as one of another start. Elsewhere it counts from when the store was
/// opened, and whether it goes on during a sleep is the system's choice: if not, keys are remembered
/// longer.
#[derive(Debug)]
pub(crate) struct OsClock {
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    started: Instant,
    boot: [u8; 16],
}

impl OsClock {
    /// The clocks of this machine, since its start if that has a number.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> Self {
        Self { boot: boot_id() }
    }

    /// A clock whose monotonic zero is now.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others use")]
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), boot: [0; 16] }
    }
}

impl Clock for OsClock {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn mono_ms(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let milliseconds = u64::try_from(now.tv_nsec / 1_000_000).unwrap_or(0);
        seconds.saturating_mul(1_000).saturating_add(milliseconds)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn mono_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn wall_ms(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        // Nanoseconds count up also before 1970.
        let milliseconds = u64::try_from(now.tv_nsec / 1_000_000).unwrap_or(0);
        now.tv_sec.saturating_mul(1_000).saturating_add_unsigned(milliseconds)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others use")]
    fn wall_ms(&self) -> i64 {
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // A machine whose clock is before 1970.
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }

    fn boot(&self) -> [u8; 16] {
        self.boot
    }
}

/// The machine's boot id; zeros where it has none.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[expect(clippy::disallowed_methods, reason = "the kernel's file, not one of the store's")]
fn boot_id() -> [u8; 16] {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .and_then(|text| uuid::Uuid::parse_str(text.trim()).ok())
        .map_or([0; 16], |id| in_namespace(*id.as_bytes(), time_offset().as_deref()))
}

/// By how much this process's monotonic clocks are off those of the machine, as the system's kernel reports it;
/// `None` where it knows no such offsets.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[expect(clippy::disallowed_methods, reason = "the kernel's file, not one of the store's")]
fn time_offset() -> Option<String> {
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets").ok()?;
    let of_boot = offsets.lines().find(|line| line.starts_with("boottime"))?;
    Some(of_boot.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
}

/// The boot id of the clock that is off by so much.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn in_namespace(boot: [u8; 16], offset: Option<&str>) -> [u8; 16] {
    match offset {
        None | Some("0 0") => boot,
        Some(offset) => {
            let mut mixed = boot;
            let numbers = offset.split(' ').filter_map(|number| number.parse::<i64>().ok());
            let bytes = numbers.flat_map(i64::to_le_bytes);
            mixed.iter_mut().zip(bytes).for_each(|(mixed, byte)| *mixed ^= byte);
            mixed
        }
    }
}

/// A new UUID of version 7, as text: later ones of this process sort behind earlier ones.
pub(crate) fn uuid_v7() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Random bytes of the operating system.
///
/// # Errors
///
/// `Io`: the system has none to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|found| {
        Error::new(
            ErrorKind::Io,
            "NO_RANDOM",
            format!("the system gives no random numbers: {found}"),
        )
    })?;
    Ok(bytes)
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_those_of_the_machine_counts_from_another_start() {
        let boot = [7; 16];
        for none in [None, Some("0 0")] {
            assert_eq!(in_namespace(boot, none), boot);
        }
        let shifted = in_namespace(boot, Some("3456000 0"));
        assert_eq!(in_namespace(boot, Some("3456000 0")), shifted);
        assert!(![boot, [0; 16], in_namespace(boot, Some("7200 0"))].contains(&shifted));
        assert_eq!(OsClock::new().boot(), boot_id(), "control: it is asked");
    }
}
