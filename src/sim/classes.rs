//! Which class a client belongs to, when classes are given by their shares.

use rand::RngExt;

use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};

/// How far the sum of the shares may be from 1, so that thirds can be written as decimals.
const SUM_TOLERANCE: f64 = 1e-6;

/// The class (index into `shares`) of a client: drawn from the client's own stream, so that a client's class depends
/// neither on the other clients nor on how many there are. `shares` are positive and sum to 1.
///
/// # Panics
/// If `shares` is empty.
pub fn assign(shares: &[f64], seeds: &Seeds, purpose: Purpose, client_id: u32) -> usize {
    let last = shares.len().checked_sub(1).expect("a checked scenario has at least one class");
    if last == 0 {
        return 0;
    }
    let draw: f64 = seeds.client(purpose, client_id).random();
    let mut end = 0.0;
    shares
        .iter()
        .position(|share| {
            end += share;
            draw < end
        })
        .unwrap_or(last)
}

/// What is wrong with the shares of named classes: each must be in (0, 1] and all must sum to 1. The paths are
/// `<name>.share`, or empty for the sum.
pub fn problems<'a>(shares: impl IntoIterator<Item = (&'a str, f64)>) -> Vec<Problem> {
    let shares: Vec<_> = shares.into_iter().collect();
    if shares.is_empty() {
        return vec![Problem::new("", "no class is given").help("add one with `share: 1`")];
    }
    let outside = |share: f64| !(share > 0.0 && share <= 1.0);
    let mut found: Vec<_> = shares
        .iter()
        .filter(|(_, share)| outside(*share))
        .map(|(name, share)| {
            Problem::new(format!("{name}.share"), format!("share {share} is not in (0, 1]"))
                .help("it is a fraction of the clients: write 0.5 for half of them")
        })
        .collect();
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if found.is_empty() && (sum - 1.0).abs() > SUM_TOLERANCE {
        let listed: Vec<_> = shares.iter().map(|(name, share)| format!("{name} {share}")).collect();
        // Rounded, so that 0.1 + 0.2 does not show as 0.30000000000000004.
        let sum = (sum * 1e9).round() / 1e9;
        found.push(
            Problem::new("", format!("the shares sum to {sum}, not to 1 ({})", listed.join(", ")))
                .help("change the shares so that they sum to 1"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_in_the_proportion_of_their_shares() {
        let seeds = Seeds::new(7);
        let shares = [0.2, 0.5, 0.3];
        let n = 20_000;
        let mut counts = [0u32; 3];
        for client in 0..n {
            counts[assign(&shares, &seeds, Purpose::DeviceClass, client)] += 1;
        }
        for (count, share) in counts.iter().zip(shares) {
            // Five standard deviations of a binomial fraction: 5 sqrt(p (1 - p) / n) <= 0.018.
            let deviation = 5.0 * (share * (1.0 - share) / f64::from(n)).sqrt();
            assert!((f64::from(*count) / f64::from(n) - share).abs() < deviation, "{counts:?}");
        }
    }

    #[test]
    fn device_and_network_classes_are_drawn_apart_and_each_is_stable() {
        let seeds = Seeds::new(7);
        let draw = |purpose| (0..64).map(|client| assign(&[0.5, 0.5], &seeds, purpose, client)).collect::<Vec<usize>>();
        assert_eq!(draw(Purpose::DeviceClass), draw(Purpose::DeviceClass));
        assert_ne!(draw(Purpose::DeviceClass), draw(Purpose::NetworkClass));
    }

    #[test]
    fn bad_shares_are_named() {
        assert!(problems([("a", 0.1), ("b", 0.2), ("c", 0.7)]).is_empty());
        assert!(problems([("a", 0.333333), ("b", 0.333333), ("c", 0.333334)]).is_empty());
        let sum = problems([("a", 0.1), ("b", 0.2)]);
        assert_eq!((sum.len(), sum[0].path.as_str()), (1, ""));
        assert_eq!(sum[0].message, "the shares sum to 0.3, not to 1 (a 0.1, b 0.2)");
        let outside = problems([("a", 0.0), ("b", 1.5), ("c", f64::NAN)]);
        let paths: Vec<_> = outside.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["a.share", "b.share", "c.share"]);
        assert_eq!(problems([]).len(), 1);
    }
}
