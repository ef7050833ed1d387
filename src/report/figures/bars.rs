//! Bars of parts: lying ones with a name each, and standing ones over numbers.

use super::axis::Axis;
use super::chart::{Panel, Sample, legend, short};
use super::svg::{Anchor, Paint, Svg, colour};

/// A kind of part that bars consist of.
pub(super) type Part = (Paint, &'static str);

/// A bar: its name, and the value of each part.
pub(super) type Named = (String, Vec<f64>);

const BAR_HEIGHT: f64 = 22.0;

/// Lying bars with a name each, over one axis. `None` when all values are zero.
pub(super) fn lying(id: &str, heading: &str, label: &str, parts: &[Part], bars: &[Named]) -> Option<String> {
    let longest =
        bars.iter().map(|(_, values)| values.iter().sum::<f64>()).reduce(f64::max).filter(|max| *max > 0.0)?;
    let height = bars.len() as f64 * BAR_HEIGHT;
    // About 7 pixels a letter at this size.
    let left = 30.0 + 7.0 * bars.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) as f64;
    let left = left.clamp(84.0, 260.0);
    let shown: Vec<usize> =
        (0..parts.len()).filter(|part| bars.iter().any(|(_, values)| values[*part] > 0.0)).collect();
    let entries: Vec<_> = shown.iter().map(|part| (Sample::Fill(parts[*part].0), parts[*part].1)).collect();
    let mut svg = Svg::new(id, 720.0, height + 140.0, heading);
    let panel = Panel {
        left,
        top: 82.0,
        width: 690.0 - left,
        height,
        x: Axis::new(label, 0.0, longest),
        y: Axis::new("", 0.0, 1.0),
    };
    legend(&mut svg, (30.0, 48.0), panel.right(), &entries);
    for (value, _) in &panel.x.ticks {
        let x = panel.x_of(*value);
        svg.line((x, panel.top), (x, panel.bottom()), colour::GRID, 1.0);
    }
    panel.draw_x(&mut svg);
    for (number, (name, values)) in bars.iter().enumerate() {
        let top = panel.top + number as f64 * BAR_HEIGHT;
        svg.text((panel.left - 8.0, top + 15.0), Anchor::End, name);
        let mut base = 0.0;
        for part in &shown {
            let (value, (paint, part_name)) = (values[*part], parts[*part]);
            if value > 0.0 {
                let (from, to) = (panel.x_of(base), panel.x_of(base + value));
                let tip = format!("{name}: {part_name} {}", short(value));
                svg.painted((from, top + 3.0), to - from, BAR_HEIGHT - 6.0, paint, &tip);
            }
            base += value;
        }
    }
    Some(svg.finish())
}

/// A standing bar: from where to where on the horizontal axis, what it is called, and the value of each part.
pub(super) struct Standing {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) name: String,
    pub(super) values: Vec<f64>,
}

/// Standing bars of parts. `None` when all values are zero.
pub(super) fn standing(
    id: &str,
    heading: &str,
    x: Axis,
    label: &str,
    parts: &[Part],
    bars: &[Standing],
) -> Option<String> {
    let highest = bars.iter().map(|bar| bar.values.iter().sum::<f64>()).reduce(f64::max).filter(|max| *max > 0.0)?;
    let mut svg = Svg::new(id, 720.0, 380.0, heading);
    let panel = Panel { left: 84.0, top: 82.0, width: 606.0, height: 236.0, x, y: Axis::new(label, 0.0, highest) };
    panel.draw(&mut svg);
    let shown: Vec<usize> = (0..parts.len()).filter(|part| bars.iter().any(|bar| bar.values[*part] > 0.0)).collect();
    if parts.len() > 1 {
        let entries: Vec<_> = shown.iter().map(|part| (Sample::Fill(parts[*part].0), parts[*part].1)).collect();
        legend(&mut svg, (panel.left, 48.0), panel.right(), &entries);
    }
    for bar in bars {
        let (left, right) = (panel.x_of(bar.from), panel.x_of(bar.to));
        let mut base = 0.0;
        for part in &shown {
            let (value, (paint, part_name)) = (bar.values[*part], parts[*part]);
            if value > 0.0 {
                let (top, bottom) = (panel.y_of(base + value), panel.y_of(base));
                let tip = format!("{}: {} {}", bar.name, part_name, short(value));
                svg.painted((left, top), right - left, bottom - top, paint, &tip);
            }
            base += value;
        }
    }
    Some(svg.finish())
}
