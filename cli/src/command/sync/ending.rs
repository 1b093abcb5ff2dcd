//! How a run ended: the exit code, with the reason on stderr when it is not 0.
//!
//! | what holds first, from above                         | code |
//! |------------------------------------------------------|-----:|
//! | something could not be stored for want of room        |    7 |
//! | the credentials were refused                          |    6 |
//! | the configuration is at fault                         |    8 |
//! | events are still pending, with `--once`               |    5 |
//! | events went to review                                 |    9 |

use onceward::sync::Report;

use super::summary::Summary;
use crate::{
    exit::Exit,
    output::{chatter, complain},
};

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
    pub(super) fn conclude(&self, summary: &Summary, once: bool) -> Exit {
        let report = &self.report;
        if report.strangers > 0 || report.missing > 0 {
            chatter(&format!(
                "replies named {} unknown items and left out {}",
                report.strangers, report.missing
            ));
        }
        if report.readdressed > 0 {
            complain(&format!(
                "{} events were sent to another address, in another dialect or under another name before, without \
                 an answer, and may have been taken there: they go to this upstream now",
                report.readdressed
            ));
        }
        tell_of_reviews(report);
        let exit = self.judge(summary, once);
        if report.is_full {
            complain(&format!(
                "the disk is full: not everything that came of it could be stored, and {} events are still \
                 pending",
                summary.pending
            ));
            return Exit::Full;
        }
        exit
    }

    /// The same, whatever the disk has room for.
    fn judge(&self, summary: &Summary, once: bool) -> Exit {
        let Self { report, by_signal, .. } = self;
        let why = self.why.as_deref().unwrap_or("not every event was answered");
        if report.blocked {
            complain(&format!("the upstream refused the credentials or this version: {why}"));
            return Exit::Credentials;
        }
        if let Some(why) = &report.misconfigured {
            complain(&format!("{why} {} events are still pending", summary.pending));
            return Exit::Upstream;
        }
        // What nobody was asked about speaks for no upstream.
        let rejected = report.rejected.saturating_sub(report.parked);
        if once && report.suspects > 0 && report.accepted + report.duplicate + rejected == 0 {
            complain(&format!(
                "none of the events that were sent was taken: is the address right, and the dialect? {} events are \
                 still pending: {why}",
                summary.pending
            ));
            return Exit::Upstream;
        }
        if *by_signal && summary.pending > 0 {
            let before = self.why.as_ref().map(|why| format!("; what failed last: {why}"));
            complain(&format!(
                "stopped by a signal, {} events are still pending{}",
                summary.pending,
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
                    "; 'onceward review list' shows it".to_owned()
                }
                _ => format!(": {why}"),
            };
            let behind = summary.behind_shown();
            complain(&format!("{pending} events are still pending{behind}{why}"));
            return Exit::Pending;
        }
        if report.rejected > 0 { Exit::Review } else { Exit::Ok }
    }
}

/// Says on stderr how many events a run put in review.
pub(super) fn tell_of_reviews(report: &Report) {
    if report.rejected > 0 {
        complain(&format!(
            "{} events went to review; 'onceward review list' shows what waits there",
            report.rejected
        ));
    }
}
