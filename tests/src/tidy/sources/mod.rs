//! Rules about one file of Rust or TOML: size, characters, names, notes, its first lines.

use std::collections::BTreeSet;

use super::{Finding, SourceFile, word_positions};

/// A file of Rust has fewer lines than this: one concept, read in one sitting.
pub const LINES_LIMIT: usize = 400;

/// A line of comment or documentation has at most this many columns.
///
/// Code is held to 100 by rustfmt, which leaves comments alone. Prose reads well a little wider: one comment line in
/// twelve has more than 100 columns.
pub const COMMENT_COLUMNS_MAX: usize = 120;

/// Module names that say nothing about what is inside, so that everything ends up there.
const EMPTY_NAMES: [&str; 8] =
    ["common", "helper", "helpers", "misc", "types", "util", "utilities", "utils"];

/// A note that must not reach the main branch. In two halves, so that this file is clean too.
const BROKEN: &str = concat!("FIX", "ME");

/// A note of what is missing; needs a sentence that says what.
const MISSING: &str = concat!("TO", "DO");

/// The folder whose crate may hold `unsafe` anywhere: the C interface.
const MAY_BE_UNSAFE: &str = "capi";

/// The one other file that may: the maps of real files.
const UNSAFE_FILE: &str = "vfs/src/os/map.rs";

/// The root of the crate of [`UNSAFE_FILE`], which can only deny what one file may do.
const UNSAFE_FILE_ROOT: &str = "vfs/src/lib.rs";

/// The attribute that every other crate root carries.
const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";

/// The attribute that stands in its place at [`UNSAFE_FILE_ROOT`].
const DENY_UNSAFE: &str = "#![deny(unsafe_code)]";

/// Finds files of [`LINES_LIMIT`] lines or more.
#[must_use]
pub fn too_long(file: &SourceFile) -> Vec<Finding> {
    let line_count = file.text.lines().count();
    if line_count < LINES_LIMIT {
        return Vec::new();
    }
    vec![file.finding(LINES_LIMIT, format!("{line_count} lines; a file has under {LINES_LIMIT}"))]
}

/// Finds lines of comment or documentation with more than [`COMMENT_COLUMNS_MAX`] columns.
///
/// A row of a table may be longer, since it cannot be broken.
#[must_use]
pub fn comment_too_wide(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.numbered_lines() {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        let is_row = comment.trim_start_matches(['/', '!']).trim_start().starts_with('|');
        let column_count = line.chars().count();
        if column_count > COMMENT_COLUMNS_MAX && !is_row {
            let what =
                format!("{column_count} columns; a comment has at most {COMMENT_COLUMNS_MAX}");
            findings.push(file.finding(number, what));
        }
    }
    findings
}

/// Finds modules with children that are a file beside their folder, `x.rs` and `x/`, instead of `x/mod.rs`.
///
/// Clippy's `self_named_module_files` sees only what it compiles: not the fuzz targets, and not what a feature or a
/// `cfg` leaves out. The root of a test program, benchmark, example or program may have a folder of its name.
#[must_use]
pub fn module_beside_its_folder<'a>(
    files: impl IntoIterator<Item = &'a SourceFile>,
) -> Vec<Finding> {
    let files: Vec<_> = files.into_iter().filter(|file| file.has_extension("rs")).collect();
    let folders: BTreeSet<_> = files.iter().flat_map(|file| folders_above(&file.path)).collect();
    let mut findings = Vec::new();
    for file in files {
        let folder = file.path.trim_end_matches(".rs");
        if folders.contains(folder) && !is_target_root(&file.path) {
            findings.push(file.finding(1, format!("a module with children is {folder}/mod.rs")));
        }
    }
    findings
}

/// The folders that hold `path`, from the root of the repository.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// True for the root file of something that Cargo builds beside the library.
fn is_target_root(path: &str) -> bool {
    let folder = path.rsplit('/').nth(1);
    let may_hold_roots = ["benches", "bin", "examples", "fuzz_targets", "tests"];
    let inside_a_library = path.contains("/src/") && folder != Some("bin");
    folder.is_some_and(|name| may_hold_roots.contains(&name)) && !inside_a_library
}

/// Finds characters outside ASCII, which look alike, hide, or turn the line around.
#[must_use]
pub fn not_ascii(file: &SourceFile) -> Vec<Finding> {
    let strange = |line: &str| line.chars().find(|c| !c.is_ascii());
    file.numbered_lines()
        .filter_map(|(number, line)| strange(line).map(|c| (number, c)))
        .map(|(number, c)| file.finding(number, format!("not ASCII: U+{:04X}", u32::from(c))))
        .collect()
}

/// Finds modules whose name says nothing, as a file, as a folder, or declared in the text.
#[must_use]
pub fn empty_module_names(file: &SourceFile) -> Vec<Finding> {
    let says_nothing = |name: &str| EMPTY_NAMES.contains(&name);
    let what = |name: &str| format!("module `{name}`: name it after what it holds");
    let mut findings = Vec::new();
    for part in file.path.split('/') {
        let name = part.strip_suffix(".rs").unwrap_or(part);
        if says_nothing(name) {
            findings.push(file.finding(1, what(name)));
        }
    }
    for (number, line) in file.numbered_lines() {
        if let Some(name) = declared_module(line).filter(|name| says_nothing(name)) {
            findings.push(file.finding(number, what(name)));
        }
    }
    findings
}

/// The name of the module that `line` declares.
fn declared_module(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) => rest.strip_prefix('(').map_or(rest, |rest| {
            rest.split_once(')').map_or(rest, |(_, after_visibility)| after_visibility)
        }),
        None => line,
    };
    let name = line.trim_start().strip_prefix("mod ")?;
    name.split([' ', ';', '{']).next()
}

/// Finds notes of broken code, and notes of missing code that do not say what is missing.
#[must_use]
pub fn unfinished(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.numbered_lines() {
        if word_positions(line, BROKEN).next().is_some() {
            findings.push(file.finding(number, format!("{BROKEN} must not reach the main branch")));
        }
        for at in word_positions(line, MISSING) {
            if !says_what(&line[at + MISSING.len()..]) {
                findings.push(file.finding(number, format!("{MISSING} does not say what")));
            }
        }
    }
    findings
}

/// True if what follows a note, after an optional `(reference)` and a colon, is at least two words.
fn says_what(after: &str) -> bool {
    let after = match after.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or("", |(_, rest)| rest),
        None => after,
    };
    after.strip_prefix(':').is_some_and(|text| text.split_whitespace().count() >= 2)
}

/// Finds crate roots that do not forbid `unsafe`.
#[must_use]
pub fn unsafe_not_forbidden(file: &SourceFile) -> Vec<Finding> {
    let wanted = if file.path == UNSAFE_FILE_ROOT { DENY_UNSAFE } else { FORBID_UNSAFE };
    let exempt = file.path.split('/').next() == Some(MAY_BE_UNSAFE);
    let forbids = file.text.lines().any(|line| [wanted, FORBID_UNSAFE].contains(&line.trim_end()));
    if exempt || forbids || !is_root(&file.path) {
        return Vec::new();
    }
    vec![file.finding(1, format!("a crate root without {wanted}"))]
}

/// Finds `unsafe`, and lints lifted for it, in a crate that may hold it only in `UNSAFE_FILE`.
#[must_use]
pub fn unsafe_out_of_place(file: &SourceFile) -> Vec<Finding> {
    let folder = |path: &str| path.split('/').next().map(str::to_owned);
    if file.path == UNSAFE_FILE || folder(&file.path) != folder(UNSAFE_FILE) {
        return Vec::new();
    }
    let lifts = |code: &str| {
        word_positions(code, "unsafe_code").next().is_some() && code.trim() != DENY_UNSAFE
    };
    file.numbered_lines()
        .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
        .filter(|(_, code)| word_positions(code, "unsafe").next().is_some() || lifts(code))
        .map(|(number, _)| file.finding(number, format!("`unsafe` belongs in {UNSAFE_FILE}")))
        .collect()
}

/// True for the first file of a member's library or program.
#[must_use]
pub fn is_root(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        [_, "src", "lib.rs" | "main.rs"] | [_, "src", "bin", _, "main.rs"] => true,
        [_, "src", "bin", name] => name.ends_with(".rs"),
        _ => false,
    }
}

/// Finds files of tests that do not open with their promise and their method.
///
/// That is every file directly in a crate's `tests/` and in the folder `tests/` itself, and the files of a
/// program that is a folder there. They open with `//! <the promise>`, and the same comment has a line
/// `//! Method: <how>`.
#[must_use]
pub fn promise_or_method_missing(file: &SourceFile) -> Vec<Finding> {
    if !is_test_file(&file.path) {
        return Vec::new();
    }
    let opening: Vec<_> = file.text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let words = |line: &&str| line.split_whitespace().count();
    let is_method = |line: &&str| line.starts_with(" Method:");
    let mut findings = Vec::new();
    if !opening.first().is_some_and(|line| words(line) >= 3 && !is_method(line)) {
        findings.push(file.finding(1, "does not open with `//! <the promise>`"));
    }
    if !opening.iter().any(|line| is_method(line) && words(line) >= 3) {
        findings.push(file.finding(1, "has no line `//! Method: <how>` in its opening comment"));
    }
    findings
}

/// True for `tests/x.rs`, `crate/tests/x.rs` and `crate/tests/program/x.rs`.
fn is_test_file(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        ["tests", name] | [_, "tests", name] => name.ends_with(".rs"),
        [_, "tests", _, name] => name.ends_with(".rs") && *name != "mod.rs",
        _ => false,
    }
}

#[cfg(test)]
mod tests;
