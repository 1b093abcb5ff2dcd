//! What is wrong with the text of a fault or of a script.

use std::fmt;

/// What is wrong with a name that no fault has.
pub(super) const UNKNOWN_NAME: &str = "no fault has this name";

/// A name, an argument or a line that means nothing. Names the line, if there are several, and the field.
///
/// ```
/// use onceward_uplink::faults::Plan;
///
/// let error = Plan::script("1 pass\n2 lost_socks").unwrap_err();
/// assert_eq!(error.line(), Some(2));
/// assert_eq!(error.field(), "lost_socks");
/// assert_eq!(error.to_string(), "line 2, \"lost_socks\": no fault has this name");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseError {
    /// The line, from 1.
    line: Option<usize>,
    /// The field.
    field: String,
    /// What is wrong with it.
    why: &'static str,
}

impl ParseError {
    /// Says what is wrong with a field.
    pub(super) fn new(field: &str, why: &'static str) -> Self {
        Self { line: None, field: field.to_owned(), why }
    }

    /// The same, in this line.
    pub(super) fn at(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    /// Whether no fault has the name that is the field.
    #[must_use]
    pub fn is_unknown_name(&self) -> bool {
        self.why == UNKNOWN_NAME
    }

    /// The line of the script, from 1; `None` where there is no script.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The field that means nothing; empty where one is missing.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "{:?}: {}", self.field, self.why)
    }
}

impl std::error::Error for ParseError {}
