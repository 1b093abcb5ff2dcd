//! Paths in the arguments of macros, which no parser knows the meaning of.

use proc_macro2::{TokenStream, TokenTree};

/// The paths in `tokens` that begin with `crate`, `self` or `super`, with their lines.
#[must_use]
pub fn paths_in_tokens(tokens: TokenStream) -> Vec<(Vec<String>, usize)> {
    let mut paths = Vec::new();
    let mut open: Option<OpenPath> = None;
    for token in tokens {
        open = match (open, token) {
            (Some(mut path), TokenTree::Punct(colon)) if colon.as_char() == ':' => {
                path.colon_count += 1;
                Some(path)
            }
            (Some(mut path), TokenTree::Ident(name)) if path.colon_count == 2 => {
                path.names.push(name.to_string());
                path.colon_count = 0;
                Some(path)
            }
            (before, token) => {
                paths.extend(before.and_then(OpenPath::finish));
                match token {
                    TokenTree::Ident(name) => OpenPath::begin(&name),
                    TokenTree::Group(group) => {
                        paths.extend(paths_in_tokens(group.stream()));
                        None
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => None,
                }
            }
        };
    }
    paths.extend(open.and_then(OpenPath::finish));
    paths
}

/// A path that may go on.
struct OpenPath {
    names: Vec<String>,
    line: usize,
    /// Colons since the last name.
    colon_count: usize,
}

impl OpenPath {
    /// A path that begins with `name`, if one can.
    fn begin(name: &proc_macro2::Ident) -> Option<Self> {
        let begins = name == "crate" || name == "self" || name == "super";
        let line = name.span().start().line;
        begins.then(|| Self { names: vec![name.to_string()], line, colon_count: 0 })
    }

    /// The path, unless it is a word alone: `self` as a value.
    fn finish(self) -> Option<(Vec<String>, usize)> {
        (self.names.len() > 1).then_some((self.names, self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths in `text`, joined, with their lines.
    fn found(text: &str) -> Vec<(String, usize)> {
        let tokens = text.parse::<TokenStream>().unwrap();
        paths_in_tokens(tokens).into_iter().map(|(names, line)| (names.join("::"), line)).collect()
    }

    #[test]
    fn paths_are_found_at_every_depth_and_text_is_none() {
        let text = "crate::a::B,\nmatches!(x, [super::super::c::D(y), self::e])\n";
        let expected = [("crate::a::B", 1), ("super::super::c::D", 2), ("self::e", 2)];
        assert_eq!(found(text), expected.map(|(path, line)| (path.to_owned(), line)));
        for none in ["\"crate::a\"", "self.a", "a::b::C", "crate", "self: u8", "/* crate::a */ b"] {
            assert_eq!(found(none), [], "{none}");
        }
    }

    #[test]
    fn a_path_ends_where_its_names_do() {
        let text = "x = crate::a crate::b; y::<crate::c::D>(self::e::f())";
        let paths: Vec<_> = found(text).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["crate::a", "crate::b", "crate::c::D", "self::e::f"]);
    }
}
