//! Which code only a build of tests has.

use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

/// What a condition is in a build that is not of tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Truth {
    /// True, whatever else is set.
    Always,
    /// False, whatever else is set.
    Never,
    /// As other settings have it: features, the target, planted bugs.
    Depends,
}

/// True if an attribute of these is a `cfg` that holds in builds of tests only.
#[must_use]
pub fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<Meta>().is_ok_and(|meta| outside_tests(&meta) == Truth::Never)
    })
}

/// The attributes of `item`.
#[must_use]
pub fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        // Of a kind that the parser does not know.
        _ => &[],
    }
}

/// What `condition` is outside tests.
fn outside_tests(condition: &Meta) -> Truth {
    if condition.path().is_ident("test") {
        return Truth::Never;
    }
    let Meta::List(list) = condition else { return Truth::Depends };
    let parsed = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let parts: Vec<_> = parsed.into_iter().flatten().map(|part| outside_tests(&part)).collect();
    let any = |truth| parts.contains(&truth);
    let all = |truth| parts.iter().all(|part| *part == truth);
    if list.path.is_ident("not") {
        return match parts.as_slice() {
            [Truth::Always] => Truth::Never,
            [Truth::Never] => Truth::Always,
            _ => Truth::Depends,
        };
    }
    // What decides alone, and what is left when nothing does.
    let (deciding, neutral) = if list.path.is_ident("all") {
        (Truth::Never, Truth::Always)
    } else if list.path.is_ident("any") {
        (Truth::Always, Truth::Never)
    } else {
        return Truth::Depends;
    };
    match () {
        () if any(deciding) => deciding,
        () if all(neutral) => neutral,
        () => Truth::Depends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True if a function with the attributes `text` is of tests only.
    fn judged(text: &str) -> bool {
        let item = syn::parse_str(&format!("{text} fn a() {{}}")).unwrap();
        only_in_tests(attributes_of(&item))
    }

    #[test]
    fn code_is_of_tests_only_if_no_other_build_can_have_it() {
        for only in [
            "#[cfg(test)]",
            "#[inline] #[cfg(test)]",
            "#[cfg(unix)] #[cfg(test)]",
            "#[cfg(all(test, shuttle))]",
            "#[cfg(all(unix, any(test)))]",
            "#[cfg(any(test, all(test, unix)))]",
            "#[cfg(not(not(test)))]",
            "#[cfg(not(any(unix, not(test))))]",
        ] {
            assert!(judged(only), "{only}");
        }
        for other in [
            "",
            "#[test]",
            "#[cfg(unix)]",
            "#[cfg(not(test))]",
            "#[cfg(any(test, feature = \"testing\"))]",
            "#[cfg(any(test, unix))]",
            "#[cfg(not(all(test, unix)))]",
            "#[cfg(feature = \"test\")]",
            "#[cfg(other = \"test\")]",
            "#[cfg_attr(test, inline)]",
        ] {
            assert!(!judged(other), "{other}");
        }
    }

    #[test]
    fn every_kind_of_item_has_its_attributes() {
        for item in [
            "const A: u8 = 1;",
            "enum A {}",
            "extern crate a;",
            "fn a() {}",
            "extern \"C\" {}",
            "impl A {}",
            "a! {}",
            "mod a {}",
            "static A: u8 = 1;",
            "struct A;",
            "trait A {}",
            "trait A = B;",
            "type A = B;",
            "union A { a: u8 }",
            "use a;",
        ] {
            let item = syn::parse_str(&format!("#[cfg(test)] {item}")).unwrap();
            assert_eq!(attributes_of(&item).len(), 1);
        }
    }
}
