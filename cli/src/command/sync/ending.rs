//! How a run ended: the exit code, with the reason on stderr when it is not 0.
//!
//! | what holds first, from above                         | code |
//! |------------------------------------------------------|-----:|
//! | something could not be stored for want of room        |    7 |
//! | the credentials were refused                          |    6 |
//! | the configuration is at fault                         |    8 |
//! | events are still pending, with `--once`               |    5 |
//! | events went to review                                 |    9 |

use std::path::Path;

use onceward::sync::Report;

use super::summary::Summary;
use crate::{
    args::SyncArgs,
    exit::Exit,
    output::{chatter, complain, counted},
};

/// The code by which an upstream says that the history it has is not that of the store.
const FORKED: &str = "HISTORY_FORKED";

/// How a run ended.
pub(super) struct Run {
    /// The report of the run.
    pub(super) report: Report,
    /// The last failure that was not brought about by the end.
    pub(super) why: Option<String>,
    /// Whether a signal ended it.
    pub(super) by_signal: bool,
}

impl Run {
    /// Reports on stderr what came of the run, and returns the exit code for it.
    pub(super) fn conclude(&self, summary: &Summary, args: &SyncArgs) -> Exit {
        let report = &self.report;
        if report.strangers > 0 || report.missing > 0 {
            chatter(&format!(
                "replies named {} and left out {}",
                counted(report.strangers, "unknown item", "unknown items"),
                report.missing
            ));
        }
        if report.readdressed > 0 {
            complain(&format!(
                "{} sent to another address, in another dialect or under another name before, without an answer, and \
                 may have been taken there: what was sent goes to this upstream now",
                counted(report.readdressed, "event was", "events were")
            ));
        }
        tell_of_reviews(report, &args.store);
        let exit = self.judge(summary, args);
        if report.is_full {
            complain(&format!(
                "the disk is full: not everything that came of it could be stored, and {}",
                still_pending(summary)
            ));
            return Exit::Full;
        }
        exit
    }

    /// The same, whatever the disk has room for.
    fn judge(&self, summary: &Summary, args: &SyncArgs) -> Exit {
        let Self { report, by_signal, .. } = self;
        let once = args.once;
        let why = self.why.as_deref().unwrap_or("not every event was answered");
        if report.blocked {
            complain(&format!("the upstream refused the credentials or this version: {why}"));
            return Exit::Credentials;
        }
        if let Some(why) = &report.misconfigured {
            let end = if why.ends_with('?') { "" } else { ";" };
            complain(&format!("{why}{end} {}", still_pending(summary)));
            if why.contains(FORKED) {
                complain(&format!(
                    "find out which store is the terminal's; if it is this one, send by 'onceward sync --store {} \
                     --once --accept-fork' and the rest as it was",
                    args.store.display()
                ));
            }
            return Exit::Upstream;
        }
        // What nobody was asked about speaks for no upstream.
        let rejected = report.rejected.saturating_sub(report.parked);
        if once && report.suspects > 0 && report.accepted + report.duplicate + rejected == 0 {
            complain(&format!(
                "none of the events that were sent was taken: is the address right, and the dialect? {}: {why}",
                still_pending(summary)
            ));
            return Exit::Upstream;
        }
        if *by_signal && summary.pending > 0 {
            let before = self.why.as_ref().map(|why| format!("; what failed last: {why}"));
            complain(&format!(
                "stopped by a signal, {}{}",
                still_pending(summary),
                before.unwrap_or_default()
            ));
            if once {
                return Exit::Pending;
            }
        } else if once && (summary.pending > 0 || report.unreachable) {
            let pending = summary.pending;
            let why = match summary.behind {
                // What failed besides is not why they wait.
                count if count == pending && count > 0 => {
                    format!("; '{}' shows it", list_of_reviews(&args.store))
                }
                _ => format!(": {why}"),
            };
            let behind = summary.behind_shown();
            complain(&format!("{}{behind}{why}", still_pending(summary)));
            return Exit::Pending;
        }
        if report.rejected > 0 { Exit::Review } else { Exit::Ok }
    }
}

/// Says on stderr how many events a run put in review.
pub(super) fn tell_of_reviews(report: &Report, store: &Path) {
    if report.rejected > 0 {
        complain(&format!(
            "{} went to review; '{}' shows what waits there",
            counted(report.rejected, "event", "events"),
            list_of_reviews(store)
        ));
    }
}

/// The command that shows what waits for a person.
fn list_of_reviews(store: &Path) -> String {
    format!("onceward review list --store {}", store.display())
}

/// How many events a run leaves, in words.
fn still_pending(summary: &Summary) -> String {
    format!("{} still pending", counted(summary.pending, "event is", "events are"))
}
