//! Each rule passes what is good and finds what is bad.

use super::*;

/// The lines of the findings of `check`.
fn lines(
    check: impl Fn(&SourceFile) -> Vec<Finding>,
    path: &str,
    text: impl AsRef<str>,
) -> Vec<usize> {
    check(&SourceFile::new(path, text.as_ref())).into_iter().map(|finding| finding.line).collect()
}

#[test]
fn a_file_of_as_many_lines_as_the_limit_is_too_long() {
    assert_eq!(lines(too_long, "a.rs", "x\n".repeat(LINES_LIMIT - 1)), []);
    assert_eq!(lines(too_long, "a.rs", "x\n".repeat(LINES_LIMIT)), [LINES_LIMIT]);
}

#[test]
fn a_comment_that_is_wider_than_the_limit_is_found_unless_it_is_a_row_of_a_table() {
    for start in ["//", "///", "//!", "    // ", "        /// - "] {
        let wide = |column_count: usize| {
            format!("\n{start}{}\n", "x".repeat(column_count - start.chars().count()))
        };
        assert_eq!(lines(comment_too_wide, "a.rs", wide(COMMENT_COLUMNS_MAX)), [], "{start}");
        assert_eq!(lines(comment_too_wide, "a.rs", wide(COMMENT_COLUMNS_MAX + 1)), [2], "{start}");
    }
    let row = format!("//! | {} | x |\n", "x".repeat(COMMENT_COLUMNS_MAX));
    assert_eq!(lines(comment_too_wide, "a.rs", row), []);
    let code = format!("let x = \"{}\";\n", "x".repeat(COMMENT_COLUMNS_MAX));
    assert_eq!(lines(comment_too_wide, "a.rs", code), []);
}

#[test]
fn a_module_that_stands_beside_its_folder_is_found_and_a_program_may() {
    let found = |paths: &[&str]| {
        let files: Vec<_> = paths.iter().map(|path| SourceFile::new(path, "")).collect();
        let findings = module_beside_its_folder(&files);
        findings.into_iter().map(|finding| finding.path).collect::<Vec<_>>()
    };
    let good = ["wal/src/log/mod.rs", "wal/src/log/gate.rs", "wal/src/logs.rs", "wal/src/lib.rs"];
    assert_eq!(found(&good), [""; 0]);
    for bad in ["wal/src/log.rs", "wal/src/tests/log.rs", "wal/tests/disk/log.rs"] {
        let below = bad.replace(".rs", "/gate.rs");
        let far_below = bad.replace(".rs", "/gate/open/mod.rs");
        let not_rust = bad.replace(".rs", "/bytes.json");
        assert_eq!(found(&[bad, &below]), [bad]);
        assert_eq!(found(&[bad, &far_below]), [bad]);
        assert_eq!(found(&[bad, &not_rust]), [""; 0]);
    }
    for root in [
        "wal/tests/crash.rs",
        "tests/once.rs",
        "benches/benches/capture.rs",
        "engine/examples/inbox.rs",
        "cli/src/bin/proxy.rs",
        "fuzz/fuzz_targets/frames.rs",
    ] {
        assert_eq!(found(&[root, &root.replace(".rs", "/part.rs")]), [""; 0], "{root}");
    }
}

#[test]
fn one_character_outside_ascii_is_found_with_its_line() {
    assert_eq!(lines(not_ascii, "a.rs", "fn a() {}\n// plain\n"), []);
    assert_eq!(lines(not_ascii, "a.rs", "fn a() {}\n// 160 \u{b5}s\n"), [2]);
    assert_eq!(lines(not_ascii, "a.toml", "a = \"\u{202e}\"\n"), [1]);
}

#[test]
fn a_module_that_says_nothing_is_found_as_file_folder_and_declaration() {
    let check = empty_module_names;
    assert_eq!(lines(check, "wal/src/frame/mod.rs", "mod reader;\npub mod writer {}\n"), []);
    for name in EMPTY_NAMES {
        assert_eq!(lines(check, &format!("wal/src/{name}.rs"), ""), [1], "{name}");
        assert_eq!(lines(check, &format!("wal/tests/{name}/mod.rs"), ""), [1], "{name}");
        for visibility in ["", "pub ", "pub(crate) ", "    pub(in crate::a) "] {
            for end in [";", " {"] {
                let text = format!("\n{visibility}mod {name}{end}\n");
                assert_eq!(lines(check, "wal/src/lib.rs", &text), [2], "{text}");
            }
        }
    }
}

#[test]
fn a_name_that_only_contains_an_empty_one_is_fine() {
    let text = "mod utilization;\nmod event_types;\nlet types = 1;\n// mod helpers\n";
    assert_eq!(lines(empty_module_names, "wal/src/commonplace.rs", text), []);
}

#[test]
fn a_note_of_broken_code_is_found() {
    assert_eq!(lines(unfinished, "a.rs", "// fixed\n"), []);
    assert_eq!(lines(unfinished, "a.rs", format!("\n// {BROKEN}: wrong after a crash\n")), [2]);
}

#[test]
fn a_note_of_missing_code_must_say_what_is_missing() {
    for good in [": carry the outcome too", "(#12): carry the outcome too"] {
        assert_eq!(lines(unfinished, "a.rs", format!("// {MISSING}{good}\n")), [], "{good}");
    }
    for bad in ["", ":", ": later", "(me)", "(me):", " carry the outcome"] {
        assert_eq!(lines(unfinished, "a.rs", format!("// {MISSING}{bad}\n")), [1], "{bad}");
    }
    assert_eq!(lines(unfinished, "a.rs", format!("const {MISSING}S: u8 = 1;\n")), []);
}

#[test]
fn every_crate_root_but_two_must_forbid_unsafe_and_one_of_them_deny_it() {
    let check = unsafe_not_forbidden;
    let good = format!("//! A crate.\n\n{FORBID_UNSAFE}\n");
    let bad = format!("//! A crate.\n// {FORBID_UNSAFE}\n");
    for root in
        ["wal/src/lib.rs", "cli/src/main.rs", "benches/src/bin/x.rs", "benches/src/bin/x/main.rs"]
    {
        assert_eq!(lines(check, root, &good), [], "{root}");
        assert_eq!(lines(check, root, &bad), [1], "{root}");
    }
    for other in ["capi/src/lib.rs", "wal/src/frame/mod.rs", "wal/tests/crash.rs"] {
        assert_eq!(lines(check, other, &bad), [], "{other}");
    }
    let denies = format!("//! A crate.\n{DENY_UNSAFE}\n");
    assert_eq!(lines(check, "wal/src/lib.rs", &denies), [1]);
    assert_eq!(lines(check, UNSAFE_FILE_ROOT, &denies), []);
    assert_eq!(lines(check, UNSAFE_FILE_ROOT, &good), []);
    assert_eq!(lines(check, UNSAFE_FILE_ROOT, &bad), [1]);
}

#[test]
fn unsafe_code_is_found_beside_the_one_file_for_it() {
    let check = unsafe_out_of_place;
    let block = "fn a() {}\nlet x = unsafe { b() };\n";
    let lifted = "\n\n#[expect(unsafe_code, reason = \"..\")]\n";
    for path in ["vfs/src/os/mod.rs", "vfs/src/os/file.rs", "vfs/tests/os.rs", UNSAFE_FILE_ROOT] {
        assert_eq!(lines(check, path, block), [2], "{path}");
        assert_eq!(lines(check, path, lifted), [3], "{path}");
        assert_eq!(lines(check, path, DENY_UNSAFE), [], "{path}");
        assert_eq!(lines(check, path, "// unsafe\nlet unsafely = 1; // unsafe\n"), [], "{path}");
    }
    for path in [UNSAFE_FILE, "capi/src/handle.rs"] {
        assert_eq!(lines(check, path, block), [], "{path}");
    }
}

#[test]
fn a_test_file_must_open_with_promise_and_method() {
    let check = promise_or_method_missing;
    let promise = "//! A crash loses nothing.\n";
    let method = "//! Method: cut everywhere.\n";
    for path in ["tests/tidy.rs", "wal/tests/crash.rs", "wal/tests/wal/crash.rs"] {
        assert_eq!(lines(check, path, format!("{promise}{method}")), [], "{path}");
        assert_eq!(lines(check, path, format!("{promise}//!\n{method}\nuse a;\n")), [], "{path}");
        assert_eq!(lines(check, path, promise), [1], "{path}: no method");
        assert_eq!(lines(check, path, method), [1], "{path}: no promise");
        assert_eq!(lines(check, path, format!("{promise}\n{method}")), [1], "{path}: apart");
        assert_eq!(lines(check, path, format!("{promise}//! Method:\n")), [1], "{path}: empty");
        assert_eq!(lines(check, path, ""), [1, 1], "{path}: nothing");
    }
    for other in ["tests/src/lib.rs", "wal/src/frame/tests.rs", "wal/tests/disk/mod.rs"] {
        assert_eq!(lines(check, other, ""), [], "{other}");
    }
}
