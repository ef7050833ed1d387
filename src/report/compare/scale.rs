//! Units and decimals in which the numbers of a column are told.

use super::comparison::Figure;
use super::quantity::{Quantity, Unit};

/// A unit and a number of decimals that fit all values of a column.
pub(super) struct Scale {
    divisor: f64,
    unit: &'static str,
    decimals: usize,
}

impl Scale {
    pub(super) fn of<'a>(quantity: Quantity, figures: impl IntoIterator<Item = &'a Figure>) -> Self {
        let means = figures.into_iter().filter_map(|figure| figure.estimate).map(|estimate| estimate.mean.abs());
        let (smallest, largest) = means
            .filter(|mean| *mean > 0.0)
            .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), mean| (low.min(mean), high.max(mean)));
        let smallest = if smallest.is_finite() { smallest } else { 0.0 };
        let steps: &[(f64, &str)] = match quantity.unit() {
            Unit::Metric => return Self { divisor: 1.0, unit: "", decimals: 4 },
            Unit::Tasks => return Self { divisor: 1.0, unit: "", decimals: 1 },
            Unit::Seconds => &[(1.0, "s"), (60.0, "min"), (3600.0, "h"), (86_400.0, "d")],
            Unit::Bytes => &[(1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"), (1e15, "PB")],
            Unit::Joules => &[(1.0, "J"), (1e3, "kJ"), (1e6, "MJ"), (1e9, "GJ")],
        };
        // Two of a unit at least: 90 s says more than 1.5 min.
        let fits = |(divisor, _): &&(f64, &str)| largest >= 2.0 * divisor;
        let &(divisor, unit) = steps.iter().rev().find(fits).unwrap_or(&steps[0]);
        // The smallest keeps its digits too, as far as the table stays readable.
        let decimals = match smallest / divisor {
            0.0..10.0 => 3,
            10.0..100.0 => 2,
            _ => 1,
        };
        Self { divisor, unit, decimals }
    }

    pub(super) fn bracket(&self) -> String {
        if self.unit.is_empty() { String::new() } else { format!(" [{}]", self.unit) }
    }

    pub(super) fn number(&self, value: f64) -> String {
        let text = format!("{:.*}", self.decimals, value / self.divisor);
        // A negative number that is rounded to nothing is nothing.
        if text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) {
            text.trim_start_matches('-').to_owned()
        } else {
            text
        }
    }

    pub(super) fn signed(&self, value: f64) -> String {
        let text = self.number(value);
        if text.starts_with('-') || value <= 0.0 { text } else { format!("+{text}") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Estimate;
    use super::*;

    #[test]
    fn numbers_have_the_decimals_that_their_column_needs() {
        let of = |quantity, mean: f64| {
            let estimate = Estimate::of(&[mean], 0.95);
            let figure = Figure { quantity, values: vec![Some(mean)], estimate, difference: None };
            let scale = Scale::of(quantity, [&figure]);
            format!("{}{}", scale.number(mean), scale.bracket())
        };
        let times = [0.0, 1.5, 119.0, 125.0, 7100.0, 90_000.0, 700_000.0].map(|s| of(Quantity::SimTime, s));
        assert_eq!(
            times,
            ["0.000 [s]", "1.500 [s]", "119.0 [s]", "2.083 [min]", "118.3 [min]", "25.00 [h]", "8.102 [d]"]
        );
        assert_eq!(of(Quantity::BytesDown, 4.2e9), "4.200 [GB]");
        let scale = Scale { divisor: 1.0, unit: "", decimals: 2 };
        assert_eq!(
            [scale.signed(-0.001), scale.signed(0.5), scale.signed(-0.5), scale.signed(0.0)],
            ["0.00", "+0.50", "-0.50", "0.00"]
        );
    }
}
