//! What no file may mention: the hosts that packages come from, and paths of one machine.

use super::{Finding, SourceFile};

/// Hosts of package registries and mirrors. A build reaches them through its tool's own settings; a
/// host written into the source would bypass a mirror. In two halves, so that this file is clean too.
const HOSTS: [&str; 7] = [
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("pypi", ".org"),
    concat!("files.", "pythonhosted.org"),
    concat!("registry.", "npmjs.org"),
    concat!("proxy.", "golang.org"),
    concat!("deb.", "debian.org"),
];

/// Roots of paths that exist on one machine only.
const MACHINE_ROOTS: [&str; 3] =
    [concat!("/", "work", "/"), concat!("/", "root", "/"), concat!("/", "home", "/")];

/// What may stand before an absolute path; after anything else the slash continues a longer path or
/// an address.
const BEFORE_A_PATH: [char; 13] =
    [' ', '\t', '"', '\'', '`', '(', '[', '<', '{', '=', ':', ',', '>'];

/// Finds hosts of package registries. `Cargo.lock` files may name them.
#[must_use]
pub fn registry_hosts(file: &SourceFile) -> Vec<Finding> {
    if file.path.rsplit('/').next() == Some("Cargo.lock") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.numbered_lines() {
        for host in HOSTS.iter().filter(|host| line.contains(**host)) {
            findings.push(file.finding(number, format!("names the registry host {host}")));
        }
    }
    findings
}

/// Finds absolute paths of one machine.
#[must_use]
pub fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.numbered_lines() {
        for root in MACHINE_ROOTS {
            let absolute = |at: usize| {
                // Nothing before it, or the third slash of `file:///`.
                let before = &line[..at];
                before.is_empty() || before.ends_with("//") || before.ends_with(BEFORE_A_PATH)
            };
            if line.match_indices(root).any(|(at, _)| absolute(at)) {
                findings.push(file.finding(number, format!("names a machine's path below {root}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registry_host_is_found_and_the_lock_file_may_name_it() {
        for host in HOSTS {
            let text = format!("clean\nurl = \"https://{host}/x\"\n");
            let findings = registry_hosts(&SourceFile::new("scripts/test", &text));
            assert_eq!(findings.len(), 1, "{host}");
            assert_eq!(findings[0].line, 2);
            assert_eq!(registry_hosts(&SourceFile::new("fuzz/Cargo.lock", &text)), []);
        }
        assert_eq!(registry_hosts(&SourceFile::new("README.md", "see https://docs.rs\n")), []);
    }

    #[test]
    fn every_machine_path_is_found_wherever_it_begins() {
        for root in MACHINE_ROOTS {
            for before in ["", "cd ", "\"", "=", "`", "file://"] {
                let text = format!("clean\n{before}{root}x\n");
                let findings = machine_paths(&SourceFile::new("a.md", &text));
                assert_eq!(findings.len(), 1, "{text}");
                assert_eq!(findings[0].line, 2);
            }
        }
    }

    #[test]
    fn a_longer_path_or_an_address_is_no_machine_path() {
        for root in MACHINE_ROOTS {
            for before in ["https://example.com", "target", "..", "$DIR", "a-b"] {
                let text = format!("{before}{root}x\n");
                assert_eq!(machine_paths(&SourceFile::new("a.md", &text)), [], "{text}");
            }
        }
    }
}
