//! The source tree keeps the rules that neither the compiler nor clippy knows.
//!
//! Method: read every file that belongs to the repository and apply the checks of `onceward_tests::tidy`,
//! each of which is shown to find bad input by its own unit tests.

use std::path::Path;

use onceward_tests::tidy::tree::SourceTree;
use onceward_tests::tidy::{Finding, SourceFile, arrows, mentions, promises, settings, sources};

/// Reads the repository.
fn tree() -> SourceTree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    SourceTree::read(root).unwrap()
}

/// Fails with every finding on a line of its own.
fn assert_clean(findings: &[Finding]) {
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}\n", lines.len(), lines.join("\n"));
}

/// Applies `check` to `files`, which must not be empty, and fails on any finding.
fn check_each<'a>(
    files: impl IntoIterator<Item = &'a SourceFile>,
    check: impl Fn(&SourceFile) -> Vec<Finding>,
) {
    let mut findings = Vec::new();
    let mut file_count = 0;
    for file in files {
        findings.extend(check(file));
        file_count += 1;
    }
    assert!(file_count > 0, "there was nothing to check");
    assert_clean(&findings);
}

/// True for the manifest of a folder right below the root.
fn is_member_manifest(file: &&SourceFile) -> bool {
    matches!(file.path.split('/').collect::<Vec<_>>().as_slice(), [_, "Cargo.toml"])
}

#[test]
fn every_file_of_rust_is_short() {
    check_each(tree().rust(), sources::too_long);
}

#[test]
fn every_module_with_children_is_a_folder_with_mod_rs() {
    assert_clean(&sources::module_beside_its_folder(tree().rust()));
}

#[test]
fn no_comment_is_wider_than_its_limit() {
    check_each(tree().rust(), sources::comment_too_wide);
}

#[test]
fn rust_and_toml_are_ascii() {
    let tree = tree();
    check_each(tree.rust(), sources::not_ascii);
    check_each(tree.files().iter().filter(|file| file.has_extension("toml")), sources::not_ascii);
}

#[test]
fn every_module_is_named_after_what_it_holds() {
    check_each(tree().rust(), sources::empty_module_names);
}

#[test]
fn no_note_of_broken_code_and_none_without_a_sentence() {
    let tree = tree();
    check_each(tree.rust(), sources::unfinished);
    check_each(tree.files().iter().filter(|file| file.has_extension("toml")), sources::unfinished);
}

#[test]
fn every_crate_root_forbids_unsafe_code() {
    check_each(tree().rust(), sources::unsafe_not_forbidden);
}

#[test]
fn the_disk_layer_is_unsafe_in_one_file_only() {
    let tree = tree();
    assert!(tree.file("vfs/src/os/map.rs").text.contains("SAFETY:"));
    check_each(tree.rust(), sources::unsafe_out_of_place);
}

#[test]
fn every_test_file_opens_with_its_promise_and_method() {
    check_each(tree().rust(), sources::promise_or_method_missing);
}

#[test]
fn no_crate_depends_against_the_arrows() {
    let tree = tree();
    assert_clean(&arrows::members_without_arrows(tree.file("Cargo.toml")));
    check_each(tree.files().iter().filter(is_member_manifest), arrows::manifest_against_arrows);
}

#[test]
fn no_file_imports_against_the_arrows() {
    check_each(tree().rust(), arrows::import_against_arrows);
}

#[test]
fn no_file_names_a_registry_host_or_a_path_of_one_machine() {
    check_each(tree().files(), |file| {
        [mentions::registry_hosts(file), mentions::machine_paths(file)].concat()
    });
}

#[test]
fn members_with_clippy_settings_of_their_own_repeat_the_roots() {
    let tree = tree();
    let root = tree.file("clippy.toml");
    for folder in ["vfs", "tests", "benches"] {
        let own = tree.file(&format!("{folder}/clippy.toml"));
        assert_clean(&settings::clippy_settings_differ(root, own));
    }
    check_each(tree.files().iter().filter(|file| file.path.ends_with("/clippy.toml")), |file| {
        settings::clippy_settings_differ(root, file)
    });
}

#[test]
fn members_with_lints_of_their_own_repeat_the_workspaces() {
    let tree = tree();
    let root = tree.file("Cargo.toml");
    let members = tree.files().iter().filter(is_member_manifest);
    // Fuzz targets are a workspace of their own, which cannot inherit.
    check_each(members.filter(|file| !file.path.starts_with("fuzz/")), |file| {
        settings::lints_differ(root, file)
    });
}

#[test]
fn the_commands_for_developers_are_the_same_everywhere() {
    let tree = tree();
    let justfile = tree.file("justfile");
    assert_clean(&settings::commands_missing(justfile, &[], tree.file("CONTRIBUTING.md")));
    let run_by_the_script = ["check", "test", "test-plain", "doc"];
    let script = tree.file("scripts/test");
    assert_clean(&settings::commands_missing(justfile, &run_by_the_script, script));
}

#[test]
fn every_promise_is_shown_by_a_test_that_exists() {
    let tree = tree();
    assert_clean(&promises::tests_missing(tree.file("GUARANTEES.md"), tree.rust()));
}
