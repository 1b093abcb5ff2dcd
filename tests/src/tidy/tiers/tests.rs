//! Every import that the tables forbid is found however it is written, and every other one passes.

use super::*;
use crate::tidy::SourceFile;

/// The names of all tiers with their heights.
fn names() -> Vec<(&'static str, usize)> {
    let names = TIERS.iter().flat_map(|tier| match tier {
        Tier::Of(names) => names.to_vec(),
        Tier::Areas => AREAS.iter().map(|area| area.name).collect(),
    });
    names.map(|name| (name, height_of(name).unwrap())).collect()
}

/// The file of the module `name` of the engine.
fn file_of(name: &str) -> String {
    format!("engine/src/{name}/mod.rs")
}

/// The lines of the findings in an engine whose module `from` has the text `text`.
fn found_in(from: &str, text: &str) -> Vec<usize> {
    let mut root = String::from("pub use sync::Session; mod outside;\n");
    let mut files = vec![SourceFile::new("engine/src/outside.rs", "pub use crate::sync::Part;")];
    for (name, _) in names() {
        root.push_str(&format!("mod {name};\n"));
        let text = if name == from { text } else { "pub struct Session; pub struct Part;" };
        files.push(SourceFile::new(&file_of(name), text));
    }
    files.push(SourceFile::new(ROOT, &root));
    let tree = ModuleTree::read(&files, ROOT).unwrap_or_else(|error| panic!("{error}"));
    import_of_a_higher_tier(&tree).into_iter().map(|finding| finding.line).collect()
}

#[test]
fn an_import_is_clean_exactly_where_the_tables_allow_it() {
    let mut against_count = 0;
    for (from, from_height) in names() {
        for (to, to_height) in names() {
            let may = match Area::of(from).filter(|_| from_height == to_height) {
                Some(area) => from == to || area.may_import.contains(&to),
                None => to_height <= from_height,
            };
            let expected: &[usize] = if may { &[] } else { &[2] };
            against_count += usize::from(!may);
            let text = format!("\nuse crate::{to}::Part;\n");
            assert_eq!(found_in(from, &text), expected, "{from} imports {to}");
        }
    }
    assert!(against_count > 0, "nothing is against the tables");
}

#[test]
fn an_import_is_found_however_it_is_written() {
    for text in [
        "\nuse crate::{base::Part, sync::{Part as Other}};",
        "\npub use super::sync::*;",
        "\nuse crate::sync;",
        "\nuse crate::Session;",
        "mod inner {\nuse super::super::sync::Part; }",
        "fn a(\n_: crate::sync::Part) {}",
        "fn a() { let _ =\nVec::<super::sync::Part>::new(); }",
        "fn a() {\nassert!(matches!(b, crate::sync::Part)); }",
        "impl A {\nfn a() -> crate::Session { b } }",
    ] {
        assert_eq!(found_in("kernel", text), [2], "{text}");
        assert_eq!(found_in("sync", text), [], "{text}");
    }
}

#[test]
fn text_tests_and_what_is_outside_the_tiers_are_no_imports() {
    for text in [
        "/// See [`crate::sync::Part`].\nstruct A;",
        "const A: &str = \"use crate::sync::Part;\";",
        "#[cfg(test)]\nmod tests { use crate::sync::Part; }",
        "#[cfg(test)] use crate::sync::Part;",
        "impl A { #[cfg(test)] fn a(_: crate::sync::Part) {} }",
        "pub(in crate::sync) struct A;",
        "use crate::outside::Part;",
        "use std::sync::Arc;",
        "mod sync {} use self::sync::A;",
    ] {
        assert_eq!(found_in("base", text), [], "{text}");
    }
    assert_eq!(found_in("base", "use crate::sync::Part;"), [1], "control");
}

#[test]
fn a_file_at_the_root_with_the_name_of_a_tier_is_outside() {
    let texts = [
        (ROOT, "mod limits; mod event; mod sync;"),
        ("engine/src/limits.rs", "use crate::sync::Part;"),
        ("engine/src/sync/mod.rs", "pub struct Part;"),
        ("engine/src/event/mod.rs", "use crate::limits::KEY_BYTES_MAX;"),
    ];
    let files = texts.map(|(path, text)| SourceFile::new(path, text));
    let tree = ModuleTree::read(&files, ROOT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(import_of_a_higher_tier(&tree), []);
}

#[test]
fn the_tables_name_each_module_once_and_areas_that_exist() {
    let names: Vec<_> = names().into_iter().map(|(name, _)| name).collect();
    for name in &names {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
    for (at, area) in AREAS.iter().enumerate() {
        for other in area.may_import {
            let stands = AREAS.iter().position(|it| it.name == *other);
            assert!(stands.is_some_and(|stands| stands > at), "{}: {other}", area.name);
        }
    }
}

#[test]
fn only_the_calls_of_an_area_import_the_store() {
    let calls = "use crate::store::Part;\nuse crate::state::Part;";
    for (module, expected) in [("calls", &[2][..]), ("table", &[1, 2])] {
        let root = "mod records; mod store; mod state;";
        let files = [
            (ROOT, root),
            ("engine/src/store/mod.rs", "pub struct Part;"),
            ("engine/src/state/mod.rs", "pub struct Part;"),
            ("engine/src/records/mod.rs", &format!("mod {module};")),
            (&format!("engine/src/records/{module}.rs"), calls),
        ]
        .map(|(path, text)| SourceFile::new(path, text));
        let tree = ModuleTree::read(&files, ROOT).unwrap_or_else(|error| panic!("{error}"));
        let found: Vec<_> = import_of_a_higher_tier(&tree).iter().map(|it| it.line).collect();
        assert_eq!(found, expected, "{module}");
    }
}
