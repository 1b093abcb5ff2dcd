//! A run while it lasts: how far it is, and why not further.

use indicatif::{ProgressBar, ProgressStyle};
use onceward::sync::Report;
use onceward_uplink::{Control, Error};

use super::{
    ending::{Run, tell_of_reviews},
    online::Online,
    refused,
};
use crate::{args::SyncArgs, command::stop::Stop, exit::Failure, output::chatter};

/// Who sees the progress.
pub(super) type Observe<'a> = &'a mut (dyn FnMut(&Report) + Send);

/// Runs an uploader that has `total` events to send, and shows what comes of it. One that goes on for ever is stopped
/// where only other arguments would help.
///
/// # Errors
///
/// Those of the uploader.
pub(super) fn watch(
    (total, args): (u64, &SyncArgs),
    control: &Control,
    stop: Stop,
    run: impl FnOnce(Observe<'_>) -> Result<Report, Error>,
) -> Result<Run, Failure> {
    let once = args.once;
    let online = (!once).then(|| Online::listen(control));
    let bar = progress(total);
    let mut last = Report::default();
    let mut news = News::default();
    let report = run(&mut |report| {
        last.clone_from(report);
        bar.set_position(report.accepted + report.duplicate + report.rejected);
        if !stop.is_asked()
            && let Some(why) = news.of(report)
            && !once
        {
            bar.suspend(|| chatter(why));
        }
        if !once && (report.blocked || report.misconfigured.is_some()) {
            // The arguments of this process will not change by themselves.
            control.stop();
        }
    });
    drop(online);
    // What follows is the end in order, if one came.
    let by_signal = stop.is_asked();
    bar.finish_and_clear();
    match report {
        Ok(report) => {
            // A request that the end cut off has failed for that.
            let why = if by_signal { news.why } else { report.last_failure.clone() };
            Ok(Run { report, why, by_signal })
        }
        Err(error) => {
            tell_of_reviews(&last, &args.store);
            Err(refused("cannot sync", &error))
        }
    }
}

/// A bar on stderr if that is a terminal.
fn progress(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("sending {bar:40} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}

/// Why nothing is delivered, for a person who watches: printed when it changes, not for each attempt.
#[derive(Default)]
struct News {
    /// The last failure.
    why: Option<String>,
    /// Whole-batch failures so far.
    failures: u64,
    /// Events that had been delivered when something was printed last.
    delivered: u64,
}

impl News {
    /// What is new in `report`.
    fn of(&mut self, report: &Report) -> Option<&str> {
        let why = report.last_failure.clone();
        let delivered = report.accepted + report.duplicate + report.rejected;
        let fails_again = report.failures > self.failures && delivered > self.delivered;
        let is_news = why != self.why || fails_again;
        (self.why, self.failures) = (why, report.failures);
        if !is_news {
            return None;
        }
        self.delivered = delivered;
        self.why.as_deref()
    }
}
