//! Who may import whom. The arrows point downwards, to the disk; nothing imports the tests.

use super::manifest::{dependencies, entries, quoted};
use super::{Finding, SourceFile, word_positions};

/// A member of the workspace, and the members that it may import.
#[derive(Debug)]
struct Member {
    /// Folder from the root.
    folder: &'static str,
    /// The package's name.
    package: &'static str,
    /// Folders of what it may import.
    may_import: &'static [&'static str],
}

/// Everything that can be imported: tests, benches and fuzz targets may import it all.
const EVERYTHING: &[&str] = &["vfs", "wal", "index", "engine", "uplink", "hub", "capi", "cli"];

/// The arrows. `wal` knows no keys, `index` no segments; only `engine` knows both.
const MEMBERS: [Member; 11] = [
    Member { folder: "vfs", package: "onceward-vfs", may_import: &[] },
    Member { folder: "wal", package: "onceward-wal", may_import: &["vfs"] },
    Member { folder: "index", package: "onceward-index", may_import: &["vfs"] },
    Member { folder: "engine", package: "onceward", may_import: &["wal", "index", "vfs"] },
    Member { folder: "uplink", package: "onceward-uplink", may_import: &["engine"] },
    Member { folder: "hub", package: "onceward-hub", may_import: &["engine"] },
    Member { folder: "capi", package: "onceward-capi", may_import: &["engine", "uplink"] },
    Member { folder: "cli", package: "onceward-cli", may_import: &["engine", "uplink", "hub"] },
    Member { folder: "tests", package: "onceward-tests", may_import: EVERYTHING },
    Member { folder: "benches", package: "onceward-benches", may_import: EVERYTHING },
    Member { folder: "fuzz", package: "onceward-fuzz", may_import: EVERYTHING },
];

impl Member {
    /// The member that `path` belongs to.
    fn of(path: &str) -> Option<&'static Self> {
        let folder = path.split('/').next()?;
        MEMBERS.iter().find(|member| member.folder == folder)
    }

    /// The name that code uses.
    fn import_name(&self) -> String {
        self.package.replace('-', "_")
    }

    /// True if an import of `other` follows the arrows; a crate's own tests import the crate.
    fn may_import(&self, other: &Self) -> bool {
        self.folder == other.folder || self.may_import.contains(&other.folder)
    }
}

/// Finds members that the table of arrows does not have, and those of the table that are no members.
#[must_use]
pub fn members_without_arrows(root_manifest: &SourceFile) -> Vec<Finding> {
    let listed: Vec<_> = entries(root_manifest)
        .into_iter()
        .filter(|entry| entry.section == "workspace")
        .filter(|entry| entry.key == "members" || entry.key == "exclude")
        .flat_map(|entry| quoted(&entry.value).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut findings = Vec::new();
    for folder in listed.iter().filter(|folder| Member::of(folder).is_none()) {
        findings.push(
            root_manifest.finding(1, format!("{folder} has no arrows in tidy/arrows/mod.rs")),
        );
    }
    for member in MEMBERS.iter().filter(|member| !listed.iter().any(|at| at == member.folder)) {
        findings.push(root_manifest.finding(1, format!("{} is not listed", member.folder)));
    }
    findings
}

/// Finds dependencies in a member's manifest that go against the arrows, and a wrong package name.
#[must_use]
pub fn manifest_against_arrows(manifest: &SourceFile) -> Vec<Finding> {
    let Some(member) = Member::of(&manifest.path) else { return Vec::new() };
    let mut findings = Vec::new();
    for (package, line) in dependencies(manifest) {
        let ours = MEMBERS.iter().find(|other| other.package == package);
        if let Some(other) = ours.filter(|other| !member.may_import(other)) {
            findings.push(manifest.finding(line, against(member, other)));
        }
    }
    let wanted = format!("\"{}\"", member.package);
    let named = |section, key| {
        entries(manifest).into_iter().find(|entry| entry.section == section && entry.key == key)
    };
    if named("package", "name").is_none_or(|entry| entry.value != wanted) {
        findings.push(manifest.finding(1, format!("the package's name is not {wanted}")));
    }
    findings
}

/// Finds imports in a file of Rust that go against the arrows, outside comments.
#[must_use]
pub fn import_against_arrows(file: &SourceFile) -> Vec<Finding> {
    let Some(member) = Member::of(&file.path) else { return Vec::new() };
    let mut findings = Vec::new();
    for (number, line) in file.numbered_lines() {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        for other in MEMBERS.iter().filter(|other| !member.may_import(other)) {
            if imports(code, &other.import_name()) {
                findings.push(file.finding(number, against(member, other)));
            }
        }
    }
    findings
}

/// True if `code` names the crate `name` as a crate.
fn imports(code: &str, name: &str) -> bool {
    word_positions(code, name).any(|at| {
        let before = code[..at].trim_end();
        let after = code[at + name.len()..].trim_start();
        after.starts_with("::")
            || before.ends_with("extern crate")
            || (before.ends_with("use") && (after.starts_with(';') || after.starts_with("as ")))
    })
}

/// The sentence for an arrow that does not exist.
fn against(member: &Member, other: &Member) -> String {
    match member.may_import {
        [] => format!("{} imports nothing of ours, not {}", member.folder, other.folder),
        allowed => format!(
            "{} must not import {}: only {}",
            member.folder,
            other.folder,
            allowed.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests;
