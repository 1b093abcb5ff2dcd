//! Reads the modules of one crate as the compiler does: from its root, along `mod`. Judges nothing.
//!
//! A real parser reads the files, so that text and comments are never taken for code. Not seen: what macros make, and
//! items inside the bodies of functions.

use std::slice;

use proc_macro2::Span;
use syn::{Attribute, Expr, ExprLit, File, Item, ItemMod, Lit, Meta};

use super::{Finding, SourceFile};

mod condition;
mod names;
mod paths;

pub use condition::{attributes_of, only_in_tests};
pub use names::{Place, WrittenImport, written_imports};
pub use paths::paths_in_tokens;

/// One module: a file, or a block within one.
pub struct Module {
    /// Names from the root of the crate, whose own path is empty.
    pub path: Vec<String>,
    /// Path of its file from the root of the repository.
    pub file: String,
    /// True if only a build of tests has it.
    pub only_in_tests: bool,
    /// Everything in it but its modules, which have entries of their own in [`ModuleTree::modules`].
    pub items: Vec<Item>,
    /// The folder in which its children have their files.
    folder: String,
}

impl Module {
    /// The folder of its file, with a `/` at its end.
    #[must_use]
    pub fn file_folder(&self) -> &str {
        self.file.rfind('/').map_or("", |at| &self.file[..=at])
    }

    /// A finding in this module, at `place`.
    #[must_use]
    pub fn finding(&self, place: Span, what: &str) -> Finding {
        Finding { path: self.file.clone(), line: line_of(place), what: what.to_owned() }
    }
}

/// The line on which `place` begins, counted from 1.
#[must_use]
pub fn line_of(place: Span) -> usize {
    place.start().line
}

/// All modules of a crate.
pub struct ModuleTree {
    modules: Vec<Module>,
    names: names::Names,
}

impl ModuleTree {
    /// Reads the crate that begins in the file at `root`, from `files`.
    ///
    /// # Errors
    ///
    /// A file that is missing or no Rust.
    pub fn read(files: &[SourceFile], root: &str) -> Result<Self, Finding> {
        let mut reading = Reading { files, modules: Vec::new() };
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        reading.file(root, Vec::new(), folder, false)?;
        let names = names::Names::of(&reading.modules);
        Ok(Self { modules: reading.modules, names })
    }

    /// The folder of the crate, right below the root of the repository.
    #[must_use]
    pub fn package(&self) -> &str {
        self.modules[0].file.split('/').next().unwrap_or_default()
    }

    /// Every module; the first one is the root.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Where `path`, as it is written in the module at `from` in [`Self::modules`], leads within this crate.
    ///
    /// `None` for what another crate has, and for what a macro makes.
    #[must_use]
    pub fn resolve(&self, from: usize, path: &[String]) -> Option<Place> {
        self.names.resolve(from, path)
    }
}

/// Modules found so far.
struct Reading<'a> {
    files: &'a [SourceFile],
    modules: Vec<Module>,
}

impl Reading<'_> {
    /// Reads the file at `file` as the module `path`, and all below it.
    fn file(
        &mut self,
        file: &str,
        path: Vec<String>,
        folder: String,
        only_in_tests_above: bool,
    ) -> Result<(), Finding> {
        let missing =
            |what: &str| Finding { path: file.to_owned(), line: 1, what: what.to_owned() };
        let source = self.files.iter().find(|source| source.path == file);
        let source = source.ok_or_else(|| missing("a module without a file"))?;
        let File { attrs, items, .. } = syn::parse_file(&source.text).map_err(|error| {
            let line = error.span().start().line;
            source.finding(line, format!("tidy cannot read this: {error}"))
        })?;
        let only_in_tests = only_in_tests_above || only_in_tests(&attrs);
        self.module(Module { path, file: file.to_owned(), only_in_tests, items, folder })
    }

    /// Adds `module` and all below it.
    fn module(&mut self, mut module: Module) -> Result<(), Finding> {
        let (children, items): (Vec<_>, Vec<_>) =
            module.items.into_iter().partition(|item| matches!(item, Item::Mod(_)));
        module.items = items;
        let index = self.modules.len();
        self.modules.push(module);
        for child in children {
            if let Item::Mod(child) = child {
                self.child(index, child)?;
            }
        }
        Ok(())
    }

    /// Adds the module that the one at `parent` declares with `child`, and all below it.
    fn child(&mut self, parent: usize, child: ItemMod) -> Result<(), Finding> {
        let parent = &self.modules[parent];
        let name = child.ident.to_string();
        let path = [parent.path.as_slice(), slice::from_ref(&name)].concat();
        let only_in_tests = parent.only_in_tests || only_in_tests(&child.attrs);
        let folder = format!("{}/{name}", parent.folder);
        if let Some(written) = written_path(&child) {
            let file = format!("{}{written}", parent.file_folder());
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            return self.file(&file, path, folder, only_in_tests);
        }
        match child.content {
            Some((_, items)) => {
                let file = parent.file.clone();
                self.module(Module { path, file, only_in_tests, items, folder })
            }
            None => self.file(&self.file_of(&folder), path, folder, only_in_tests),
        }
    }

    /// The file of a module whose children are in `folder`.
    fn file_of(&self, folder: &str) -> String {
        let inside = format!("{folder}/mod.rs");
        match self.files.iter().any(|file| file.path == inside) {
            true => inside,
            false => format!("{folder}.rs"),
        }
    }
}

/// The file that `#[path = ".."]` names.
fn written_path(module: &ItemMod) -> Option<String> {
    module.attrs.iter().find(|attribute| attribute.path().is_ident("path")).and_then(text_of)
}

/// The text in `#[name = "text"]`.
fn text_of(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else { return None };
    match &meta.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
