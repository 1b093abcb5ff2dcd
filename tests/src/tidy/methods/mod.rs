//! No type does everything: its own methods are few, and stand together.
//!
//! Own methods are those of `impl Type`, not of `impl Trait for Type`. To cut an `impl` into pieces over many files
//! hides how large a type is, so all of a crate count. What only tests have does not.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, ItemImpl, Type};

use super::Finding;
use super::modules::{Module, ModuleTree, Place, line_of, only_in_tests};

/// This file, where exemptions are.
const OWN_PATH: &str = "tests/src/tidy/methods/mod.rs";

/// Own methods that a type may have.
pub const METHODS_MAX: usize = 40;

/// A rule of this file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// At most [`METHODS_MAX`] own methods.
    Few,
    /// All of them in the folder of the type's definition, or below.
    Together,
}

/// A type that may break a rule, and why.
#[derive(Clone, Copy, Debug)]
pub struct Exemption {
    /// The folder of its crate.
    pub package: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it may break.
    pub from: Rule,
    /// Why.
    pub reason: &'static str,
}

/// Types that are larger than the rules allow. An exemption that nothing needs is a finding: the list only shrinks.
pub const EXEMPTIONS: [Exemption; 2] = [
    exempt("engine", "Store", Rule::Together, "its calls stand in the files of their areas"),
    exempt(
        "engine",
        "Config",
        Rule::Together,
        "what a feature adds stands in the feature's folder",
    ),
];

/// Makes an exemption of the type `name` in the crate of the folder `package`.
const fn exempt(
    package: &'static str,
    name: &'static str,
    from: Rule,
    reason: &'static str,
) -> Exemption {
    Exemption { package, name, from, reason }
}

/// A type, as the module that defines it and its name.
type TypeKey = (usize, String);

/// The own methods of one type.
#[derive(Debug, Default)]
struct Methods {
    /// Their names. Two of one name are the same one under two conditions, or for two arguments.
    names: BTreeSet<String>,
    /// Files with an `impl` of it, and the line of the first one.
    files: BTreeMap<String, usize>,
}

/// Finds types of the crates `trees` that break a rule without an exemption, and exemptions without need.
#[must_use]
pub fn types_too_large(trees: &[ModuleTree], exemptions: &[Exemption]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut needed = BTreeSet::new();
    for tree in trees {
        let (breaches, unknown) = breaches(tree);
        findings.extend(unknown);
        for Breach { name, rule, finding } in breaches {
            let fits = |known: &Exemption| {
                known.package == tree.package() && known.name == name && known.from == rule
            };
            match exemptions.iter().position(fits) {
                Some(index) => drop(needed.insert(index)),
                None => findings.push(finding),
            }
        }
    }
    let unneeded = exemptions.iter().enumerate().filter(|(index, _)| !needed.contains(index));
    findings.extend(unneeded.map(|(_, known)| {
        let Exemption { package, name, from, .. } = known;
        let what = format!("`{name}` of {package} keeps the rule {from:?}: remove its exemption");
        Finding { path: OWN_PATH.to_owned(), line: 1, what }
    }));
    findings
}

/// A rule that a type breaks.
struct Breach {
    name: String,
    rule: Rule,
    finding: Finding,
}

/// What the types of one crate break, and what could not be told.
fn breaches(tree: &ModuleTree) -> (Vec<Breach>, Vec<Finding>) {
    let (types, unknown) = methods_of_types(tree);
    let mut breaches = Vec::new();
    for ((index, name), methods) in types {
        let module = &tree.modules()[index];
        let (count, file_count) = (methods.names.len(), methods.files.len());
        if count > METHODS_MAX {
            let what = format!(
                "`{name}` has {count} own methods in {file_count} files, at most {METHODS_MAX} are allowed"
            );
            let line = line_of_definition(module, &name);
            let finding = Finding { path: module.file.clone(), line, what };
            breaches.push(Breach { name: name.clone(), rule: Rule::Few, finding });
        }
        let home = module.file_folder();
        for (path, line) in methods.files.into_iter().filter(|(file, _)| !file.starts_with(home)) {
            let what = format!("`impl {name}` stands outside of {home}, where `{name}` is defined");
            let finding = Finding { path, line, what };
            breaches.push(Breach { name: name.clone(), rule: Rule::Together, finding });
        }
    }
    (breaches, unknown)
}

/// The own methods of every type, and what could not be told.
fn methods_of_types(tree: &ModuleTree) -> (BTreeMap<TypeKey, Methods>, Vec<Finding>) {
    let mut types: BTreeMap<_, Methods> = BTreeMap::new();
    let mut findings = Vec::new();
    for (index, module) in tree.modules().iter().enumerate() {
        for item in &module.items {
            let Item::Impl(block) = item else { continue };
            if module.only_in_tests || block.trait_.is_some() || only_in_tests(&block.attrs) {
                continue;
            }
            let Some(key) = key_of(tree, index, block) else {
                findings.push(
                    module.finding(block.impl_token.span, "tidy cannot find the type of this impl"),
                );
                continue;
            };
            let methods = types.entry(key).or_default();
            methods
                .files
                .entry(module.file.clone())
                .or_insert_with(|| line_of(block.impl_token.span));
            methods.names.extend(block.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(method) if !only_in_tests(&method.attrs) => {
                    Some(method.sig.ident.to_string())
                }
                _ => None,
            }));
        }
    }
    (types, findings)
}

/// The type of `block`, which stands in the module `index`.
fn key_of(tree: &ModuleTree, index: usize, block: &ItemImpl) -> Option<TypeKey> {
    let Type::Path(named) = &*block.self_ty else { return None };
    let path: Vec<_> =
        named.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let Place { module, item } = tree.resolve(index, &path)?;
    Some((module, item?))
}

/// The line on which `module` defines the type `name`.
fn line_of_definition(module: &Module, name: &str) -> usize {
    let found = module.items.iter().find_map(|item| match item {
        Item::Enum(item) if item.ident == name => Some(line_of(item.ident.span())),
        Item::Struct(item) if item.ident == name => Some(line_of(item.ident.span())),
        Item::Union(item) if item.ident == name => Some(line_of(item.ident.span())),
        _ => None,
    });
    found.unwrap_or(1)
}

#[cfg(test)]
mod tests;
