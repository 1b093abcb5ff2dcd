//! Every arrow that does not exist is found, in a manifest and in code; every one that exists passes.

use super::*;

/// A manifest of `member` that depends on `other` in `table`.
fn manifest(member: &Member, table: &str, other: &Member) -> SourceFile {
    let text = format!(
        "[package]\nname = \"{}\"\n\n[{table}]\nserde.workspace = true\n{}.workspace = true\n",
        member.package, other.package
    );
    SourceFile::new(&format!("{}/Cargo.toml", member.folder), &text)
}

/// All pairs of different members.
fn pairs() -> impl Iterator<Item = (&'static Member, &'static Member)> {
    MEMBERS
        .iter()
        .flat_map(|a| MEMBERS.iter().map(move |b| (a, b)))
        .filter(|(a, b)| a.folder != b.folder)
}

#[test]
fn a_manifest_is_clean_exactly_where_an_arrow_exists() {
    let mut against_count = 0;
    for (member, other) in pairs() {
        for table in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
            let findings = manifest_against_arrows(&manifest(member, table, other));
            if member.may_import(other) {
                assert_eq!(findings, [], "{member:?} {other:?}");
            } else {
                assert_eq!(findings.len(), 1, "{member:?} {other:?}");
                assert_eq!(findings[0].line, 6);
                against_count += 1;
            }
        }
    }
    assert!(against_count > 0, "no pair was against the arrows");
}

#[test]
fn an_import_is_clean_exactly_where_an_arrow_exists() {
    for (member, other) in pairs() {
        let name = other.import_name();
        for code in [
            format!("use {name}::Store;"),
            format!("pub use {name};"),
            format!("extern crate {name};"),
            format!("use {name} as it;"),
            format!("let a = {name}::open(b);"),
        ] {
            let file =
                SourceFile::new(&format!("{}/src/x.rs", member.folder), &format!("\n{code}"));
            let lines: Vec<_> = import_against_arrows(&file).iter().map(|f| f.line).collect();
            let expected: &[usize] = if member.may_import(other) { &[] } else { &[2] };
            assert_eq!(lines, expected, "{}: {code}", member.folder);
        }
    }
}

#[test]
fn comments_and_longer_names_are_no_imports() {
    for text in [
        "//! Used by [`onceward_hub::serve`].",
        "let onceward_hub_url = 1;",
        "let name = \"onceward_index_keys\";",
        "const PROGRAM: &str = \"onceward\";",
    ] {
        assert_eq!(import_against_arrows(&SourceFile::new("wal/src/x.rs", text)), [], "{text}");
    }
}

#[test]
fn nothing_may_import_the_tests_and_the_log_and_the_index_do_not_meet() {
    for member in MEMBERS {
        for nobody in ["tests", "benches", "fuzz"] {
            assert!(!member.may_import.contains(&nobody), "{member:?}");
        }
    }
    for (from, to) in [("wal", "index"), ("index", "wal"), ("vfs", "wal"), ("engine", "uplink")] {
        let file = Member::of(from).unwrap();
        assert!(!file.may_import(Member::of(to).unwrap()), "{from} {to}");
    }
}

#[test]
fn a_renamed_dependency_is_still_found() {
    let text = "[package]\nname = \"onceward-wal\"\n[dependencies]\n\
                keys = { package = \"onceward-index\", path = \"../index\" }\n";
    let findings = manifest_against_arrows(&SourceFile::new("wal/Cargo.toml", text));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].line, 4);
}

#[test]
fn a_package_with_another_name_than_in_the_table_is_found() {
    let text = "[package]\nname = \"onceward-log\"\n";
    assert_eq!(manifest_against_arrows(&SourceFile::new("wal/Cargo.toml", text)).len(), 1);
}

#[test]
fn a_member_that_the_table_does_not_have_is_found_and_the_reverse() {
    let folders: Vec<_> = MEMBERS.iter().map(|member| member.folder).collect();
    let root = |members: &[&str]| {
        SourceFile::new("Cargo.toml", &format!("[workspace]\nmembers = {members:?}\n"))
    };
    assert_eq!(members_without_arrows(&root(&folders)), []);
    assert_eq!(members_without_arrows(&root(&[folders.as_slice(), &["new"]].concat())).len(), 1);
    assert_eq!(members_without_arrows(&root(&folders[1..])).len(), 1);
}
