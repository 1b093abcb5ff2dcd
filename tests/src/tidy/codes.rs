//! The table of error codes has every code of the engine, and no other.

use std::collections::BTreeMap;

use super::{Finding, SourceFile};

/// Folders whose errors a host of the engine meets.
const FOLDERS: [&str; 2] = ["engine/src/", "wal/src/"];

/// Words in capitals that are no codes: the kinds of the events that end a delivery.
const OTHER_WORDS: [&str; 2] = ["ACK", "FAIL"];

/// Finds codes that the tables of `document` lack, or have and that no file of `rust` gives.
///
/// Every string literal in capitals counts as a code, however it gets into an error, so that none can be overlooked.
#[must_use]
pub fn codes_differ<'a>(
    document: &SourceFile,
    rust: impl IntoIterator<Item = &'a SourceFile>,
) -> Vec<Finding> {
    let mut given = BTreeMap::new();
    for file in rust.into_iter().filter(|file| is_in_use(&file.path)) {
        for (line, code) in codes_of(file) {
            given.entry(code).or_insert_with(|| (file, line));
        }
    }
    let rows = document.numbered_lines().filter_map(|(number, line)| {
        let (code, _) = line.strip_prefix("| `")?.split_once("` |")?;
        Some((code, number))
    });
    let listed: BTreeMap<_, _> = rows.collect();
    let lacks = |code: &str| format!("the code {code} is not in {}", document.path);
    let missing = given.iter().filter(|(code, _)| !listed.contains_key(**code));
    let missing = missing.map(|(code, (file, line))| file.finding(*line, lacks(code)));
    let stale = listed.iter().filter(|(code, _)| !given.contains_key(**code));
    let stale =
        stale.map(|(code, line)| document.finding(*line, format!("no error has the code {code}")));
    missing.chain(stale).collect()
}

/// True for a file of a folder whose errors hosts meet that is no test and no help of tests.
fn is_in_use(path: &str) -> bool {
    let is_of_tests = |part: &str| {
        let name = part.strip_suffix(".rs").unwrap_or(part);
        ["model", "testing", "tests"].iter().any(|word| {
            name == *word || name.strip_suffix(word).is_some_and(|head| head.ends_with('_'))
        })
    };
    FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.split('/').any(is_of_tests)
}

/// The literals in capitals of a file, with their lines; those of its tests, which are at its end, are left out.
fn codes_of(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    file.numbered_lines()
        .take_while(|(_, line)| line.trim_end() != "mod tests {")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(number, line)| {
            // Whatever is between two quotes, also where a literal began on a line before; bytes are no text.
            let between = line.split('"').zip(line.split('"').skip(1));
            let texts = between.filter(|(before, _)| !before.ends_with('b'));
            texts.map(move |(_, word)| (number, word))
        })
        .filter(|(_, word)| is_code(word) && !OTHER_WORDS.contains(word))
}

/// What a code looks like.
fn is_code(word: &str) -> bool {
    let may_be = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(may_be)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings for a table with these codes.
    fn found(codes: &[&str], sources: &[SourceFile]) -> Vec<String> {
        let rows: Vec<_> = codes.iter().map(|code| format!("| `{code}` | Full | now |")).collect();
        let document = SourceFile::new("engine/ERRORS.md", &rows.join("\n"));
        codes_differ(&document, sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_code_that_the_table_lacks_and_one_that_is_no_more_are_found() {
        let text =
            "fn f() {\n    Error::new(\n        Kind::Full,\n        \"NO_ROOM\",\n    );\n}\n";
        let source = [SourceFile::new("engine/src/a/mod.rs", text)];
        assert!(found(&["NO_ROOM"], &source).is_empty());
        let lacks = found(&[], &source);
        assert_eq!(lacks.len(), 1, "{lacks:?}");
        assert!(lacks[0].starts_with("engine/src/a/mod.rs:4: the code NO_ROOM"), "{lacks:?}");
        let stale = found(&["GONE", "NO_ROOM"], &source);
        assert_eq!(stale, ["engine/ERRORS.md:1: no error has the code GONE"]);
    }

    #[test]
    fn constants_and_arms_have_codes_and_comments_kinds_and_tests_have_none() {
        let text = "/// As \"IN_DOC\".\nconst A: &str = \"AN_A\";\n    Self::B => (Kind::Io, \"IO\"),\n\
                    let kind = (\"ACK\", *b\"MAGIC\");\n#[cfg(test)]\nmod tests {\n    let c = \"IN_TEST\";\n}\n";
        let source = |path| SourceFile::new(path, text);
        assert_eq!(found(&["AN_A", "IO"], &[source("wal/src/a.rs")]), [""; 0]);
        let tests = ["engine/src/a/tests/b.rs", "engine/src/crash_tests.rs", "cli/src/a.rs"];
        assert_eq!(found(&[], &tests.map(source)), [""; 0]);
    }
}
