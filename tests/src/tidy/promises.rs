//! The document of promises names tests that exist.

use std::collections::BTreeSet;

use super::{Finding, SourceFile};

/// What the name of a test looks like: a sentence has more words than other names.
fn is_sentence(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.matches('_').count() >= 4 && name.chars().all(is_word)
}

/// Finds tests that `document` names in backticks and that no file of `rust` has.
#[must_use]
pub fn tests_missing<'a>(
    document: &SourceFile,
    rust: impl IntoIterator<Item = &'a SourceFile>,
) -> Vec<Finding> {
    let mut known = BTreeSet::new();
    for file in rust {
        let functions = file.numbered_lines().filter_map(|(_, line)| {
            let (name, _) = line
                .trim_start()
                .trim_start_matches("async ")
                .strip_prefix("fn ")?
                .split_once('(')?;
            Some(name.to_owned())
        });
        known.extend(functions);
    }
    let mut findings = Vec::new();
    for (number, line) in document.numbered_lines() {
        let quoted = line.split('`').skip(1).step_by(2).filter(|name| is_sentence(name));
        for name in quoted.filter(|name| !known.contains(*name)) {
            findings
                .push(document.finding(number, format!("names the test {name}, which is none")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_named_and_missing_is_found() {
        let text = "| it holds | `a_key_is_taken_once`, `Retain::Needed`, `fsync_data` |\n";
        let document = SourceFile::new("GUARANTEES.md", text);
        let there = SourceFile::new(
            "a/tests/b.rs",
            "    #[tokio::test]\n    async fn a_key_is_taken_once() {\n",
        );
        let other = SourceFile::new("a/tests/b.rs", "    fn a_key_is_taken_twice() {\n");
        assert!(tests_missing(&document, [&there]).is_empty());
        let found = tests_missing(&document, [&other]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().contains("a_key_is_taken_once"), "{found:?}");
    }
}
