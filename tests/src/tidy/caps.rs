//! Numbers of the source tree that may only fall: what is to become better bit by bit must not become worse.
//!
//! A cap that is far above the real number would let it rise again, so the cap follows down.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Field, Ident, Item, Visibility};

use super::modules::{Module, ModuleTree, attributes_of, only_in_tests};

/// Crates whose type names are counted together, by folder: a newcomer reads them side by side.
pub const CRATES_OF_ONE_VOCABULARY: [&str; 4] = ["vfs", "wal", "index", "engine"];

/// Names that each crate has, so that its path tells them apart.
const NAMES_OF_EVERY_CRATE: [&str; 4] = ["Config", "Error", "ErrorKind", "Result"];

/// Says what is wrong with `cap`, a limit for `count`; `None` if nothing is.
///
/// `slack` is how far below its cap the number may be before the cap must follow.
#[must_use]
pub fn cap_broken(count: usize, cap: usize, slack: usize) -> Option<String> {
    if count > cap {
        return Some(format!("{count}, and the cap is {cap}"));
    }
    (count + slack < cap).then(|| format!("only {count}: lower the cap from {cap} to {count}"))
}

/// Type names that several modules of `trees` define, each with the places where.
///
/// Types that only tests have, and names that a type has inside a function or as a part of a trait, do not count.
#[must_use]
pub fn repeated_type_names(trees: &[ModuleTree]) -> BTreeMap<String, BTreeSet<String>> {
    let mut places: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for module in trees.iter().flat_map(ModuleTree::modules).filter(|module| !module.only_in_tests)
    {
        for item in module.items.iter().filter(|item| !only_in_tests(attributes_of(item))) {
            let Some(name) = type_name(item) else { continue };
            places.entry(name.to_string()).or_default().insert(place_of(module, name));
        }
    }
    places
        .retain(|name, places| places.len() > 1 && !NAMES_OF_EVERY_CRATE.contains(&name.as_str()));
    places
}

/// How a person finds the type `name`. Two types of one name in one module are one under two conditions.
fn place_of(module: &Module, name: &Ident) -> String {
    match module.path.is_empty() {
        true => module.file.clone(),
        false => format!("{} ({}::{name})", module.file, module.path.join("::")),
    }
}

/// The name of the type that `item` defines.
fn type_name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Enum(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

/// The fields of a crate's structs, outside tests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FieldCount {
    /// All of them.
    pub all: usize,
    /// Count of those that the whole crate sees: `pub(crate)`.
    pub of_the_crate: usize,
}

impl FieldCount {
    /// Counts the fields in `tree`.
    #[must_use]
    pub fn of(tree: &ModuleTree) -> Self {
        let mut count = Self::default();
        for module in tree.modules().iter().filter(|module| !module.only_in_tests) {
            for item in &module.items {
                if let Item::Struct(item) = item
                    && !only_in_tests(&item.attrs)
                {
                    count.all += item.fields.len();
                    count.of_the_crate +=
                        item.fields.iter().filter(|field| of_the_crate(field)).count();
                }
            }
        }
        count
    }

    /// The part that the whole crate sees, in thousandths, rounded up.
    #[must_use]
    pub fn of_the_crate_per_mille(self) -> usize {
        (self.of_the_crate * 1000).div_ceil(self.all.max(1))
    }
}

/// True for a field that is `pub(crate)`.
fn of_the_crate(field: &Field) -> bool {
    matches!(&field.vis, Visibility::Restricted(to) if to.path.is_ident("crate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::SourceFile;

    /// The crate of one file in the folder `folder`.
    fn tree(folder: &str, text: &str) -> ModuleTree {
        let root = format!("{folder}/src/lib.rs");
        let tree = ModuleTree::read(&[SourceFile::new(&root, text)], &root);
        tree.unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_number_may_fall_and_its_cap_follows() {
        assert_eq!(cap_broken(7, 7, 3), None);
        assert_eq!(cap_broken(4, 7, 3), None);
        assert_eq!(cap_broken(8, 7, 3).as_deref(), Some("8, and the cap is 7"));
        assert_eq!(cap_broken(3, 7, 3).as_deref(), Some("only 3: lower the cap from 7 to 3"));
        assert_eq!(cap_broken(0, 0, 0), None);
    }

    #[test]
    fn a_name_counts_where_two_modules_define_it() {
        let found = |a: &str, b: &str| {
            let names = repeated_type_names(&[tree("a", a), tree("b", b)]);
            names.into_iter().map(|(name, places)| (name, places.len())).collect::<Vec<_>>()
        };
        let once = [("Found".to_owned(), 2)];
        for kind in ["struct Found;", "enum Found {}", "trait Found {}", "type Found = u8;"] {
            assert_eq!(found(kind, "mod c { pub(crate) struct Found(u8); }"), once, "{kind}");
        }
        assert_eq!(found("struct Found; mod c { struct Found; }", ""), once);
        for none in [
            "struct Other;",
            "mod found {} fn found() {} const FOUND: u8 = 1; use b::Found;",
            "#[cfg(test)] struct Found;",
            "#[cfg(test)] mod tests { struct Found; }",
            "impl Iterator for Other { type Found = u8; }",
            "fn a() { struct Found; }",
            "// struct Found;\nconst TEXT: &str = \"struct Found;\";",
        ] {
            assert_eq!(found(none, "struct Found;"), [], "{none}");
        }
        let alternatives = "#[cfg(unix)] type Found = u8; #[cfg(not(unix))] type Found = u16;";
        assert_eq!(found(alternatives, ""), []);
        for name in NAMES_OF_EVERY_CRATE {
            let text = format!("struct {name};");
            assert_eq!(found(&text, &text), [], "{name}");
        }
    }

    #[test]
    fn the_places_of_a_name_can_be_found_by_a_person() {
        let trees = [tree("a", "struct Found;"), tree("b", "mod c { struct Found; }")];
        let places: Vec<_> = repeated_type_names(&trees).into_values().flatten().collect();
        assert_eq!(places, ["a/src/lib.rs", "b/src/lib.rs (c::Found)"]);
    }

    #[test]
    fn fields_are_counted_by_who_sees_them() {
        let text = "pub struct A { pub a: u8, pub(crate) b: u8, pub(super) c: u8, d: u8 }
            struct B(pub(crate) u8, u8); struct C;
            mod inner { struct D { pub(in crate::inner) a: u8, #[cfg(unix)] pub(crate) b: u8 } }
            #[cfg(test)] struct E { pub(crate) a: u8 }
            #[cfg(test)] mod tests { struct F { pub(crate) a: u8 } }
            enum G { H { a: u8 } }
            // struct I { pub(crate) a: u8 }";
        let count = FieldCount::of(&tree("a", text));
        assert_eq!(count, FieldCount { all: 8, of_the_crate: 3 });
        assert_eq!(count.of_the_crate_per_mille(), 375);
        assert_eq!(FieldCount { all: 3, of_the_crate: 1 }.of_the_crate_per_mille(), 334);
        assert_eq!(FieldCount::default().of_the_crate_per_mille(), 0);
    }
}
