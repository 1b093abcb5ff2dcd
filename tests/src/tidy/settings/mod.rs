//! Facts that stand in two places because a tool wants it so: both places must agree.

use super::manifest::{Entry, entries};
use super::{Finding, SourceFile};

/// Lints that a folder may lift, where `[lints] workspace = true` will not do.
const MAY_LIFT: [(&str, &[&str]); 4] = [
    ("tests", &["indexing_slicing", "panic", "print_stderr", "print_stdout", "unwrap_used"]),
    ("benches", &["indexing_slicing", "panic", "print_stderr", "print_stdout", "unwrap_used"]),
    ("cli", &["print_stderr", "print_stdout"]),
    ("capi", &["unsafe_code"]),
];

/// Finds keys of the root's `clippy.toml` that a member's own, which replaces it, does not repeat.
///
/// The bans are left out: to do without them is why a member has a file of its own.
#[must_use]
pub fn clippy_settings_differ(root: &SourceFile, member: &SourceFile) -> Vec<Finding> {
    let settings = |file: &SourceFile| {
        let mut found = entries(file);
        found.retain(|entry| !entry.key.starts_with("disallowed-"));
        found
    };
    differences(&settings(root), &settings(member), member)
}

/// Finds lints of the workspace that a member neither inherits nor repeats nor may lift.
#[must_use]
pub fn lints_differ(root: &SourceFile, member: &SourceFile) -> Vec<Finding> {
    let own = entries(member);
    let inherits = |entry: &Entry| {
        entry.section == "lints" && entry.key == "workspace" && entry.value == "true"
    };
    if own.iter().any(inherits) {
        return Vec::new();
    }
    let folder = member.path.split('/').next().unwrap_or_default();
    let may_lift = MAY_LIFT.iter().find(|(name, _)| *name == folder).map_or(&[][..], |(_, l)| l);
    let lifted = |entry: &Entry| may_lift.contains(&entry.key.as_str());
    let lints = |all: Vec<Entry>, prefix: &str| {
        let mut found = Vec::new();
        for mut entry in all {
            if let Some(tool) = entry.section.strip_prefix(prefix)
                && !lifted(&entry)
            {
                entry.section = tool.to_owned();
                found.push(entry);
            }
        }
        found
    };
    differences(&lints(entries(root), "workspace.lints."), &lints(own, "lints."), member)
}

/// Findings, in `member`, for entries that only one of the two has or that differ.
fn differences(root: &[Entry], own: &[Entry], member: &SourceFile) -> Vec<Finding> {
    let same = |a: &Entry, b: &Entry| a.section == b.section && a.key == b.key;
    let mut findings = Vec::new();
    for wanted in root {
        match own.iter().find(|entry| same(entry, wanted)) {
            Some(found) if found.value == wanted.value => {}
            Some(found) => {
                let what =
                    format!("{} is {}, in the root {}", found.key, found.value, wanted.value);
                findings.push(member.finding(found.line, what));
            }
            None => {
                let what = format!("lacks {} = {}", wanted.key, wanted.value);
                findings.push(member.finding(1, what));
            }
        }
    }
    for entry in own.iter().filter(|entry| !root.iter().any(|wanted| same(entry, wanted))) {
        findings.push(member.finding(entry.line, format!("{} is not in the root", entry.key)));
    }
    findings
}

/// Finds commands of `justfile` that `document` does not contain as they are.
///
/// A parameter `{{name}}` is written `NAME` there. `recipes` names those that count; empty means all.
#[must_use]
pub fn commands_missing(
    justfile: &SourceFile,
    recipes: &[&str],
    document: &SourceFile,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut recipe = "";
    for (number, line) in justfile.numbered_lines() {
        if let Some(command) = line.strip_prefix("    ") {
            let wanted = with_plain_parameters(command.trim());
            let counts = recipes.is_empty() || recipes.contains(&recipe);
            if counts && !document.text.contains(&wanted) {
                let what = format!("{} does not have `{wanted}`", document.path);
                findings.push(justfile.finding(number, what));
            }
        } else if let Some((head, _)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
            recipe = head.split(' ').next().unwrap_or_default();
        }
    }
    findings
}

/// Finds steps of `script`, lines `'name|function'`, that `document` does not name in backticks.
#[must_use]
pub fn steps_missing(script: &SourceFile, document: &SourceFile) -> Vec<Finding> {
    let steps = script.numbered_lines().filter_map(|(number, line)| {
        let (name, _) = line.trim().strip_prefix('\'')?.strip_suffix('\'')?.split_once('|')?;
        Some((number, name))
    });
    let mut findings = Vec::new();
    let mut step_count = 0;
    for (number, name) in steps {
        step_count += 1;
        if !document.text.contains(&format!("`{name}`")) {
            let what = format!("{} does not name the step `{name}`", document.path);
            findings.push(script.finding(number, what));
        }
    }
    if step_count == 0 {
        findings.push(script.finding(1, "has no steps"));
    }
    findings
}

/// `command` with `NAME` for each `{{name}}`.
fn with_plain_parameters(command: &str) -> String {
    let mut plain = String::new();
    let mut rest = command;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        plain.push_str(before);
        plain.push_str(&name.trim().to_uppercase());
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests;
