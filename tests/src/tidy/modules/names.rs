//! Follows a path from the module that writes it to the module that defines what it names.

use std::collections::BTreeMap;

use syn::{Item, UseTree};

use super::Module;

/// Imports that are followed one after another at most; a circle of them ends here.
const STEPS_MAX: usize = 32;

/// What a path leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The module, as its place in the list of modules.
    pub module: usize,
    /// The item in it; `None` if the path is that of the module itself.
    pub item: Option<String>,
}

/// The names in every module.
#[derive(Debug)]
pub(super) struct Names {
    modules: Vec<NamesOfModule>,
}

/// The names in one module.
#[derive(Debug, Default)]
struct NamesOfModule {
    /// The module that holds it.
    parent: Option<usize>,
    /// Its modules.
    children: BTreeMap<String, usize>,
    /// What it defines.
    items: Vec<String>,
    /// What it imports, under the name that it gives.
    imports: BTreeMap<String, Vec<String>>,
    /// The modules of which it imports everything.
    globs: Vec<Vec<String>>,
}

impl Names {
    /// Collects the names in `modules`.
    pub(super) fn of(modules: &[Module]) -> Self {
        let index_of = |path: &[String]| modules.iter().position(|module| module.path == path);
        let mut names: Vec<_> = modules.iter().map(NamesOfModule::of).collect();
        for (index, module) in modules.iter().enumerate() {
            if let Some((name, parent_path)) = module.path.split_last()
                && let Some(parent) = index_of(parent_path)
            {
                names[index].parent = Some(parent);
                names[parent].children.insert(name.clone(), index);
            }
        }
        Self { modules: names }
    }

    /// Where `path`, written in the module `from`, leads; `None` if out of this crate.
    pub(super) fn resolve(&self, from: usize, path: &[String]) -> Option<Place> {
        self.resolve_within(from, path, STEPS_MAX)
    }

    /// [`Self::resolve`], following at most `steps` imports.
    fn resolve_within(&self, from: usize, path: &[String], steps: usize) -> Option<Place> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let mut at = self.step(from, first, steps, true)?;
        for name in rest {
            // What follows an item is a part of it: a variant, a function.
            if at.item.is_some() {
                break;
            }
            at = self.step(at.module, name, steps, false)?;
        }
        Some(at)
    }

    /// What `name` is in `module`; the words for modules count, `crate` only where a path begins.
    fn step(&self, module: usize, name: &str, steps: usize, begins: bool) -> Option<Place> {
        let place = |module| Place { module, item: None };
        match name {
            "crate" if begins => Some(place(0)),
            "self" => Some(place(module)),
            "super" => self.modules[module].parent.map(place),
            _ => self.lookup(module, name, steps),
        }
    }

    /// What `name` is in `module`.
    fn lookup(&self, module: usize, name: &str, steps: usize) -> Option<Place> {
        let names = &self.modules[module];
        if let Some(child) = names.children.get(name) {
            return Some(Place { module: *child, item: None });
        }
        if names.items.iter().any(|item| item == name) {
            return Some(Place { module, item: Some(name.to_owned()) });
        }
        if let Some(path) = names.imports.get(name) {
            // `use a::b as a`, `use serde::de` beside no module of that name: out of the crate.
            return match path.as_slice() {
                [only] if only == name => None,
                _ => self.resolve_within(module, path, steps),
            };
        }
        let steps = steps.checked_sub(1)?;
        names.globs.iter().find_map(|glob| {
            let from = self.resolve_within(module, glob, steps)?;
            if from.item.is_some() || from.module == module {
                return None;
            }
            self.lookup(from.module, name, steps)
        })
    }
}

impl NamesOfModule {
    /// The names in `module`, without its place in the tree.
    fn of(module: &Module) -> Self {
        let mut names = Self::default();
        for item in &module.items {
            match item {
                Item::Use(import) if import.leading_colon.is_none() => {
                    for written in written_imports(&import.tree) {
                        match written.name {
                            Some(name) => drop(names.imports.insert(name, written.path)),
                            None => names.globs.push(written.path),
                        }
                    }
                }
                _ => names.items.extend(defined_name(item)),
            }
        }
        names
    }
}

/// The name that `item` defines, unless it is a module or an import.
fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// One import of a `use`.
#[derive(Debug)]
pub struct WrittenImport {
    /// What is imported, as it is written; for a glob, of what.
    pub path: Vec<String>,
    /// The name that it gets here; `None` for a glob.
    pub name: Option<String>,
}

/// Takes the groups of a `use` apart.
#[must_use]
pub fn written_imports(tree: &UseTree) -> Vec<WrittenImport> {
    let mut imports = Vec::new();
    collect_imports(tree, &[], &mut imports);
    imports
}

/// Adds the imports of `tree`, which stands behind `above`.
fn collect_imports(tree: &UseTree, above: &[String], imports: &mut Vec<WrittenImport>) {
    let with = |name: &str| [above, &[name.to_owned()]].concat();
    match tree {
        UseTree::Path(path) => {
            collect_imports(&path.tree, &with(&path.ident.to_string()), imports);
        }
        UseTree::Name(name) if name.ident == "self" => {
            imports.push(WrittenImport { path: above.to_vec(), name: above.last().cloned() });
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            imports.push(WrittenImport { path: with(&name), name: Some(name) });
        }
        UseTree::Rename(renamed) => {
            let path = match renamed.ident == "self" {
                true => above.to_vec(),
                false => with(&renamed.ident.to_string()),
            };
            imports.push(WrittenImport { path, name: Some(renamed.rename.to_string()) });
        }
        UseTree::Glob(_) => imports.push(WrittenImport { path: above.to_vec(), name: None }),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect_imports(tree, above, imports);
            }
        }
    }
}
