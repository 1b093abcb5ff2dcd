//! The folders of the engine stand on each other: nothing imports what stands above it.
//!
//! `TIERS` and `AREAS` are all there is to edit. Both name folders right below the engine's `src`. What is in none
//! of them is outside the rule, and may import and be imported by everything: other folders, files at the root, and
//! code that only tests have, for the tests of an area drive a whole store.

use std::slice;

use syn::visit::{self, Visit};
use syn::{ImplItemFn, Item, ItemMod, ItemUse, Macro, Path, VisRestricted};

use super::Finding;
use super::modules::{
    Module, ModuleTree, attributes_of, line_of, only_in_tests, paths_in_tokens, written_imports,
};

/// The first file of the crate that has tiers.
pub const ROOT: &str = "engine/src/lib.rs";

/// The tiers, the lowest first. A module imports from its own tier and from lower ones; within the tier of the areas
/// `AREAS` decides, and their calls may also import `FACADE`.
const TIERS: [Tier; 7] = [
    // Numbers, moments, kinds of frames, errors, clocks.
    Tier::Of(&["base"]),
    // Events, and the layout of their frames.
    Tier::Of(&["event"]),
    // The one way to write, keys, segments, cleaning, opening; names no area.
    Tier::Of(&["kernel"]),
    Tier::Areas,
    // The areas together, and the one dispatch of frames to them.
    Tier::Of(&["state"]),
    // The handle, and looking at a store without one.
    Tier::Of(&[FACADE, "inspect"]),
    // Decides what to send and what a reply means.
    Tier::Of(&["sync"]),
];

/// The folder with the store itself. Each area adds its calls to it; what an area keeps knows nothing of it.
const FACADE: &str = "store";

/// The areas, which of the others each may import, and its modules with calls of the store.
///
/// There are no circles among them: an area is imported only by those above it in this list.
const AREAS: [Area; 9] = [
    Area {
        name: "rescue",
        may_import: &["capture", "outbox", "review", "upstreams"],
        calls: &["calls"],
    },
    Area {
        name: "capture",
        may_import: &["limits", "outbox"],
        calls: &["admission", "append", "call", "calls", "tickets", "waking"],
    },
    Area {
        name: "review",
        may_import: &["outbox"],
        calls: &["decide", "dropbox", "keeping", "list", "notices"],
    },
    Area { name: "limits", may_import: &["outbox"], calls: &["calls", "cancel"] },
    Area { name: "records", may_import: &["outbox"], calls: &["calls"] },
    Area { name: "inbox", may_import: &["outbox"], calls: &["calls"] },
    Area { name: "outbox", may_import: &["upstreams"], calls: &["answers", "calls", "read"] },
    Area { name: "upstreams", may_import: &[], calls: &["calls"] },
    Area { name: "timekeeping", may_import: &[], calls: &["calls"] },
];

/// Modules of the same height.
#[derive(Debug)]
enum Tier {
    /// These, which may import each other.
    Of(&'static [&'static str]),
    /// Those of [`AREAS`].
    Areas,
}

/// One area.
#[derive(Debug)]
struct Area {
    /// The name of its module.
    name: &'static str,
    /// Areas that it may import.
    may_import: &'static [&'static str],
    /// Its modules with calls of the store, which may import `FACADE`.
    calls: &'static [&'static str],
}

impl Area {
    /// The area of that name.
    fn of(name: &str) -> Option<&'static Self> {
        AREAS.iter().find(|area| area.name == name)
    }
}

/// How high the folder `name` stands; `None` for one outside the rule.
fn height_of(name: &str) -> Option<usize> {
    TIERS.iter().position(|tier| match tier {
        Tier::Of(names) => names.contains(&name),
        Tier::Areas => Area::of(name).is_some(),
    })
}

/// Why the module at the path `from` must not import `to`, which is right below the root; `None` if it may.
fn against(from: &[String], to: &str) -> Option<String> {
    let top = from.first()?;
    let (from_height, to_height) = (height_of(top)?, height_of(to)?);
    let area = Area::of(top);
    let has_calls =
        area.is_some_and(|area| from.get(1).is_some_and(|it| area.calls.contains(&it.as_str())));
    if to_height > from_height && !(to == FACADE && has_calls) {
        return Some(format!(
            "`{}` must not import `{to}`, which stands above it",
            from.join("::")
        ));
    }
    let (one, other) = (area?, Area::of(to)?);
    let may = one.name == other.name || one.may_import.contains(&to);
    (!may).then(|| format!("the area `{top}` must not import the area `{to}`"))
}

/// Finds imports and paths in the engine that go against the tiers.
#[must_use]
pub fn import_of_a_higher_tier(tree: &ModuleTree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, module) in tree.modules().iter().enumerate().filter(|(_, one)| !one.only_in_tests) {
        if !module.path.first().is_some_and(|name| is_in_a_tier(tree, name)) {
            continue;
        }
        for (path, line) in written_paths(module) {
            let to = top_of(tree, index, &path).filter(|to| is_in_a_tier(tree, to));
            if let Some(what) = to.and_then(|to| against(&module.path, &to)) {
                let finding = Finding { path: module.file.clone(), line, what };
                if findings.last() != Some(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    findings
}

/// True if the module `name`, right below the root, is a folder.
fn is_in_a_tier(tree: &ModuleTree, name: &str) -> bool {
    let folder = tree.modules()[0].file_folder();
    let file = format!("{folder}{name}/mod.rs");
    tree.modules().iter().any(|module| module.file == file)
}

/// The module right below the root that `path` leads to, as it is written; for a name of the root itself, where that
/// comes from.
fn top_of(tree: &ModuleTree, index: usize, path: &[String]) -> Option<String> {
    let mut absolute = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => tree.modules()[index].path.clone(),
        _ => return None,
    };
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => drop(absolute.pop()),
            _ => absolute.push(name.clone()),
        }
    }
    let top = absolute.into_iter().next()?;
    let place = tree.resolve(0, slice::from_ref(&top))?;
    let is_module = tree.modules().iter().any(|module| module.path == [top.as_str()]);
    match is_module {
        true => Some(top),
        false => tree.modules()[place.module].path.first().cloned(),
    }
}

/// The paths in a module that no build but of tests is needed for, with their lines.
fn written_paths(module: &Module) -> Vec<(Vec<String>, usize)> {
    let mut paths = Paths::default();
    for item in &module.items {
        paths.visit_item(item);
    }
    paths.found
}

/// Collects paths.
#[derive(Default)]
struct Paths {
    found: Vec<(Vec<String>, usize)>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_in_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {
        // Has an entry of its own in the tree.
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !only_in_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {
        // Says who may look, and imports nothing.
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        let line = line_of(import.use_token.span);
        self.found.extend(written_imports(&import.tree).into_iter().map(|one| (one.path, line)));
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let line = path.segments.first().map_or(1, |first| line_of(first.ident.span()));
        self.found.push((names, line));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.found.extend(paths_in_tokens(call.tokens.clone()));
        visit::visit_macro(self, call);
    }
}

#[cfg(test)]
mod tests;
