//! Why nothing can be sent, where it is not for a single event.

use onceward::sync::Report;

/// Why nothing can be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// No server is reached, or none that has what is needed at this moment.
    Unreachable(String),
    /// The credentials are refused, or do not permit what is needed.
    Blocked(String),
    /// The stream is not there, or not as it must be.
    Misdirected(String),
}

impl Trouble {
    /// Says it in a report.
    pub(super) fn tell(&self, report: &mut Report) {
        let why = match self {
            Self::Unreachable(why) => {
                report.unreachable = true;
                why
            }
            Self::Blocked(why) => {
                report.blocked = true;
                why
            }
            Self::Misdirected(why) => {
                report.misconfigured = Some(format!("{why};"));
                why
            }
        };
        report.last_failure = Some(why.clone());
    }

    /// Whether trying again changes nothing before somebody mended it.
    pub(super) fn is_lasting(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }
}
