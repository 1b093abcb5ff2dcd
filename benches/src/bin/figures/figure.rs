//! A figure, its line of JSON, and what a run's figures say together. No clock and no disk here.

use std::collections::BTreeMap;

use onceward_benches::spread::Spread;
use onceward_benches::turns::Turns;
use serde::{Serialize, Serializer};

/// Exit status if every figure is reached.
const EXIT_REACHED: u8 = 0;
/// Exit status if one falls short.
const EXIT_SHORT: u8 = 1;
/// Exit status if something could not be measured.
pub(crate) const EXIT_FAILED: u8 = 2;

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Must {
    /// The figure must be this or more.
    AtLeast(f64),
    /// The figure must be this or less.
    AtMost(f64),
    /// The figure must reach nothing: it is reported beside another one.
    BeReported,
}

impl Must {
    /// Whether `value` reaches it. What is not a number reaches nothing.
    fn is_reached(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::BeReported => !value.is_nan(),
        }
    }
}

impl Serialize for Must {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtLeast(least) => serializer.collect_str(&format_args!(">={least:.2}")),
            Self::AtMost(most) => serializer.collect_str(&format_args!("<={most:.2}")),
            Self::BeReported => serializer.serialize_none(),
        }
    }
}

/// What was measured beside a figure: numbers by name, the unit last in the name.
pub(crate) type Detail = BTreeMap<&'static str, f64>;

/// One figure: what is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    area: &'static str,
    figure: &'static str,
    value: f64,
    unit: &'static str,
    must: Must,
    ok: bool,
    low: f64,
    high: f64,
    detail: Detail,
}

/// What a figure is, before it was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The figure's name.
    pub(crate) figure: &'static str,
    /// What `value`, `low` and `high` count.
    pub(crate) unit: &'static str,
    /// What it must reach.
    pub(crate) must: Must,
}

/// The figures of one area, printed as they come.
#[derive(Debug)]
pub(crate) struct Sheet {
    area: &'static str,
    /// How the names of the wanted figures begin.
    only: String,
    reached: Vec<bool>,
}

impl Sheet {
    /// An empty one for the figures whose names begin with `only`.
    pub(crate) fn new(area: &'static str, only: &str) -> Self {
        Self { area, only: only.to_owned(), reached: Vec::new() }
    }

    /// Whether `asked` is to be measured.
    pub(crate) fn wants(&self, asked: Asked) -> bool {
        asked.figure.starts_with(&self.only)
    }

    /// Prints a figure: the middle of `spread` counts.
    ///
    /// # Errors
    ///
    /// It cannot be written as JSON.
    pub(crate) fn add(
        &mut self,
        asked: Asked,
        spread: Spread,
        detail: Detail,
    ) -> Result<(), serde_json::Error> {
        let figure = figure(self.area, asked, spread, detail);
        println!("{}", serde_json::to_string(&figure)?);
        self.reached.push(figure.ok);
        Ok(())
    }

    /// What the program ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.reached.is_empty() {
            EXIT_FAILED
        } else if self.reached.iter().all(|ok| *ok) {
            EXIT_REACHED
        } else {
            EXIT_SHORT
        }
    }
}

/// Judges what is printed, so that nobody sees a figure beside a verdict that its digits belie.
fn figure(area: &'static str, asked: Asked, spread: Spread, detail: Detail) -> Figure {
    let Asked { figure, unit, must } = asked;
    let value = rounded(spread.median);
    Figure {
        area,
        figure,
        value,
        unit,
        must,
        ok: must.is_reached(value),
        low: rounded(spread.low),
        high: rounded(spread.high),
        detail: detail.into_iter().map(|(name, number)| (name, rounded(number))).collect(),
    }
}

/// The detail of every ratio: what one event cost on either side.
pub(crate) fn sides(turns: &Turns) -> Detail {
    let noisy = if turns.is_noisy() { 1.0 } else { 0.0 };
    Detail::from([
        ("thing_us", turns.thing.median * 1e6),
        ("floor_us", turns.floor.median * 1e6),
        ("floor_us_low", turns.floor.low * 1e6),
        ("floor_us_high", turns.floor.high * 1e6),
        ("thing_events_per_s", 1.0 / turns.thing.median),
        ("floor_events_per_s", 1.0 / turns.floor.median),
        ("floor_varied_by_more_than_2", noisy),
    ])
}

/// Four digits behind the point: more is noise.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked =
        Asked { figure: "one_writer", unit: "ratio to raw limit", must: Must::AtLeast(0.95) };

    fn spread(median: f64) -> Spread {
        Spread { low: median / 2.0, median, high: median * 2.0 }
    }

    #[test]
    fn a_figure_is_one_line_of_json_with_its_fields_in_order() {
        let detail = Detail::from([("thing_us", 160.123_456), ("floor_us", 155.0)]);
        let line = serde_json::to_string(&figure("wal", ASKED, spread(0.97), detail)).unwrap();
        assert_eq!(
            line,
            r#"{"area":"wal","figure":"one_writer","value":0.97,"unit":"ratio to raw limit","must":">=0.95","ok":true,"low":0.485,"high":1.94,"detail":{"floor_us":155.0,"thing_us":160.1235}}"#
        );
        let asked = Asked { must: Must::BeReported, ..ASKED };
        let line =
            serde_json::to_string(&figure("wal", asked, spread(0.1), Detail::new())).unwrap();
        assert!(line.contains(r#""must":null,"ok":true,"#), "{line}");
    }

    #[test]
    fn the_printed_value_is_what_is_judged() {
        let ok =
            |must, value| figure("wal", Asked { must, ..ASKED }, spread(value), Detail::new()).ok;
        assert!(ok(Must::AtLeast(0.95), 0.95));
        assert!(ok(Must::AtLeast(0.95), 0.949_96), "printed as 0.95");
        assert!(!ok(Must::AtLeast(0.95), 0.949_9));
        assert!(ok(Must::AtMost(1.2), 1.2));
        assert!(!ok(Must::AtMost(1.2), 1.200_1));
        assert!(!ok(Must::AtLeast(0.95), f64::NAN));
        assert!(!ok(Must::AtMost(0.95), f64::NAN));
        assert!(!ok(Must::BeReported, f64::NAN));
    }

    #[test]
    fn one_short_figure_makes_the_run_fail_and_no_figure_is_no_success() {
        let code = |values: &[f64]| {
            let mut sheet = Sheet::new("wal", "");
            for value in values {
                sheet.add(ASKED, spread(*value), Detail::new()).unwrap();
            }
            sheet.exit_code()
        };
        assert_eq!(code(&[0.95, 2.0]), 0);
        assert_eq!(code(&[0.95, 0.5, 2.0]), 1);
        assert_eq!(code(&[]), 2);
    }

    #[test]
    fn the_wanted_figures_are_those_whose_names_begin_so() {
        assert!(Sheet::new("wal", "").wants(ASKED));
        assert!(Sheet::new("wal", "one_").wants(ASKED));
        assert!(!Sheet::new("wal", "writers").wants(ASKED));
    }
}
