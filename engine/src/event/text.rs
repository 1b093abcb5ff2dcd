//! The text of a label, in memory that labels share: a copy of one allocates nothing, and those of events that were
//! read together are parts of one text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// The text of a label.
#[derive(Clone)]
pub(super) enum LabelText {
    /// One that the program has.
    Fixed(&'static str),
    /// A part of a text.
    Part { all: Arc<str>, from: u32, to: u32 },
}

impl LabelText {
    /// The part of a text at these offsets, which are between characters.
    pub(super) fn part(all: &Arc<str>, range: Range<usize>) -> Self {
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self::Part { all: Arc::clone(all), from: at(range.start), to: at(range.end) }
    }

    /// Puts the text in of which this is a part.
    pub(super) fn share(&mut self, with: &Arc<str>) {
        if let Self::Part { all, .. } = self {
            all.clone_from(with);
        }
    }

    /// The text itself.
    #[inline]
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Part { all, from, to } => {
                let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
                all.get(at(*from)..at(*to)).unwrap_or_default()
            }
        }
    }
}

impl From<&str> for LabelText {
    fn from(text: &str) -> Self {
        let to = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self::Part { all: text.into(), from: 0, to }
    }
}

impl From<String> for LabelText {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Debug for LabelText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl PartialEq for LabelText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for LabelText {}

impl PartialOrd for LabelText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LabelText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for LabelText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::{DefaultHasher, Hash};

    use super::*;

    #[test]
    fn a_part_is_as_a_text_of_its_own() {
        let all: Arc<str> = "till-1till-2".into();
        let (part, own, fixed) =
            (LabelText::part(&all, 6..12), LabelText::from("till-2"), LabelText::Fixed("till-2"));
        let hash = |text: &LabelText| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        for text in [&part, &own, &fixed] {
            assert_eq!((text.as_str(), text), ("till-2", &part));
            assert_eq!((format!("{text:?}"), hash(text)), ("\"till-2\"".to_owned(), hash(&part)));
        }
        assert!(LabelText::part(&all, 0..6) < own);
        assert_eq!(BTreeSet::from([part, own, fixed]).len(), 1);
    }
}
