//! A crate is read along its declarations, and a path is followed to its definition.

use super::*;

/// The files `(path, text)`.
fn files(files: &[(&str, &str)]) -> Vec<SourceFile> {
    files.iter().map(|(path, text)| SourceFile::new(path, text)).collect()
}

/// The crate of these files, which begins in `a/src/lib.rs`.
fn read(texts: &[(&str, &str)]) -> Result<ModuleTree, Finding> {
    ModuleTree::read(&files(texts), "a/src/lib.rs")
}

/// Path, file and kind of build of every module.
fn listed(tree: &ModuleTree) -> Vec<(String, &str, bool)> {
    tree.modules().iter().map(|m| (m.path.join("::"), m.file.as_str(), m.only_in_tests)).collect()
}

#[test]
fn modules_are_found_in_their_folders_files_and_blocks() {
    let tree = read(&[
        ("a/src/lib.rs", "mod b; mod c; mod d { mod e; mod f { mod g {} } }"),
        ("a/src/b/mod.rs", "mod h;"),
        ("a/src/b/h.rs", "// mod i;\nconst TEXT: &str = \"mod j;\";"),
        ("a/src/c.rs", "mod k;"),
        ("a/src/c/k.rs", ""),
        ("a/src/d/e.rs", ""),
        ("a/src/left_out.rs", "mod missing;"),
    ]);
    let root = "a/src/lib.rs";
    let expected = [
        ("", root),
        ("b", "a/src/b/mod.rs"),
        ("b::h", "a/src/b/h.rs"),
        ("c", "a/src/c.rs"),
        ("c::k", "a/src/c/k.rs"),
        ("d", root),
        ("d::e", "a/src/d/e.rs"),
        ("d::f", root),
        ("d::f::g", root),
    ];
    let tree = tree.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(listed(&tree), expected.map(|(path, file)| (path.to_owned(), file, false)));
    assert_eq!(tree.package(), "a");
}

#[test]
fn a_written_path_is_taken_from_the_folder_of_the_file_that_writes_it() {
    let tree = read(&[
        ("a/src/lib.rs", "mod b;"),
        ("a/src/b/mod.rs", "#[path = \"../shared/c.rs\"] mod c;"),
        ("a/src/b/../shared/c.rs", "mod d;"),
        ("a/src/b/../shared/d.rs", ""),
    ]);
    let tree = tree.unwrap_or_else(|error| panic!("{error}"));
    let paths: Vec<_> = listed(&tree).into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths, ["", "b", "b::c", "b::c::d"]);
}

#[test]
fn what_a_module_of_tests_holds_is_of_tests_too() {
    let tree = read(&[
        ("a/src/lib.rs", "#[cfg(test)] mod tests; mod plain; mod inner; #[cfg(unix)] mod unix {}"),
        ("a/src/tests/mod.rs", "mod part;"),
        ("a/src/tests/part.rs", ""),
        ("a/src/plain.rs", "#[cfg(all(test, unix))] mod tests { mod part {} }"),
        ("a/src/inner.rs", "#![cfg(test)]"),
    ]);
    let tree = tree.unwrap_or_else(|error| panic!("{error}"));
    let found: Vec<_> = listed(&tree).into_iter().map(|(path, _, tests)| (path, tests)).collect();
    let expected = [
        ("", false),
        ("tests", true),
        ("tests::part", true),
        ("plain", false),
        ("plain::tests", true),
        ("plain::tests::part", true),
        ("inner", true),
        ("unix", false),
    ];
    assert_eq!(found, expected.map(|(path, tests)| (path.to_owned(), tests)));
}

#[test]
fn a_module_without_a_file_and_a_file_that_is_no_rust_are_findings() {
    let missing = read(&[("a/src/lib.rs", "mod b;")]).err().unwrap();
    assert_eq!((missing.path.as_str(), missing.line), ("a/src/b.rs", 1));
    let broken = read(&[("a/src/lib.rs", "mod b;"), ("a/src/b.rs", "\n\nfn }")]).err().unwrap();
    assert_eq!((broken.path.as_str(), broken.line), ("a/src/b.rs", 3));
}

#[test]
fn a_path_is_followed_through_imports_to_its_definition() {
    let tree = read(&[(
        "a/src/lib.rs",
        "pub use b::inner::Deep; pub use b::Renamed as Other; use std::fmt;
         mod b {
             pub use self::inner::{self as below, Deep as Renamed};
             pub mod inner { pub struct Deep; pub enum Kind { One } pub fn make() {} }
         }
         mod c { use super::*; use crate::b::inner::*; use crate::b::{below}; use d::x; use x::d; }",
    )]);
    let tree = tree.unwrap_or_else(|error| panic!("{error}"));
    let index = |path: &str| {
        tree.modules().iter().position(|module| module.path.join("::") == path).unwrap()
    };
    let resolve = |from: &str, path: &str| {
        let path: Vec<_> = path.split("::").map(str::to_owned).collect();
        let Place { module, item } = tree.resolve(index(from), &path)?;
        Some(format!("{} {}", tree.modules()[module].path.join("::"), item.unwrap_or_default()))
    };
    let deep = Some("b::inner Deep".to_owned());
    for (from, path) in [
        ("", "Deep"),
        ("", "Other"),
        ("", "self::Other"),
        ("", "b::inner::Deep"),
        ("b", "Renamed"),
        ("b", "below::Deep"),
        ("b", "super::Deep"),
        ("b::inner", "Deep"),
        ("b::inner", "super::super::Other"),
        ("c", "Deep"),
        ("c", "Other"),
        ("c", "below::Deep"),
        ("c", "crate::b::below::Deep"),
    ] {
        assert_eq!(resolve(from, path), deep, "{from}: {path}");
    }
    assert_eq!(resolve("c", "Kind::One"), Some("b::inner Kind".to_owned()));
    assert_eq!(resolve("c", "below::make"), Some("b::inner make".to_owned()));
    assert_eq!(resolve("c", "crate::b::below"), Some("b::inner ".to_owned()));
    for (from, path) in [
        ("", "std::fmt"),
        ("", "fmt::Debug"),
        ("", "b::Deep"),
        ("", "super::b"),
        ("b::inner", "b::inner::Deep"),
        ("c", "b::crate::Deep"),
        // Each is imported from the other.
        ("c", "d"),
    ] {
        assert_eq!(resolve(from, path), None, "{from}: {path}");
    }
}
