//! Products of matrices that are views of slices: rows and columns at any stride, so that nothing is copied or
//! transposed.

use gemm::Parallelism;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows` by `columns` numbers of which neighbouring rows lie `row_stride` apart.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(columns <= row_stride || rows <= 1, "rows of a matrix must not overlap");
        assert!(fits(values.len(), rows, columns, row_stride), "a matrix must lie inside its slice");
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transposed view.
    pub(super) fn t(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// What happens to the numbers already in the target of a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// They are overwritten.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// `left * right`, its rows one after the other.
///
/// Runs on the calling thread alone.
pub(super) fn product(left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
    let (rows, columns) = (left.rows, right.columns);
    assert_eq!(left.columns, right.rows, "the inner dimensions of a product must agree");
    let mut out = Vec::with_capacity(rows * columns);
    // SAFETY: the vector has room for `rows` rows of `columns` numbers; `gemm` reads none of them before it has written
    // it, because the target is not to be added to, and it writes all of them, so all are initialised afterwards.
    unsafe {
        run(out.as_mut_ptr(), columns, Target::Overwrite, 1.0, left, right);
        out.set_len(rows * columns);
    }
    out
}

/// Writes or adds `scale * left * right` to the rows of `out`, which lie `out_row_stride` apart.
///
/// Runs on the calling thread alone.
pub(super) fn multiply(
    out: &mut [f32],
    out_row_stride: usize,
    target: Target,
    scale: f32,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    let (rows, columns) = (left.rows, right.columns);
    assert_eq!(left.columns, right.rows, "the inner dimensions of a product must agree");
    assert!(columns <= out_row_stride || rows <= 1, "rows of a product must not overlap");
    assert!(fits(out.len(), rows, columns, out_row_stride), "a product must fit its target");
    // SAFETY: the inner dimensions agree and `out` holds every element of the product; being borrowed exclusively, it
    // overlaps no operand.
    unsafe { run(out.as_mut_ptr(), out_row_stride, target, scale, left, right) }
}

/// # Safety
/// The inner dimensions of the operands agree, and `out` may be written (and read, when it is to be added to) at the
/// places of a matrix of the outer dimensions whose rows lie `out_row_stride` apart.
unsafe fn run(out: *mut f32, out_row_stride: usize, target: Target, scale: f32, left: Matrix<'_>, right: Matrix<'_>) {
    // SAFETY: `Matrix::new` holds every index of the operands inside their slices (a transposed view has the same last
    // element), and the caller those of `out`.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            out,
            1,
            out_row_stride as isize,
            target == Target::Add,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

fn fits(len: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_stride + columns <= len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_multiply_like_their_definition() {
        // left is 3 x 2 in rows of 4; right is the transpose of 5 x 2 in rows of 3.
        let left: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let right: Vec<f32> = (0..15).map(|v| (v as f32).sin()).collect();
        let mut out = vec![1.0f32; 3 * 6];
        multiply(&mut out, 6, Target::Add, 0.5, Matrix::new(&left, 3, 2, 4), Matrix::new(&right, 5, 2, 3).t());
        for i in 0..3 {
            for j in 0..6 {
                let product: f32 = (0..2).map(|k| left[i * 4 + k] * right[j.min(4) * 3 + k]).sum();
                let expected = if j < 5 { 1.0 + 0.5 * product } else { 1.0 };
                assert!((out[i * 6 + j] - expected).abs() < 1e-6);
            }
        }
        let square = Matrix::new(&left, 3, 3, 3);
        let squared = product(square, square);
        // Row 1 is 3, 4, 5 times columns 0, 3, 6 = 0 + 12 + 30.
        assert_eq!(squared.len(), 9);
        assert_eq!(squared[3], 42.0);
        assert_eq!(product(Matrix::new(&[], 2, 0, 0), Matrix::new(&[], 0, 2, 2)), [0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "inside its slice")]
    fn a_view_beyond_its_slice_is_refused() {
        Matrix::new(&[0.0; 7], 2, 4, 4);
    }
}
