//! Two places that agree pass; every way to disagree is found.

use super::*;

/// What the findings say, one a line.
fn say(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{}: {}\n", finding.line, finding.what)).collect()
}

#[test]
fn clippy_settings_must_be_repeated_but_for_the_bans() {
    let root =
        SourceFile::new("clippy.toml", "a = 70\nb = true\ndisallowed-types = [\n\"x\",\n]\n");
    let differ =
        |text: &str| say(&clippy_settings_differ(&root, &SourceFile::new("vfs/clippy.toml", text)));
    assert_eq!(differ("# why\nb = true\na = 70\n"), "");
    assert_eq!(differ("a = 70\n"), "1: lacks b = true\n");
    assert_eq!(differ("a = 71\nb = true\n"), "1: a is 71, in the root 70\n");
    assert_eq!(differ("a = 70\nb = true\nc = 1\n"), "3: c is not in the root\n");
}

#[test]
fn lints_must_be_inherited_or_repeated() {
    let root = SourceFile::new(
        "Cargo.toml",
        "[workspace.lints.rust]\nmissing_docs = \"warn\"\n\
         unsafe_code = \"deny\"\n\
         [workspace.lints.clippy]\npanic = \"deny\"\nprint_stdout = \"deny\"\n",
    );
    let differ = |path: &str, text: &str| say(&lints_differ(&root, &SourceFile::new(path, text)));
    let own = "[lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"deny\"\n\
               [lints.clippy]\npanic = \"deny\"\n";

    assert_eq!(differ("wal/Cargo.toml", "[lints]\nworkspace = true\n"), "");
    let printing = format!("{own}print_stdout = \"allow\"\n");
    for may_print in ["tests/Cargo.toml", "benches/Cargo.toml", "cli/Cargo.toml"] {
        assert_eq!(differ(may_print, &printing), "", "{may_print}");
    }
    assert_eq!(
        differ("hub/Cargo.toml", &printing),
        "6: print_stdout is \"allow\", in the root \"deny\"\n"
    );
    assert_eq!(
        differ("cli/Cargo.toml", &own.replace("panic = \"deny\"", "panic = \"allow\"")),
        "5: panic is \"allow\", in the root \"deny\"\n"
    );
    let pointing = printing
        .replace("unsafe_code = \"deny\"", "unsafe_code = \"allow\"")
        .replace("print_stdout = \"allow\"", "print_stdout = \"deny\"");
    assert_eq!(differ("capi/Cargo.toml", &pointing), "");
    assert_eq!(
        differ("vfs/Cargo.toml", &pointing),
        "3: unsafe_code is \"allow\", in the root \"deny\"\n"
    );
    assert_eq!(
        differ("tests/Cargo.toml", "[lints.clippy]\nnew = \"allow\"\n"),
        "1: lacks missing_docs = \"warn\"\n1: lacks unsafe_code = \"deny\"\n2: new is not in the root\n"
    );
    assert_ne!(differ("wal/Cargo.toml", "[package]\n"), "");
}

#[test]
fn every_command_of_the_justfile_must_stand_in_the_document() {
    let justfile = SourceFile::new(
        "justfile",
        "# Fast: first.\ncheck:\n    cargo fmt\n\nfuzz target:\n    cargo fuzz run {{target}} -- -x\n",
    );
    let document = |text: &str| SourceFile::new("CONTRIBUTING.md", text);
    let whole = document("run `cargo fmt`, then `cargo fuzz run TARGET -- -x`");
    assert_eq!(commands_missing(&justfile, &[], &whole), []);
    let half = document("run `cargo fmt`");
    assert_eq!(
        say(&commands_missing(&justfile, &[], &half)),
        "6: CONTRIBUTING.md does not have `cargo fuzz run TARGET -- -x`\n"
    );
    assert_eq!(commands_missing(&justfile, &["check"], &half), []);
    assert_eq!(commands_missing(&justfile, &["fuzz"], &half).len(), 1);
}

#[test]
fn every_step_of_the_script_must_be_named_in_the_document() {
    let script = SourceFile::new(
        "scripts/test",
        "steps=(\n    'format|cargo_fmt'\n    'fuzz-targets|fuzz_targets'\n)\necho 'a' | b\n",
    );
    let document = |text: &str| SourceFile::new("CONTRIBUTING.md", text);
    assert_eq!(steps_missing(&script, &document("`format`, `fuzz-targets`")), []);
    assert_eq!(
        say(&steps_missing(&script, &document("`format`, fuzz-targets"))),
        "3: CONTRIBUTING.md does not name the step `fuzz-targets`\n"
    );
    let empty = SourceFile::new("scripts/test", "cargo fmt\n");
    assert_eq!(say(&steps_missing(&empty, &document(""))), "1: has no steps\n");
}
