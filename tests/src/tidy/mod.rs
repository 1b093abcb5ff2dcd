//! Checks of the source tree itself: sizes, names, imports, and facts that stand in two places.
//!
//! Each check is a pure function from a file's text to findings, so that it can be shown to fail. Only
//! [`tree`] reads the disk. What the compiler, rustfmt and clippy already check is not repeated here.

use std::fmt;

pub mod arrows;
pub mod caps;
pub mod codes;
pub mod manifest;
pub mod mentions;
pub mod methods;
pub mod modules;
pub mod promises;
pub mod settings;
pub mod sources;
pub mod tiers;
pub mod tree;

/// One file of the repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceFile {
    /// Path from the root of the repository, with `/` between its parts.
    pub path: String,
    /// The whole content.
    pub text: String,
}

impl SourceFile {
    /// Makes a file from its path and text.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The lines with their numbers, which count from 1.
    pub fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// True if the file's name ends with `.extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    /// A finding about this file.
    #[must_use]
    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }
}

/// Something that breaks a rule, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Path from the root of the repository.
    pub path: String,
    /// Line, counted from 1; 1 where the whole file is meant.
    pub line: usize,
    /// The rule and what breaks it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The places in `line` where `word` stands as a whole word.
///
/// Letters, digits and `_` belong to a word.
pub fn word_positions<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let belongs = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(belongs) && !after.is_some_and(belongs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_inside_a_longer_word_is_not_that_word() {
        let found: Vec<_> = word_positions("wal wall a_wal wal::x", "wal").collect();
        assert_eq!(found, [0, 15]);
    }

    #[test]
    fn a_finding_prints_as_an_editor_can_follow_it() {
        let finding = SourceFile::new("wal/src/lib.rs", "").finding(7, "too long");
        assert_eq!(finding.to_string(), "wal/src/lib.rs:7: too long");
    }
}
