//! Which request meets which fault: by a script, then by a seed. No I/O here.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::ParseError;
use super::chance::Chance;
use super::fault::{Argument, Fault};
use super::injection::Injection;
use super::table::TABLE;

/// Which request meets which fault. Requests count from 1, over all connections.
///
/// The first line of the script that names a request decides its fault, and the seed where no line does. `delay` and
/// `rate` decide nothing: they shape the line of every request that they name, whatever else it meets, and of several
/// the slowest holds.
///
/// ```
/// use onceward_uplink::faults::{Fault, Plan, Weights};
///
/// let plan = Plan::script(
///     "3       lost_reply               # the third request
///      5-9     status_503 retry_after=2 # the fifth to the ninth
///      every 7 reset                    # the 14th, the 21st; the 7th has its line above
///      *       delay ms=50              # all of them",
/// )?
/// .or_seeded(1, Weights::half_of([Fault::CutReply.into(), Fault::Twice.into()]));
///
/// assert_eq!(plan.draw(3).injection.fault(), Fault::LostReply);
/// assert_eq!(plan.draw(7).injection.fault(), Fault::Status503);
/// assert_eq!(plan.draw(14).injection.fault(), Fault::Reset);
/// // The same seed gives the same faults, in whatever order requests come.
/// assert_eq!(plan.draw(1_000), plan.clone().draw(1_000));
/// # Ok::<(), onceward_uplink::faults::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The script.
    rules: Vec<Rule>,
    /// The seed, for requests that the script does not name.
    seeded: Option<(u64, Weights)>,
}

/// One line of a script.
#[derive(Clone, Debug)]
struct Rule {
    /// Which requests it names.
    which: Which,
    /// What they meet.
    injection: Injection,
}

/// Which requests a rule names.
#[derive(Clone, Debug)]
enum Which {
    /// All of them.
    All,
    /// From the first to the last, both included.
    Range(RangeInclusive<u64>),
    /// Those that leave this rest when divided by this step.
    Every(NonZero<u64>, u64),
}

impl Which {
    /// Whether it names this request.
    fn names(&self, number: u64) -> bool {
        match self {
            Self::All => true,
            Self::Range(range) => range.contains(&number),
            Self::Every(step, rest) => number % *step == *rest,
        }
    }
}

/// What one request meets.
///
/// ```
/// use onceward_uplink::faults::{Fault, Plan};
///
/// let draw = Plan::script("* lost_reply\n* delay ms=20")?.draw(1);
/// assert_eq!(draw.injection, Fault::LostReply.into());
/// assert_eq!(draw.shape.delay.as_millis(), 20);
/// # Ok::<(), onceward_uplink::faults::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Draw {
    /// The fault.
    pub injection: Injection,
    /// The line while it is carried.
    pub shape: Shape,
}

/// How slow the line is. Without any, it is as fast as the machine.
///
/// ```
/// use onceward_uplink::faults::Shape;
///
/// assert!(Shape::default().delay.is_zero());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// How long each byte is on its way, each way.
    pub delay: Duration,
    /// How many bytes leave in a second, each way and over all connections together.
    pub bytes_per_s: Option<NonZero<u64>>,
}

impl Plan {
    /// Every request is carried as it is.
    ///
    /// ```
    /// use onceward_uplink::faults::{Fault, Plan};
    ///
    /// assert_eq!(Plan::pass().draw(1).injection.fault(), Fault::Pass);
    /// ```
    #[must_use]
    pub fn pass() -> Self {
        Self::default()
    }

    /// A script: one line for each rule, `WHICH FAULT [NAME=VALUE ...]`, where `WHICH` is a number, two with a `-`
    /// between them, `every` and a number, or `*`. What follows a `#` is a comment.
    ///
    /// ```
    /// use onceward_uplink::faults::Plan;
    ///
    /// assert!(Plan::script("1-3 cut_request bytes=20").is_ok());
    /// assert!(Plan::script("1-3 cut_request bites=20").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// A line means nothing; the error names it and the field.
    pub fn script(text: &str) -> Result<Self, ParseError> {
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            if line.trim().is_empty() {
                continue;
            }
            let rule = Rule::parse(line);
            rules.push(rule.map_err(|error| error.at(index.saturating_add(1)))?);
        }
        Ok(Self { rules, seeded: None })
    }

    /// Every request meets one of these, in turn.
    ///
    /// ```
    /// use onceward_uplink::faults::{Fault, Plan};
    ///
    /// let plan = Plan::in_turn([Fault::LostReply.into(), Fault::Pass.into()]);
    /// assert_eq!(plan.draw(1).injection.fault(), Fault::LostReply);
    /// assert_eq!(plan.draw(2).injection.fault(), Fault::Pass);
    /// assert_eq!(plan.draw(3).injection.fault(), Fault::LostReply);
    /// ```
    #[must_use]
    pub fn in_turn(injections: impl IntoIterator<Item = Injection>) -> Self {
        Self::pass().or_in_turn(injections)
    }

    /// The same, and the requests that the script does not name meet one of these, in turn.
    ///
    /// ```
    /// use onceward_uplink::faults::{Fault, Plan};
    ///
    /// let plan = Plan::script("1 pass")?.or_in_turn([Fault::Reset.into()]);
    /// assert_eq!(plan.draw(1).injection.fault(), Fault::Pass);
    /// assert_eq!(plan.draw(2).injection.fault(), Fault::Reset);
    /// # Ok::<(), onceward_uplink::faults::ParseError>(())
    /// ```
    #[must_use]
    pub fn or_in_turn(mut self, injections: impl IntoIterator<Item = Injection>) -> Self {
        let injections: Vec<_> = injections.into_iter().collect();
        let step = NonZero::new(u64::try_from(injections.len()).unwrap_or(u64::MAX));
        let step = step.unwrap_or(NonZero::<u64>::MIN);
        let rules = (1_u64..).zip(injections);
        let rules = rules.map(|(number, injection)| Rule {
            which: Which::Every(step, number % step),
            injection,
        });
        self.rules.extend(rules);
        self
    }

    /// Chance decides each request's fault, and follows from the seed and the request's number alone.
    ///
    /// ```
    /// use onceward_uplink::faults::{Plan, Weights};
    ///
    /// let plan = Plan::seeded(7, Weights::default());
    /// assert_eq!(plan.draw(5), Plan::seeded(7, Weights::default()).draw(5));
    /// ```
    #[must_use]
    pub fn seeded(seed: u64, weights: Weights) -> Self {
        Self::pass().or_seeded(seed, weights)
    }

    /// The same, and chance decides for the requests that the script does not name.
    ///
    /// ```
    /// use onceward_uplink::faults::{Fault, Plan, Weights};
    ///
    /// let plan = Plan::script("1 hang")?.or_seeded(1, Weights::of([(Fault::Reset.into(), 1)]));
    /// assert_eq!(plan.draw(1).injection.fault(), Fault::Hang);
    /// assert_eq!(plan.draw(2).injection.fault(), Fault::Reset);
    /// # Ok::<(), onceward_uplink::faults::ParseError>(())
    /// ```
    #[must_use]
    pub fn or_seeded(mut self, seed: u64, weights: Weights) -> Self {
        self.seeded = Some((seed, weights));
        self
    }

    /// The same, with one more rule at the end: all requests meet this.
    ///
    /// ```
    /// use onceward_uplink::faults::{Argument, Fault, Injection, Plan};
    ///
    /// let slow = Injection::from(Fault::Delay).with(Argument::Ms, "50")?;
    /// let plan = Plan::in_turn([Fault::LostReply.into()]).or_always(slow);
    /// assert_eq!(plan.draw(1).shape.delay.as_millis(), 50);
    /// # Ok::<(), onceward_uplink::faults::ParseError>(())
    /// ```
    #[must_use]
    pub fn or_always(mut self, injection: Injection) -> Self {
        self.rules.push(Rule { which: Which::All, injection });
        self
    }

    /// What the request of this number meets.
    ///
    /// ```
    /// use onceward_uplink::faults::{Fault, Plan};
    ///
    /// assert_eq!(Plan::script("2 hang")?.draw(2).injection.fault(), Fault::Hang);
    /// # Ok::<(), onceward_uplink::faults::ParseError>(())
    /// ```
    #[must_use]
    pub fn draw(&self, number: u64) -> Draw {
        let mut shape = Shape::default();
        let mut decided = None;
        for rule in self.rules.iter().filter(|rule| rule.which.names(number)) {
            if !shape.take(&rule.injection) && decided.is_none() {
                decided = Some(rule.injection.clone());
            }
        }
        let injection = decided.or_else(|| {
            let (seed, weights) = self.seeded.as_ref()?;
            let drawn = weights.draw(&mut Chance::of_request(*seed, number))?;
            (!shape.take(&drawn)).then_some(drawn)
        });
        Draw { injection: injection.unwrap_or_else(|| Fault::Pass.into()), shape }
    }

    /// The numbers that chance has for what is left open in a request's fault.
    pub(super) fn chance(&self, number: u64) -> Chance {
        let seed = self.seeded.as_ref().map_or(0, |(seed, _)| *seed);
        Chance::of_request(!seed, number)
    }
}

impl Shape {
    /// Takes over what a shaping fault says; false if it is another one.
    fn take(&mut self, injection: &Injection) -> bool {
        match injection.fault() {
            Fault::Delay => {
                let ms = injection.number(Argument::Ms).unwrap_or(0);
                self.delay = self.delay.max(Duration::from_millis(ms));
            }
            Fault::Rate => {
                let rate = injection.number(Argument::BytesPerS).and_then(NonZero::new);
                self.bytes_per_s = [self.bytes_per_s, rate].into_iter().flatten().min();
            }
            _ => return false,
        }
        true
    }
}

impl Rule {
    /// Reads a line.
    fn parse(line: &str) -> Result<Self, ParseError> {
        let mut fields = line.split_whitespace();
        let first = fields.next().unwrap_or_default();
        let which = match first {
            "*" => Which::All,
            "every" => {
                let step = fields.next().unwrap_or_default();
                Which::Every(number(step)?, 0)
            }
            _ => match first.split_once('-') {
                Some((from, to)) => {
                    let (from, to) = (number(from)?, number(to)?);
                    if from > to {
                        return Err(ParseError::new(first, "ends before it begins"));
                    }
                    Which::Range(from.get()..=to.get())
                }
                None => {
                    let only = number(first)?.get();
                    Which::Range(only..=only)
                }
            },
        };
        Ok(Self { which, injection: Injection::from_fields(fields)? })
    }
}

/// Reads the number of a request.
fn number(field: &str) -> Result<NonZero<u64>, ParseError> {
    let wanted = "needs a number from 1, two with '-' between them, every and a number, or *";
    field.parse().map_err(|_no_number| ParseError::new(field, wanted))
}

/// How often chance takes which fault.
///
/// What a fault was not told is left to chance where the fault has several faces: where a message is cut, the shape of
/// `Retry-After`, whether the upstream had the request, which of two replies is delivered.
///
/// ```
/// use onceward_uplink::faults::{Fault, Plan, Weights};
///
/// let weights = Weights::of([(Fault::Pass.into(), 9), (Fault::LostReply.into(), 1)]);
/// let plan = Plan::seeded(1, weights);
/// let lost = (1..=1_000).filter(|n| plan.draw(*n).injection.fault() == Fault::LostReply).count();
/// assert!((50..150).contains(&lost), "one in ten");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weights(Vec<(Injection, u32)>);

impl Weights {
    /// Each fault as often as its weight says, in proportion to the sum of all.
    #[must_use]
    pub fn of(weights: impl IntoIterator<Item = (Injection, u32)>) -> Self {
        Self(weights.into_iter().collect())
    }

    /// Half of the requests are carried as they are, and the other half meet one of these, each as often as another.
    ///
    /// ```
    /// use onceward_uplink::faults::{Fault, Weights};
    ///
    /// let one = Weights::half_of([Fault::Reset.into()]);
    /// assert_eq!(one, Weights::of([(Fault::Reset.into(), 1), (Fault::Pass.into(), 1)]));
    /// ```
    #[must_use]
    pub fn half_of(injections: impl IntoIterator<Item = Injection>) -> Self {
        let mut weights: Vec<_> = injections.into_iter().map(|one| (one, 1)).collect();
        let others = u32::try_from(weights.len()).unwrap_or(u32::MAX);
        weights.push((Fault::Pass.into(), others));
        Self(weights)
    }

    /// One of them, as chance will have it; `None` if none has any weight.
    fn draw(&self, chance: &mut Chance) -> Option<Injection> {
        let sum = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut rest = chance.below_u64(sum);
        for (injection, weight) in &self.0 {
            match rest.checked_sub(u64::from(*weight)) {
                Some(left) => rest = left,
                None => return Some(injection.varied(chance)),
            }
        }
        None
    }
}

impl Default for Weights {
    /// Half of the requests meet a fault, each as often as another; `delay` and `rate` are left out.
    fn default() -> Self {
        let faults = TABLE.iter().map(|row| row.fault);
        let faults =
            faults.filter(|fault| !matches!(fault, Fault::Pass | Fault::Delay | Fault::Rate));
        Self::half_of(faults.map(Injection::from))
    }
}
