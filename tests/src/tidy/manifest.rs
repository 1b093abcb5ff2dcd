//! Reads as much TOML as the manifests and settings of this repository use. Judges nothing.
//!
//! One `key = value` a line, or an array over several lines; sections in `[brackets]`. Not read:
//! text over several lines, `[[arrays of tables]]` as more than a section name.

use super::SourceFile;

/// One `key = value` of a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The section's name without its brackets; empty before the first.
    pub section: String,
    /// What stands left of the `=`.
    pub key: String,
    /// What stands right of it, with single spaces and without comments.
    pub value: String,
    /// The line of the key, counted from 1.
    pub line: usize,
}

/// The entries of `file`, in order.
#[must_use]
pub fn entries(file: &SourceFile) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    let mut open_brackets = 0;
    for (number, line) in file.numbered_lines() {
        let line = without_comment(line).trim();
        let value = if open_brackets > 0 {
            if let Some(entry) = entries.last_mut() {
                entry.value.push_str(line);
            }
            line
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_owned();
            continue;
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim());
            entries.push(Entry {
                section: section.clone(),
                key,
                value: value.to_owned(),
                line: number,
            });
            value
        } else {
            continue;
        };
        open_brackets += count(value, ['[', '{']) - count(value, [']', '}']);
    }
    entries
}

/// How many of `wanted` stand in `value` outside quotes.
fn count(value: &str, wanted: [char; 2]) -> i32 {
    outside_quotes(value).filter(|(_, c)| wanted.contains(c)).map(|_| 1).sum()
}

/// `line` up to its comment.
fn without_comment(line: &str) -> &str {
    outside_quotes(line).find(|(_, c)| *c == '#').map_or(line, |(at, _)| &line[..at])
}

/// The characters of `line` that are not quoted, with their places.
fn outside_quotes(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    line.char_indices().filter(move |&(_, c)| match quote {
        Some(open) => {
            if c == open {
                quote = None;
            }
            false
        }
        None => {
            if c == '"' || c == '\'' {
                quote = Some(c);
            }
            quote.is_none()
        }
    })
}

/// The texts in quotes in `value`.
pub fn quoted(value: &str) -> impl Iterator<Item = &str> {
    value.split('"').skip(1).step_by(2)
}

/// The packages that a manifest depends on, for any purpose and target, with the line of each.
#[must_use]
pub fn dependencies(file: &SourceFile) -> Vec<(String, usize)> {
    let is_table =
        |name: &str| matches!(name, "dependencies" | "dev-dependencies" | "build-dependencies");
    let mut found = Vec::new();
    for entry in entries(file) {
        let mut parts = entry.section.rsplit('.');
        let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if before == "workspace" {
            continue;
        }
        if is_table(last) {
            let name = entry.key.split('.').next().unwrap_or_default();
            let renamed = entry.value.split_once("package =").and_then(|(_, to)| quoted(to).next());
            found.push((renamed.unwrap_or(name).to_owned(), entry.line));
        } else if is_table(before) {
            let renamed = quoted(&entry.value).next().filter(|_| entry.key == "package");
            found.push((renamed.unwrap_or(last).to_owned(), entry.line));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of a manifest as tuples.
    fn read(text: &str) -> Vec<(String, String, String, usize)> {
        entries(&SourceFile::new("Cargo.toml", text))
            .into_iter()
            .map(|entry| (entry.section, entry.key, entry.value, entry.line))
            .collect()
    }

    /// One expected entry.
    fn entry(
        section: &str,
        key: &str,
        value: &str,
        line: usize,
    ) -> (String, String, String, usize) {
        (section.to_owned(), key.to_owned(), value.to_owned(), line)
    }

    #[test]
    fn entries_carry_their_section_and_line() {
        let text = "a = 1 # one\n\n[b.c]\nd = \"#2\"\n";
        assert_eq!(read(text), [entry("", "a", "1", 1), entry("b.c", "d", "\"#2\"", 4)]);
    }

    #[test]
    fn an_array_over_several_lines_is_one_entry() {
        let text = "a = [\n    \"x\", # first\n    { k = \"]\" },\n]\nb = 2\n";
        let array = "[\"x\",{ k = \"]\" },]";
        assert_eq!(read(text), [entry("", "a", array, 1), entry("", "b", "2", 5)]);
        assert_eq!(quoted(array).collect::<Vec<_>>(), ["x", "]"]);
    }

    #[test]
    fn dependencies_are_found_however_they_are_written() {
        let text = "[workspace.dependencies]\nnot = \"1\"\n[dependencies]\na.workspace = true\n\
                    b = { package = \"real-b\", path = \"../b\" }\n[dev-dependencies]\nc = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\nd = \"1\"\n[build-dependencies.e]\n\
                    version = \"1\"\n[dependencies.f]\npackage = \"real-f\"\n[features]\nnot = []\n";
        let found = dependencies(&SourceFile::new("Cargo.toml", text));
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "real-b", "c", "d", "e", "real-f"]);
    }
}
