//! What is measured on, as far as the system tells it.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::Path;

/// A load above which others are at work.
const QUIET_LOAD: f64 = 0.5;

/// The machine and the day.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) date: String,
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    pub(super) file_system: String,
    /// Of the minute before the run.
    pub(super) load: f64,
}

impl Machine {
    /// Looks at this machine and the file system of `dir`.
    ///
    /// # Errors
    ///
    /// What the system does not tell.
    pub(super) fn look(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kib: f64 = field(&memory, "MemTotal").trim_end_matches("kB").trim().parse()?;
        let load = fs::read_to_string("/proc/loadavg")?;
        let mounts = fs::read_to_string("/proc/mounts")?;
        Ok(Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            processor: field(&processors, "model name").to_owned(),
            processors: std::thread::available_parallelism()?.get(),
            memory_gib: kib / f64::from(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            file_system: file_system(&mounts, &dir.canonicalize()?).to_owned(),
            load: load.split_whitespace().next().unwrap_or_default().parse()?,
        })
    }
}

/// The value of a line `name: value`.
fn field<'t>(text: &'t str, name: &str) -> &'t str {
    let value = |line: &'t str| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then_some(value.trim())
    };
    text.lines().find_map(value).unwrap_or("unknown")
}

/// The type of the file system that is mounted nearest above `dir`.
fn file_system<'t>(mounts: &'t str, dir: &Path) -> &'t str {
    let mount = |line: &'t str| {
        let mut fields = line.split_whitespace().skip(1);
        let (at, name) = (fields.next()?, fields.next()?);
        dir.starts_with(at).then_some((at.len(), name))
    };
    // Of two at one place the later one covers the other.
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map_or("unknown", |(_, n)| n)
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, processor, processors, memory_gib, kernel, file_system, load } = self;
        write!(
            f,
            "Measured {date}: {processors} processors ({processor}), {memory_gib:.0} GiB of memory, Linux {kernel}, \
             {file_system}. The load in the minute before was {load:.2}: "
        )?;
        if *load > QUIET_LOAD {
            f.write_str("others were at work, so the figures are rougher than on a quiet machine.")
        } else {
            f.write_str("the machine was quiet when the run began.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_mounts_are_found() {
        assert_eq!(field("a\t: 1\nmodel name\t: Some CPU\n", "model name"), "Some CPU");
        assert_eq!(field("a: 1\n", "b"), "unknown");
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmpest xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/srv/x")), "ext4");
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), "tmpfs");
    }

    #[test]
    fn a_busy_machine_is_said_so() {
        let machine = Machine::look(Path::new("/")).unwrap();
        let said = |load| Machine { load, ..machine.clone() }.to_string();
        assert!(said(0.5).ends_with("the machine was quiet when the run began."));
        assert!(said(0.6).contains("others were at work"));
    }
}
