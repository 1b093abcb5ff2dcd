//! Own methods are counted over all files of a crate, and an exemption lasts as long as it is needed.

use super::*;
use crate::tidy::SourceFile;

/// What is found in the crate of the files `(path, text)`, which begins in `a/src/lib.rs`.
fn found(texts: &[(&str, &str)], exemptions: &[Exemption]) -> Vec<(String, usize, String)> {
    let files: Vec<_> = texts.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
    let tree = ModuleTree::read(&files, "a/src/lib.rs").unwrap_or_else(|error| panic!("{error}"));
    let findings = types_too_large(&[tree], exemptions);
    findings.into_iter().map(|finding| (finding.path, finding.line, finding.what)).collect()
}

/// Methods with the numbers `numbers`.
fn methods(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("fn m{number}(&self) {{}}\n")).collect()
}

#[test]
fn methods_are_counted_over_all_blocks_and_files() {
    let half = METHODS_MAX / 2;
    let crate_with = |last: usize| {
        let root = format!("mod b;\nstruct Large;\nimpl Large {{ {} }}\n", methods(0..half));
        let part = format!("impl crate::Large {{ {} }}", methods(half..last));
        found(&[("a/src/lib.rs", &root), ("a/src/b.rs", &part)], &[])
    };
    assert_eq!(crate_with(METHODS_MAX), []);
    let findings = crate_with(METHODS_MAX + 1);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let (path, line, what) = &findings[0];
    assert_eq!((path.as_str(), *line), ("a/src/lib.rs", 2));
    assert!(what.contains("`Large` has 41 own methods in 2 files"), "{what}");
}

#[test]
fn methods_of_traits_of_tests_of_other_types_and_of_other_conditions_do_not_count() {
    let (few, many) = (methods(0..1), methods(1..METHODS_MAX + 1));
    for other in [
        format!("trait T {{ {many} }}"),
        format!("impl T for Large {{ {many} }}"),
        format!("#[cfg(test)] impl Large {{ {many} }}"),
        format!("#[cfg(test)] mod tests {{ impl super::Large {{ {many} }} }}"),
        format!("impl Large {{ {} }}", many.replace("fn", "#[cfg(test)] fn")),
        format!("mod b {{ struct Large; impl Large {{ {many} }} }}"),
        format!("// impl Large {{ \n/* {many} */ const C: &str = \"impl Large {{ {many} }}\";"),
        // The same methods for another argument, or under another condition.
        format!("impl Large<u8> {{ {few} }} #[cfg(unix)] impl Large {{ {few} }}"),
    ] {
        let root = format!("struct Large<T>;\nimpl<T> Large<T> {{ {few} }}\n{other}\n");
        assert_eq!(found(&[("a/src/lib.rs", &root)], &[]), [], "{other}");
    }
    let root = format!("struct Large;\nimpl Large {{ {few} }}\nimpl Large {{ {many} }}\n");
    assert_eq!(found(&[("a/src/lib.rs", &root)], &[]).len(), 1, "control: what does count");
}

#[test]
fn methods_stand_in_the_folder_of_their_type_or_below() {
    let crate_with = |other: &str, part: &str| {
        let root = "mod b; mod c; mod d;";
        let texts = [
            ("a/src/lib.rs", root),
            ("a/src/b/mod.rs", "pub mod inner; mod part; pub struct Wide; impl Wide {}"),
            ("a/src/b/inner.rs", "pub struct Deep; impl Deep {}"),
            ("a/src/b/part/mod.rs", part),
            ("a/src/c/mod.rs", other),
            ("a/src/d.rs", "struct AtTheRoot;"),
        ];
        found(&texts, &[])
    };
    let below = "impl crate::b::Wide {} impl super::inner::Deep {}";
    assert_eq!(crate_with("use crate::b::Wide; impl Clone for Wide {}", below), []);
    assert_eq!(crate_with("#[cfg(test)] impl crate::b::Wide {}", ""), []);
    assert_eq!(crate_with("impl crate::d::AtTheRoot {}", ""), []);
    for other in [
        "\nimpl crate::b::Wide {}",
        "use crate::b::*;\nimpl Wide {}",
        "use super::b::inner::Deep as Other;\nimpl Other {}",
    ] {
        let findings = crate_with(other, below);
        assert_eq!(findings.len(), 1, "{other}: {findings:?}");
        assert_eq!((findings[0].0.as_str(), findings[0].1), ("a/src/c/mod.rs", 2), "{other}");
    }
}

#[test]
fn an_exemption_holds_for_one_rule_of_one_type_while_it_is_needed() {
    let large = format!("mod b; pub struct Large; impl Large {{ {} }}", methods(0..41));
    let small = "mod b; pub struct Large; impl Large {}".to_owned();
    let of = |root: &str, exemptions: &[Exemption]| {
        found(&[("a/src/lib.rs", root), ("a/src/b.rs", "")], exemptions).len()
    };
    let fitting = exempt("a", "Large", Rule::Few, "why");
    assert_eq!(of(&large, &[]), 1);
    assert_eq!(of(&large, &[fitting]), 0);
    for other in [
        exempt("a", "Large", Rule::Together, "why"),
        exempt("a", "Larger", Rule::Few, "why"),
        exempt("b", "Large", Rule::Few, "why"),
    ] {
        assert_eq!(of(&large, &[other]), 2, "{other:?}: it does not fit, and nothing needs it");
        assert_eq!(of(&large, &[fitting, other]), 1, "{other:?}: nothing needs it");
    }
    assert_eq!(of(&small, &[]), 0);
    assert_eq!(of(&small, &[fitting]), 1, "it is no longer needed");
    assert_eq!(of(&large, &[fitting, fitting]), 1, "one is enough");
}

#[test]
fn methods_of_a_type_that_is_nowhere_are_found() {
    assert_eq!(found(&[("a/src/lib.rs", "\nimpl Nowhere {}")], &[]).len(), 1);
    assert_eq!(found(&[("a/src/lib.rs", "struct Here; impl Here {}")], &[]).len(), 0);
}

#[test]
fn every_exemption_says_why() {
    assert!(EXEMPTIONS.iter().all(|one| one.reason.split_whitespace().count() >= 3));
}
