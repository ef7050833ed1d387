//! Fewer points for the same line.

use super::svg::Point;

/// Columns in which a pixel of width is divided at most.
const COLUMNS_PER_PIXEL: f64 = 1.0;

/// A line that looks the same with at most four points in each column of pixels: its first, lowest, highest and last,
/// in the order of the line. Peaks and troughs stay. Lines that are short enough are left as they are.
pub(super) fn thinned(points: &[Point], left: f64, width: f64) -> Vec<Point> {
    let n_columns = (width * COLUMNS_PER_PIXEL) as usize;
    if points.len() <= n_columns {
        return points.to_vec();
    }
    let column = |point: &Point| ((point.0 - left) * COLUMNS_PER_PIXEL) as i64;
    let mut kept = Vec::with_capacity(4 * n_columns);
    for chunk in points.chunk_by(|a, b| column(a) == column(b)) {
        let by_height = |a: &usize, b: &usize| chunk[*a].1.total_cmp(&chunk[*b].1);
        let lowest = (0..chunk.len()).min_by(by_height).unwrap_or(0);
        let highest = (0..chunk.len()).max_by(by_height).unwrap_or(0);
        let mut indices = [0, lowest, highest, chunk.len() - 1];
        indices.sort_unstable();
        for (position, index) in indices.iter().enumerate() {
            if position == 0 || indices[position - 1] != *index {
                kept.push(chunk[*index]);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_ends_stay() {
        // 100,000 points over 100 columns, one of which holds the only peak and another the only trough.
        let mut points: Vec<Point> = (0..100_000).map(|n| (f64::from(n) / 1000.0, 5.0)).collect();
        points[33_333].1 = 9.0;
        points[77_777].1 = 1.0;
        let kept = thinned(&points, 0.0, 100.0);
        assert!(kept.len() <= 400, "{}", kept.len());
        assert!(kept.contains(&points[33_333]) && kept.contains(&points[77_777]));
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
        assert_eq!(thinned(&points[..50], 0.0, 100.0), points[..50]);
    }
}
