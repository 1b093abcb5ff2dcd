//! Which names are allowed. Pure text; no I/O here.

use std::io;

/// Longest component that common file systems take.
const COMPONENT_BYTES_MAX: usize = 255;

/// A checked name, split at its last '/'.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Name<'a> {
    /// The directory, `""` for the root.
    pub(crate) dir: &'a str,
    /// The last component.
    pub(crate) entry: &'a str,
}

impl<'a> Name<'a> {
    /// Checks and splits the name of an entry.
    pub(crate) fn parse(name: &'a str) -> io::Result<Self> {
        if name.is_empty() {
            return Err(invalid(name, "is empty"));
        }
        check_dir(name)?;
        let (dir, entry) = name.rsplit_once('/').unwrap_or(("", name));
        Ok(Self { dir, entry })
    }
}

/// Checks the name of a directory; `""` is the root.
pub(crate) fn check_dir(dir: &str) -> io::Result<()> {
    if dir.is_empty() {
        return Ok(());
    }
    for part in dir.split('/') {
        match part {
            "" => return Err(invalid(dir, "has an empty component")),
            "." | ".." => return Err(invalid(dir, "must not contain . or ..")),
            _ if part.contains('\0') => return Err(invalid(dir, "contains NUL")),
            _ if part.len() > COMPONENT_BYTES_MAX => {
                return Err(invalid(dir, "has a component of more than 255 bytes"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The components of a checked directory name; none for the root.
pub(crate) fn parts(dir: &str) -> impl Iterator<Item = &str> {
    dir.split('/').filter(|part| !part.is_empty())
}

/// `dir` and `entry` as one name.
pub(crate) fn join(dir: &str, entry: &str) -> String {
    if dir.is_empty() { entry.to_owned() } else { format!("{dir}/{entry}") }
}

/// The error for a name that is not allowed.
fn invalid(name: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("name {name:?} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_split_at_the_last_slash() {
        assert_eq!(Name::parse("meta").unwrap(), Name { dir: "", entry: "meta" });
        assert_eq!(Name::parse("a/b/c").unwrap(), Name { dir: "a/b", entry: "c" });
        assert_eq!(Name::parse("..a").unwrap(), Name { dir: "", entry: "..a" });
        assert!(Name::parse(&"x".repeat(COMPONENT_BYTES_MAX)).is_ok());
    }

    #[test]
    fn names_that_could_leave_the_tree_are_invalid_input() {
        let long = "x".repeat(COMPONENT_BYTES_MAX + 1);
        for name in
            ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\0b", long.as_str()]
        {
            let error = Name::parse(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }

    #[test]
    fn only_a_directory_may_be_the_empty_name() {
        assert!(check_dir("").is_ok());
        assert_eq!(parts("").count(), 0);
        assert_eq!(parts("a/b").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((join("", "x"), join("a/b", "x")), ("x".to_owned(), "a/b/x".to_owned()));
    }
}
