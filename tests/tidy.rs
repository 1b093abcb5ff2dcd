//! The source tree keeps the rules that neither the compiler nor clippy knows.
//!
//! Method: read every file that belongs to the repository and apply the checks of `onceward_tests::tidy`,
//! each of which is shown to find bad input by its own unit tests.

use std::path::Path;

use onceward_tests::tidy::modules::ModuleTree;
use onceward_tests::tidy::tree::SourceTree;
use onceward_tests::tidy::{
    Finding, SourceFile, arrows, caps, codes, mentions, methods, promises, settings, sources, tiers,
};

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
    assert_clean(&settings::steps_missing(script, tree.file("CONTRIBUTING.md")));
}

#[test]
fn every_promise_is_shown_by_a_test_that_exists() {
    let tree = tree();
    assert_clean(&promises::tests_missing(tree.file("GUARANTEES.md"), tree.rust()));
}

#[test]
fn every_error_code_is_in_the_table_and_no_other_is() {
    let tree = tree();
    assert_clean(&codes::codes_differ(tree.file("engine/ERRORS.md"), tree.rust()));
}

/// The crates that begin in the files `roots`.
fn crates<'a>(tree: &SourceTree, roots: impl IntoIterator<Item = &'a str>) -> Vec<ModuleTree> {
    let read =
        |root| ModuleTree::read(tree.files(), root).unwrap_or_else(|error| panic!("{error}"));
    roots.into_iter().map(read).collect()
}

#[test]
fn no_type_has_many_methods_or_has_them_in_many_folders() {
    let tree = tree();
    let roots = tree.rust().map(|file| file.path.as_str()).filter(|path| sources::is_root(path));
    let crates = crates(&tree, roots);
    assert!(crates.len() > 10, "{} crates", crates.len());
    assert_clean(&methods::types_too_large(&crates, &methods::EXEMPTIONS));
}

#[test]
fn no_folder_of_the_engine_imports_one_above_it() {
    let engine = &crates(&tree(), [tiers::ROOT])[0];
    assert_clean(&tiers::import_of_a_higher_tier(engine));
}

/// Type names that more than one module of the core crates has; it may only become fewer.
const REPEATED_TYPE_NAMES_MAX: usize = 7;

#[test]
fn few_types_share_their_name_and_they_become_fewer() {
    let roots = caps::CRATES_OF_ONE_VOCABULARY.map(|folder| format!("{folder}/src/lib.rs"));
    let crates = crates(&tree(), roots.iter().map(String::as_str));
    let names = caps::repeated_type_names(&crates);
    if let Some(wrong) = caps::cap_broken(names.len(), REPEATED_TYPE_NAMES_MAX, 3) {
        panic!("type names that are used more than once: {wrong}\n{names:#?}");
    }
}

/// Thousandths of the fields of the engine's structs that are `pub(crate)`; they may only become fewer.
const FIELDS_OF_THE_CRATE_PER_MILLE_MAX: usize = 149;

#[test]
fn few_fields_of_the_engine_are_open_to_the_whole_crate_and_they_become_fewer() {
    let count = caps::FieldCount::of(&crates(&tree(), [tiers::ROOT])[0]);
    assert!(count.all > 0, "the engine has no fields");
    let per_mille = count.of_the_crate_per_mille();
    if let Some(wrong) = caps::cap_broken(per_mille, FIELDS_OF_THE_CRATE_PER_MILLE_MAX, 10) {
        panic!("`pub(crate)` fields of the engine, in thousandths: {wrong} ({count:?})");
    }
}
