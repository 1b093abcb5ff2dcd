//! What becomes of a request on its way.

use crate::sync::{Answered, Failure};
use crate::testing::draw::Draw;

/// How long a terminal waits for an answer.
pub(super) const TIMEOUT_MS: u64 = 15_000;
/// How much later than its answer was due a copy of a request may arrive.
const LATE_MS: u64 = 120_000;

/// How the line is for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Weather {
    /// Requests and replies arrive.
    Good,
    /// Each of the faults comes now and then.
    Bad,
    /// No connection comes about.
    Down,
    /// The upstream refuses whatever comes.
    Refusing,
}

/// What becomes of one request.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It does not arrive, and the terminal hears so then.
    Lost { after_ms: u64 },
    /// It arrives, and its answer comes then, as it is or spoilt.
    Answered { after_ms: u64, spoilt: Spoilt },
    /// It arrives, and the answer is lost.
    Unanswered { arrives_ms: u64 },
    /// It arrives twice; the answer to the first comes then.
    Twice { after_ms: u64, again_ms: u64 },
    /// The terminal gives it up, and it arrives later than that.
    Late { arrives_ms: u64 },
    /// Somebody answers for the upstream, which gets nothing.
    Refused { after_ms: u64, failure: Failure },
}

/// What is wrong with an answer by item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Spoilt {
    Not,
    /// Some items failed for now.
    Picky,
    /// In another order.
    Shuffled,
    /// Without some of the items.
    Short,
    /// With one that nobody sent.
    Stranger,
    /// With two outcomes for one.
    Contradiction,
}

/// Draws the fate of a request.
pub(super) fn fate(draw: &mut Draw, weather: Weather) -> Fate {
    let after_ms = 20 + draw.below(400);
    match weather {
        Weather::Good => Fate::Answered { after_ms, spoilt: Spoilt::Not },
        Weather::Down => Fate::Lost { after_ms: draw.of(&[5, 5, TIMEOUT_MS]) },
        Weather::Refusing => Fate::Refused { after_ms, failure: refusal(draw) },
        Weather::Bad => match draw.below(12) {
            0 => Fate::Lost { after_ms: draw.of(&[5, TIMEOUT_MS]) },
            1 | 2 => Fate::Unanswered { arrives_ms: after_ms },
            3 => Fate::Twice { after_ms, again_ms: after_ms + draw.below(LATE_MS) },
            4 => Fate::Late { arrives_ms: TIMEOUT_MS + draw.below(LATE_MS) },
            5 => Fate::Refused { after_ms, failure: refusal(draw) },
            6 => Fate::Answered { after_ms: draw.below(TIMEOUT_MS), spoilt: Spoilt::Not },
            _ => {
                let all = [
                    Spoilt::Picky,
                    Spoilt::Shuffled,
                    Spoilt::Short,
                    Spoilt::Stranger,
                    Spoilt::Contradiction,
                ];
                Fate::Answered { after_ms, spoilt: draw.of(&all) }
            }
        },
    }
}

/// What whoever refuses says.
fn refusal(draw: &mut Draw) -> Failure {
    let wish = draw.of(&[None, Some(0), Some(2_000), Some(30_000), Some(u64::MAX)]);
    let unavailable = |answered| Failure::Unavailable {
        why: "503".to_owned(),
        retry_after_ms: wish.filter(|ms| *ms < u64::MAX),
        answered,
    };
    match draw.below(4) {
        0 => unavailable(Answered::Upstream),
        1 => unavailable(Answered::Stranger),
        2 => Failure::InProgress { retry_after_ms: wish.filter(|ms| *ms < u64::MAX) },
        _ => unavailable(Answered::Nobody),
    }
}
