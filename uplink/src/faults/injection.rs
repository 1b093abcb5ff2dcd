//! A fault together with what it is told. No I/O here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::ParseError;
use super::chance::Chance;
use super::fault::{Argument, Fault, RETRY_AFTER_WORDS};

/// A fault with its arguments, as one request meets it.
///
/// ```
/// use onceward_uplink::faults::{Argument, Fault, Injection};
///
/// let injection: Injection = "status_503 retry_after=2".parse()?;
/// assert_eq!(injection.fault(), Fault::Status503);
/// assert_eq!(injection.value(Argument::RetryAfter), "2");
/// // What is not said is as the table has it.
/// assert_eq!(injection.value(Argument::Applied), "no");
/// assert_eq!(injection.to_string(), "status_503 retry_after=2");
/// # Ok::<(), onceward_uplink::faults::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Injection {
    /// The fault.
    fault: Fault,
    /// What it was told; each passed [`Argument::objection`].
    values: BTreeMap<Argument, String>,
}

impl Injection {
    /// The fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The value of an argument: as it was told, or else as the table has it; empty where the fault has no such one.
    #[must_use]
    pub fn value(&self, argument: Argument) -> &str {
        let given = self.values.get(&argument).map(String::as_str);
        given.or_else(|| self.default_of(argument)).unwrap_or_default()
    }

    /// The same with one more argument.
    ///
    /// ```
    /// use onceward_uplink::faults::{Argument, Fault, Injection};
    ///
    /// let cut = Injection::from(Fault::CutReply).with(Argument::Bytes, "7")?;
    /// assert_eq!(cut.to_string(), "cut_reply bytes=7");
    /// assert!(cut.with(Argument::Depth, "7").is_err());
    /// # Ok::<(), onceward_uplink::faults::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The fault has no such argument, or the argument no such value.
    pub fn with(mut self, argument: Argument, value: &str) -> Result<Self, ParseError> {
        let field = || format!("{}={value}", argument.name());
        if self.default_of(argument).is_none() {
            return Err(ParseError::new(&field(), "the fault has no such argument"));
        }
        if let Some(wanted) = argument.objection(value) {
            return Err(ParseError::new(&field(), wanted));
        }
        self.values.insert(argument, value.to_owned());
        Ok(self)
    }

    /// What an argument is if nothing is said.
    fn default_of(&self, argument: Argument) -> Option<&'static str> {
        let mut arguments = self.fault.row().arguments.iter();
        arguments.find(|(known, _)| *known == argument).map(|(_, default)| *default)
    }

    /// Reads it from the fields of a line.
    pub(super) fn from_fields<'a>(
        mut fields: impl Iterator<Item = &'a str>,
    ) -> Result<Self, ParseError> {
        let name = fields.next().ok_or_else(|| ParseError::new("", "needs the name of a fault"))?;
        let mut injection = Self::from(name.parse::<Fault>()?);
        for field in fields {
            let (name, value) = field
                .split_once('=')
                .ok_or_else(|| ParseError::new(field, "needs a name, '=' and a value"))?;
            let mut known = injection.fault.row().arguments.iter();
            let (argument, _) = known
                .find(|(argument, _)| argument.name() == name)
                .ok_or_else(|| ParseError::new(field, "the fault has no such argument"))?;
            injection = injection.with(*argument, value)?;
        }
        Ok(injection)
    }

    /// The value of an argument as a number; `None` where it is a word, or the fault has no such one.
    pub(super) fn number(&self, argument: Argument) -> Option<u64> {
        self.value(argument).parse().ok()
    }

    /// Whether the upstream gets the request before the fault happens.
    pub(super) fn is_applied(&self) -> bool {
        self.value(Argument::Applied) == "yes"
    }

    /// The same, with what was left open decided by chance where a fault has more than one face.
    pub(super) fn varied(&self, chance: &mut Chance) -> Self {
        let mut varied = self.clone();
        for (argument, default) in self.fault.row().arguments {
            let value = match argument {
                Argument::Applied => chance.pick(&["yes", "no"], default).to_owned(),
                Argument::Reply => chance.pick(&["1", "2"], default).to_owned(),
                Argument::Bytes if *default == "half" => chance.below(CUT_BYTES_END).to_string(),
                Argument::RetryAfter => {
                    let words = [&RETRY_AFTER_WORDS[..], &["0", "1"]].concat();
                    chance.pick(&words, default).to_owned()
                }
                _ => continue,
            };
            varied.values.entry(*argument).or_insert(value);
        }
        varied
    }
}

impl From<Fault> for Injection {
    fn from(fault: Fault) -> Self {
        Self { fault, values: BTreeMap::new() }
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        self.values
            .iter()
            .try_for_each(|(argument, value)| write!(f, " {}={value}", argument.name()))
    }
}

impl FromStr for Injection {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::from_fields(text.split_whitespace())
    }
}

/// Chance cuts a message before this byte: in its head, or early in its body.
const CUT_BYTES_END: usize = 512;
