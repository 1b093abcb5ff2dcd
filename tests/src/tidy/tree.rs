//! Reads the repository's files. Judges nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SourceFile;

/// The text files of the repository, sorted by path.
///
/// `.git` is left out, and so is what `.gitignore` names.
#[derive(Debug)]
pub struct SourceTree {
    files: Vec<SourceFile>,
}

impl SourceTree {
    /// Reads every text file below `root`; a file that is not UTF-8 is not text.
    ///
    /// # Errors
    ///
    /// What the operating system says. `InvalidData` for a pattern in `.gitignore` that
    /// [`Ignored::parse`] does not know.
    pub fn read(root: &Path) -> io::Result<Self> {
        let ignored = Ignored::parse(&fs::read_to_string(root.join(".gitignore"))?)
            .map_err(|pattern| io::Error::new(io::ErrorKind::InvalidData, pattern))?;
        let mut files = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(join(root, &folder))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let kind = entry.file_type()?;
                if ignored.matches(&path) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file()
                    && let Ok(text) = String::from_utf8(fs::read(join(root, &path))?)
                {
                    files.push(SourceFile { path, text });
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// Every file.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The files of Rust source.
    pub fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.has_extension("rs"))
    }

    /// The file at `path`.
    ///
    /// # Panics
    ///
    /// If there is none: the checks ask only for files that must exist.
    #[must_use]
    pub fn file(&self, path: &str) -> &SourceFile {
        match self.files.iter().find(|file| file.path == path) {
            Some(file) => file,
            None => panic!("{path} is missing"),
        }
    }
}

/// `root` with a `/`-separated path below it.
fn join(root: &Path, path: &str) -> PathBuf {
    path.split('/').filter(|part| !part.is_empty()).fold(root.to_owned(), |at, part| at.join(part))
}

/// What does not belong to the source.
#[derive(Debug)]
pub struct Ignored {
    /// Paths from the root.
    paths: Vec<String>,
    /// Names, in every folder.
    names: Vec<String>,
    /// Ends of names, in every folder.
    suffixes: Vec<String>,
}

impl Ignored {
    /// Reads the three kinds of patterns that this repository uses: `/path/from/root`, `name`, `*.suffix`.
    ///
    /// # Errors
    ///
    /// The first pattern of another kind. To guess its meaning would leave files unchecked.
    pub fn parse(gitignore: &str) -> Result<Self, String> {
        let mut ignored =
            Self { paths: Vec::new(), names: vec![".git".to_owned()], suffixes: Vec::new() };
        for line in gitignore.lines().map(str::trim) {
            let pattern = line.strip_suffix('/').unwrap_or(line);
            let (list, text) = if line.is_empty() || line.starts_with('#') {
                continue;
            } else if let Some(path) = pattern.strip_prefix('/') {
                (&mut ignored.paths, path)
            } else if let Some(suffix) = pattern.strip_prefix('*') {
                (&mut ignored.suffixes, suffix)
            } else {
                (&mut ignored.names, pattern)
            };
            if text.contains(['*', '?', '[', '!', '\\'])
                || (text.contains('/') && !line.starts_with('/'))
            {
                return Err(format!("tidy does not know this pattern of .gitignore: {line}"));
            }
            list.push(text.to_owned());
        }
        Ok(ignored)
    }

    /// True if `path`, from the root, is not part of the source.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.paths.iter().any(|known| known == path)
            || self.names.iter().any(|known| known == name)
            || self.suffixes.iter().any(|suffix| name.ends_with(suffix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rooted_pattern_matches_only_at_the_root() {
        let ignored = Ignored::parse("# built\n/target\n/fuzz/corpus/\n").unwrap();
        assert!(ignored.matches("target"));
        assert!(ignored.matches("fuzz/corpus"));
        assert!(!ignored.matches("wal/target"));
    }

    #[test]
    fn names_and_suffixes_match_in_every_folder() {
        let ignored = Ignored::parse("scratch\n*.swp\n").unwrap();
        assert!(ignored.matches("wal/src/scratch"));
        assert!(ignored.matches("wal/src/lib.rs.swp"));
        assert!(ignored.matches(".git"));
        assert!(!ignored.matches("wal/src/lib.rs"));
    }

    #[test]
    fn a_pattern_that_tidy_does_not_know_is_refused() {
        for pattern in ["!kept", "a/b", "/a*b", "[ab]"] {
            assert!(Ignored::parse(pattern).is_err(), "{pattern}");
        }
    }
}
