//! The chart: a panel of bars for each workload, as text of an SVG. Readable on light and on dark.

use std::fmt::Write;

use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::workload::Workload;

use super::results::{Results, unit};
use super::words::shown;

/// Width of a panel.
const PANEL_WIDTH: f64 = 480.0;
/// Where bars begin in it.
const BARS_LEFT: f64 = 190.0;
/// Length of the longest bar.
const BAR_LENGTH_MAX: f64 = 220.0;
/// Height of a bar with the room below it.
const ROW: f64 = 19.0;
/// Height of a panel's title.
const TITLE: f64 = 40.0;
/// Panels beside each other.
const COLUMNS: usize = 2;

/// What comes first. Colours are those of the reader's choice of light or dark.
const STYLE: &str = "<style>
text { font: 12px sans-serif; fill: #24292f; }
.page { fill: #ffffff; } .title { font-weight: bold; font-size: 14px; }
.ours { fill: #1a7f37; } .peer { fill: #8c959f; } .limit { fill: #bf8700; } .one { stroke: #57606a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .page { fill: #0d1117; }
  .ours { fill: #3fb950; } .peer { fill: #6e7681; } .limit { fill: #d29922; } .one { stroke: #8b949e; }
}
</style>
";

/// One bar.
struct Bar {
    kind: Kind,
    value: f64,
}

/// Draws all workloads that were measured.
pub(super) fn draw(results: &Results) -> String {
    let panels: Vec<(Workload, Vec<Bar>)> = Workload::ALL
        .into_iter()
        .map(|workload| (workload, bars(results, workload)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let rows: Vec<f64> = panels
        .chunks(COLUMNS)
        .map(|row| row.iter().map(|(_, bars)| height(bars)).fold(0.0, f64::max))
        .collect();
    let (width, whole) = (PANEL_WIDTH * COLUMNS as f64, rows.iter().sum::<f64>() + 10.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {whole}\" role=\"img\">\n\
         <title>Onceward and its peers: rate by what the machine can do</title>\n{STYLE}\
         <rect class=\"page\" width=\"{width}\" height=\"{whole}\"/>\n"
    );
    let mut top = 0.0;
    for (row, height) in panels.chunks(COLUMNS).zip(&rows) {
        for (column, (workload, bars)) in row.iter().enumerate() {
            panel(&mut svg, (*workload, bars), (column as f64 * PANEL_WIDTH, top));
        }
        top += height;
    }
    svg.push_str("</svg>\n");
    svg
}

/// What is drawn of a workload. The limit is a line, not a bar.
fn bars(results: &Results, workload: Workload) -> Vec<Bar> {
    let figures = results.figures(workload).into_iter();
    figures
        .filter(|(kind, _)| *kind != Kind::Limit)
        .map(|(kind, figure)| Bar { kind, value: figure.value.median })
        .collect()
}

/// Height of a panel.
fn height(bars: &[Bar]) -> f64 {
    TITLE + bars.len() as f64 * ROW + 14.0
}

/// Draws one panel with its upper left corner at `(left, top)`.
fn panel(svg: &mut String, (workload, bars): (Workload, &[Bar]), (left, top): (f64, f64)) {
    let is_ratio = workload != Workload::Memory;
    let least = if is_ratio { 1.0 } else { f64::MIN_POSITIVE };
    let most = bars.iter().map(|bar| bar.value).fold(least, f64::max);
    let scale = BAR_LENGTH_MAX / most;
    let bars_left = left + BARS_LEFT;
    let title = format!("{}: {}", workload.title(), unit(workload));
    text(svg, "title", "start", (left + 14.0, top + 26.0), &title);
    for (place, bar) in bars.iter().enumerate() {
        let y = top + TITLE + place as f64 * ROW;
        let class = match bar.kind {
            kind if kind.is_ours() => "ours",
            kind if kind.is_limit() => "limit",
            _ => "peer",
        };
        let length = (bar.value * scale).max(1.0);
        text(svg, "name", "end", (bars_left - 6.0, y + 11.0), bar.kind.name());
        writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{bars_left}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"14\"/>"
        )
        .unwrap_or_default();
        let number = shown(workload, bar.value);
        text(svg, "number", "start", (bars_left + length + 5.0, y + 11.0), &number);
    }
    if is_ratio {
        let (x, from) = (bars_left + scale, top + TITLE - 4.0);
        let to = from + bars.len() as f64 * ROW + 4.0;
        writeln!(
            svg,
            "<line class=\"one\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\" stroke-dasharray=\"3 3\"/>"
        )
        .unwrap_or_default();
    }
}

/// Draws text. Names have no character that markup would take for its own.
fn text(svg: &mut String, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
    writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    )
    .unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use onceward_benches::peers::workload::{Costs, Work};

    use super::*;

    #[test]
    fn bars_are_as_long_as_their_figures_and_the_limit_is_a_line() {
        let mut results = Results::default();
        for (kind, cost) in [(Kind::Limit, 1.0), (Kind::Onceward, 2.0), (Kind::Naive, 10.0)] {
            let costs = Costs::from([(Workload::OneWriter, cost)]);
            results.add((Work::Writers(1), 0), kind, &costs);
        }
        let svg = draw(&results);
        assert!(
            svg.contains(r#"<rect class="ours" x="190" y="40.0" width="110.0" height="14"/>"#),
            "{svg}"
        );
        assert!(
            svg.contains(r#"<rect class="peer" x="190" y="59.0" width="22.0" height="14"/>"#),
            "{svg}"
        );
        assert!(svg.contains(r#"<line class="one" x1="410.0""#), "{svg}");
        assert_eq!(svg.matches("<rect class=\"peer\"").count(), 1);
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn nothing_in_a_name_is_markup() {
        let names = Kind::ALL.map(Kind::name);
        for name in names.into_iter().chain(Workload::ALL.map(Workload::title)) {
            assert!(!name.contains(['<', '>', '&']), "{name}");
        }
    }
}
