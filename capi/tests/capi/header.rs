//! The header and the library name the same functions, numbers and version.
//!
//! Method: read both as text, find the names in each, and compare.

use std::collections::BTreeSet;

use onceward_capi::{Dialect, KeyPlace, KeyRule, State, Status, Verdict, WorkKind};

/// The committed header.
const HEADER: &str = include_str!("../../include/onceward.h");
/// The files of the exported functions.
const LIBRARY: [&str; 2] =
    [include_str!("../../src/lib.rs"), include_str!("../../src/exchange/calls.rs")];

/// The functions that the library exports.
fn exported() -> BTreeSet<&'static str> {
    LIBRARY
        .iter()
        .flat_map(|file| file.split("extern \"C\" fn ").skip(1))
        .filter_map(|after| after.split_once('(').map(|(name, _)| name))
        .collect()
}

/// The functions that the header declares.
fn declared() -> BTreeSet<&'static str> {
    HEADER
        .lines()
        .filter_map(|line| line.strip_prefix("OW_API ")?.split_once('('))
        .filter_map(|(before, _)| before.rsplit([' ', '*']).next())
        .collect()
}

/// True if the header gives the number to the name.
fn has_number(name: &str, number: i64) -> bool {
    HEADER.lines().any(|line| {
        let Some((found, rest)) = line.trim().split_once(" = ") else { return false };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        found == name && digits == number.to_string()
    })
}

/// `InFlight` as `IN_FLIGHT`.
fn upper_snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[test]
fn every_exported_function_is_declared_and_the_reverse() {
    assert!(exported().contains("ow_capture"), "control: {:?}", exported());
    assert_eq!(exported(), declared());
    let marks = LIBRARY.iter().map(|file| file.matches("#[unsafe(no_mangle)]").count());
    assert_eq!(marks.sum::<usize>(), exported().len());
}

#[test]
fn every_declared_function_has_a_comment_before_it() {
    let lines: Vec<&str> = HEADER.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].starts_with("OW_API ")) {
        assert!(pair[0].trim_end().ends_with("*/"), "no comment before {}", pair[1]);
    }
}

#[test]
fn every_number_is_the_same_on_both_sides() {
    use Status as A;
    let statuses = [
        (A::Ok, 0),
        (A::Null, 1),
        (A::Utf8, 2),
        (A::Invalid, 3),
        (A::NotFound, 4),
        (A::Full, 5),
        (A::Corrupt, 6),
        (A::Poisoned, 7),
        (A::Fenced, 8),
        (A::Locked, 9),
        (A::Unsupported, 10),
        (A::Io, 11),
        (A::Panic, 12),
        (A::Other, 13),
    ];
    for (status, number) in statuses {
        assert_eq!(status as i64, number, "{status:?} was changed");
        let name = format!("OW_{}", upper_snake(&format!("{status:?}")));
        assert!(has_number(&name, number), "the header lacks {name} = {number}");
    }
    for verdict in [Verdict::Fresh, Verdict::Duplicate, Verdict::Conflict] {
        let name = format!("OW_VERDICT_{}", upper_snake(&format!("{verdict:?}")));
        assert!(has_number(&name, verdict as i64), "the header lacks {name}");
    }
    use State as B;
    let states = [
        B::Unknown,
        B::Pending,
        B::InFlight,
        B::Accepted,
        B::Duplicate,
        B::Rejected,
        B::InReview,
        B::Uncertain,
        B::Expired,
        B::OutcomeUnknown,
        B::Other,
    ];
    for state in states {
        let name = format!("OW_STATE_{}", upper_snake(&format!("{state:?}")));
        assert!(has_number(&name, state as i64), "the header lacks {name}");
    }
    for dialect in [Dialect::None, Dialect::Forloy, Dialect::Wede] {
        let name = format!("OW_DIALECT_{}", upper_snake(&format!("{dialect:?}")));
        assert!(has_number(&name, dialect as i64), "the header lacks {name}");
    }
    for rule in [KeyRule::None, KeyRule::ScopePrefix] {
        let name = format!("OW_KEY_RULE_{}", upper_snake(&format!("{rule:?}")));
        assert!(has_number(&name, rule as i64), "the header lacks {name}");
    }
    use WorkKind as C;
    let kinds = [C::Send, C::Probe, C::Wait, C::Await, C::Idle, C::Blocked];
    for kind in kinds {
        let name = format!("OW_WORK_{}", upper_snake(&format!("{kind:?}")));
        assert!(has_number(&name, kind as i64), "the header lacks {name}");
    }
    for place in [KeyPlace::Nowhere, KeyPlace::Bearer, KeyPlace::Header] {
        let name = format!("OW_KEY_PLACE_{}", upper_snake(&format!("{place:?}")));
        assert!(has_number(&name, place as i64), "the header lacks {name}");
    }
    let is_number = |line: &&str| line.starts_with("    OW_") && line.contains(" = ");
    let in_header = HEADER.lines().filter(is_number).count();
    assert_eq!(
        in_header,
        statuses.len() + 3 + states.len() + 3 + 2 + kinds.len() + 3,
        "numbers that only the header has"
    );
}

#[test]
fn the_headers_version_is_the_crates() {
    let wanted = format!("#define OW_VERSION \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(HEADER.lines().any(|line| line == wanted), "{wanted}");
    let wanted = format!("#define OW_OPEN_EXISTING {}u", onceward_capi::OPEN_EXISTING);
    assert!(HEADER.lines().any(|line| line == wanted), "{wanted}");
}
