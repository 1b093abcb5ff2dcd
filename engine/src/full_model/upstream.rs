//! An upstream with moods. It applies each key once, and remembers all.

use std::collections::BTreeMap;

use crate::Receipt;
use crate::sync::{Answered, Batch, Failure, ItemOutcome, Reply};
use crate::testing::draw::Draw;

/// How the upstream answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mood {
    /// The upstream answers as it should.
    Well,
    /// The upstream applies what comes, and the reply is lost.
    LosesReply,
    /// The upstream cannot be reached.
    Away,
    /// Every item fails for now.
    Busy,
    /// Some items fail for now, some are left out.
    Half,
    /// Most items fail for now.
    Slow,
    /// Every item that it does not have is refused for good, with many words.
    Refuses,
    /// Some are.
    Picky,
    /// The batch is refused as a whole.
    Poisoned,
    /// The batch is too large, unless it is small.
    TooLarge,
}

pub(super) const MOODS: [Mood; 10] = [
    Mood::Well,
    Mood::LosesReply,
    Mood::Away,
    Mood::Busy,
    Mood::Half,
    Mood::Slow,
    Mood::Refuses,
    Mood::Picky,
    Mood::Poisoned,
    Mood::TooLarge,
];

/// What it has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Upstream {
    /// Effects by key.
    pub(super) effects: BTreeMap<String, u64>,
}

impl Upstream {
    /// Answers a batch.
    pub(super) fn take(
        &mut self,
        batch: &Batch,
        mood: Mood,
        draw: &mut Draw,
    ) -> Result<Reply, Failure> {
        let (why, answered) = ("timeout".to_owned(), Answered::Nobody);
        let away = || Failure::Unavailable { why: why.clone(), retry_after_ms: None, answered };
        match mood {
            Mood::Away => return Err(away()),
            Mood::Poisoned => {
                let (code, message) = ("RULE".to_owned(), "an item breaks it".to_owned());
                return Err(Failure::Refused { code, message });
            }
            Mood::TooLarge if batch.items().len() > 3 => return Err(Failure::TooLarge),
            _ => {}
        }
        let mut items = Vec::new();
        for item in batch.items() {
            let key = item.key.to_owned();
            let some = draw.below(3) == 0;
            match mood {
                Mood::Half if draw.below(9) == 0 => continue,
                Mood::Busy | Mood::Half | Mood::Slow
                    if mood == Mood::Busy || some == (mood == Mood::Half) =>
                {
                    let code = "INTERNAL_ERROR".to_owned();
                    items.push((key, ItemOutcome::Transient { code, retry_after_ms: None }));
                }
                Mood::Refuses | Mood::Picky
                    if !self.effects.contains_key(&key) && (mood == Mood::Refuses || some) =>
                {
                    items.push((key, refused()));
                }
                _ => items.push((key.clone(), self.apply(key))),
            }
        }
        if mood == Mood::LosesReply { Err(away()) } else { Ok(Reply::of(items)) }
    }

    /// Applies an item, and gives the longest receipt.
    fn apply(&mut self, key: String) -> ItemOutcome {
        let receipt = Receipt::new(format!("{key:0>64}").as_bytes()).ok();
        let effects = self.effects.entry(key).or_default();
        if *effects == 0 {
            *effects = 1;
            ItemOutcome::Accepted { receipt }
        } else {
            ItemOutcome::Duplicate { receipt }
        }
    }
}

/// A refusal for good, in as many words as a store keeps.
fn refused() -> ItemOutcome {
    ItemOutcome::Rejected {
        code: "CARD_NOT_FOUND".to_owned(),
        message: "m".repeat(512),
        reply: vec![b'r'; 1_024],
    }
}
