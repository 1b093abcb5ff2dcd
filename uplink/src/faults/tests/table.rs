//! The table and the enum have the same faults, under names that scripts can rely on.
//!
//! Method: compare each row with its variant, and write each fault and argument and read it back.

use super::super::{Argument, Fault, Injection, TABLE};

/// `LostReply` as `lost_reply`, `Status503` as `status_503`.
fn snake_case(variant: &str) -> String {
    let mut name = String::new();
    let mut before = '_';
    for letter in variant.chars() {
        let begins =
            letter.is_ascii_uppercase() || (letter.is_ascii_digit() && !before.is_ascii_digit());
        if begins && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        before = letter;
    }
    name
}

#[test]
fn each_row_is_that_of_its_variant_and_has_its_name() {
    for (index, row) in TABLE.iter().enumerate() {
        assert_eq!(row.fault as usize, index, "{}", row.name);
        assert_eq!(row.name, snake_case(&format!("{:?}", row.fault)));
        assert_eq!(row.fault.name(), row.name);
        assert_eq!(row.name.parse(), Ok(row.fault));
        assert!(row.summary.len() > 10 && !row.summary.contains('\n'), "{}", row.name);
    }
    // The last variant is in the last row, so no variant lacks one.
    assert_eq!(Fault::Hang as usize + 1, TABLE.len());
}

#[test]
fn the_documentation_of_a_variant_is_its_summary() {
    let source = include_str!("../fault.rs");
    for row in TABLE {
        let doc = format!("/// `{}`: {}.\n    {:?},\n", row.name, row.summary, row.fault);
        assert!(source.contains(&doc), "{doc}");
    }
}

#[test]
fn what_holds_if_nothing_is_said_could_be_said() {
    for row in TABLE {
        for (argument, default) in row.arguments {
            let told = Injection::from(row.fault).with(*argument, default);
            let text = format!("{} {}={default}", row.name, argument.name());
            assert_eq!(told.unwrap().to_string(), text);
            assert_eq!(text.parse::<Injection>().unwrap().to_string(), text);
        }
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let table = [
        ("delay ms=-1", "ms=-1"),
        ("delay ms=", "ms="),
        ("delay ms", "ms"),
        ("rate bytes_per_s=0", "bytes_per_s=0"),
        ("cut_reply bytes=most", "bytes=most"),
        ("twice reply=3", "reply=3"),
        ("status_503 retry_after=soon", "retry_after=soon"),
        ("status_503 applied=perhaps", "applied=perhaps"),
        ("status_401 code=\"", "code=\""),
        ("redirect_other_host to=hub", "to=hub"),
        ("deep_json depth=99999999999", "depth=99999999999"),
        ("lost_reply ms=1", "ms=1"),
        ("status_599", "status_599"),
        ("", ""),
    ];
    for (text, field) in table {
        assert_eq!(text.parse::<Injection>().unwrap_err().field(), field, "{text}");
    }
    assert_eq!(Injection::from(Fault::Delay).value(Argument::Ms), "50", "control");
}
