//! What the words, codes and statuses of an upstream mean. None means two things.

use std::collections::BTreeMap;

use toml::Spanned;

use super::fault::{Found, found};
use super::file::{MeaningTable, ReplyTable};

/// What a word, a code or a status means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// It took effect now.
    Accepted,
    /// It had taken effect before.
    Duplicate,
    /// It is refused for good.
    Rejected,
    /// Nobody knows whether it took effect.
    Uncertain,
    /// It failed for now.
    Transient,
    /// The request as a whole is refused.
    Refused,
    /// Credentials or version are refused.
    Blocked,
    /// The same is being worked on.
    InProgress,
    /// The request has too many bytes.
    TooLarge,
    /// The batch's key is taken.
    BatchKeyRefused,
    /// The key never came.
    Unknown,
}

impl Meaning {
    /// Whether an event that has it is done.
    pub(super) fn confirms(self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate)
    }

    /// Whether only a reply about one event can say it by a status.
    pub(super) fn is_of_one(self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate | Self::Rejected | Self::Uncertain)
    }

    /// All of them, by the name of their tables.
    pub(super) fn tables(
        reply: &ReplyTable,
    ) -> [(Self, &'static str, Option<&Spanned<MeaningTable>>); 11] {
        [
            (Self::Accepted, "accepted", reply.accepted.as_ref()),
            (Self::Duplicate, "duplicate", reply.duplicate.as_ref()),
            (Self::Rejected, "rejected", reply.rejected.as_ref()),
            (Self::Uncertain, "uncertain", reply.uncertain.as_ref()),
            (Self::Transient, "transient", reply.transient.as_ref()),
            (Self::Refused, "refused", reply.refused.as_ref()),
            (Self::Blocked, "blocked", reply.blocked.as_ref()),
            (Self::InProgress, "in_progress", reply.in_progress.as_ref()),
            (Self::TooLarge, "too_large", reply.too_large.as_ref()),
            (Self::BatchKeyRefused, "batch_key_refused", reply.batch_key_refused.as_ref()),
            (Self::Unknown, "unknown", reply.unknown.as_ref()),
        ]
    }
}

/// All that has a meaning.
#[derive(Clone, Debug, Default)]
pub(super) struct Lexicon {
    /// By the word of a result.
    pub(super) words: BTreeMap<String, Meaning>,
    /// By the code of a result or a refusal.
    pub(super) codes: BTreeMap<String, Meaning>,
    /// By the status of an answer.
    pub(super) statuses: BTreeMap<u16, Meaning>,
}

/// What the word and the code of a result mean together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Judged {
    /// This.
    As(Meaning),
    /// Nobody said what they mean.
    Unknown,
    /// One confirms, the other does not.
    Contradiction,
    /// There is neither.
    Silent,
}

impl Lexicon {
    /// Reads all tables of a reply, which is the table of that name.
    pub(super) fn load(reply: &ReplyTable, table: &str) -> Result<Self, Found> {
        let mut lexicon = Self::default();
        for (meaning, name, tables) in Meaning::tables(reply) {
            let Some(MeaningTable { words, codes, statuses }) = tables.map(Spanned::get_ref) else {
                continue;
            };
            let path = |list: &str| format!("{table}.{name}.{list}");
            for word in words {
                check_text(word, &path("words"))?;
                add(&mut lexicon.words, word, meaning, &path("words"))?;
            }
            for code in codes {
                check_text(code, &path("codes"))?;
                add(&mut lexicon.codes, code, meaning, &path("codes"))?;
            }
            for status in statuses {
                if !(200..=599).contains(status.get_ref()) {
                    let what = format!("{} is no status of an answer", status.get_ref());
                    return Err(found(status, path("statuses"), what, "200 to 599"));
                }
                add(&mut lexicon.statuses, status, meaning, &path("statuses"))?;
            }
        }
        Ok(lexicon)
    }

    /// Whether a code says that an event took effect.
    pub(super) fn accepts_codes(&self) -> bool {
        self.codes.values().any(|meaning| *meaning == Meaning::Accepted)
    }

    /// What a result means that has this word and this code.
    ///
    /// A code makes a word that does not confirm more precise. It takes nothing from one that confirms, and never
    /// makes a failure a success: only a duplicate.
    pub(super) fn judge(&self, word: Option<&str>, code: Option<&str>) -> Judged {
        let by_code = code.map(|code| self.codes.get(code).copied());
        let Some(word) = word else {
            return match by_code {
                None => Judged::Silent,
                Some(None) => Judged::Unknown,
                // Where words are documented, success has one.
                Some(Some(Meaning::Accepted)) if !self.words.is_empty() => Judged::Contradiction,
                Some(Some(meaning)) => Judged::As(meaning),
            };
        };
        match (self.words.get(word).copied(), by_code) {
            (None, _) => Judged::Unknown,
            (Some(meaning), None) => Judged::As(meaning),
            (Some(word), Some(Some(code))) if word.confirms() && code.confirms() => {
                let is_known = [word, code].contains(&Meaning::Duplicate);
                Judged::As(if is_known { Meaning::Duplicate } else { word })
            }
            (Some(word), Some(_)) if word.confirms() => Judged::Contradiction,
            (Some(_), Some(Some(Meaning::Accepted))) => Judged::Contradiction,
            (Some(_), Some(Some(code))) => Judged::As(code),
            (Some(word), Some(None)) => Judged::As(word),
        }
    }
}

/// A word or code is a text.
fn check_text(at: &Spanned<String>, field: &str) -> Result<(), Found> {
    if at.get_ref().is_empty() {
        return Err(found(at, field, "an empty text is as none", "a text of one letter or more"));
    }
    Ok(())
}

/// Notes what something means that has no meaning yet.
fn add<T: Clone + Ord + std::fmt::Debug>(
    to: &mut BTreeMap<T, Meaning>,
    at: &Spanned<T>,
    meaning: Meaning,
    field: &str,
) -> Result<(), Found> {
    let Some(before) = to.insert(at.get_ref().clone(), meaning) else { return Ok(()) };
    let what = if before == meaning { "is there twice" } else { "means two things" };
    Err(found(at, field, format!("{:?} {what}", at.get_ref()), "each in one list, once"))
}
