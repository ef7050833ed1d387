//! What the tests of the operations share: fused `f32` kernels are held against the composed form in `f64`, and that
//! against finite differences.

use candle_core::{DType, Device, Result, Tensor, Var};

/// A function of several tensors.
pub(super) type Function<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Numbers without pattern, of a size of about one.
pub(super) fn noise(shape: &[usize], salt: u32) -> Tensor {
    let n: usize = shape.iter().product();
    let value = |i: usize| ((i as f64 + 1.0) * 12.9898 + f64::from(salt) * 78.233).sin() * 43_758.545_3;
    let values: Vec<f64> = (0..n).map(|i| 3.0 * (value(i) - value(i).floor()) - 1.5).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The largest difference of two tensors over the largest number of the second.
pub(super) fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let numbers = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (a, b) = (numbers(a), numbers(b));
    let scale = b.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())) / scale
}

/// Output of `function` and the gradients of a fixed weighted sum of it; `None` for inputs that receive none.
pub(super) fn run(function: Function<'_>, inputs: &[Tensor], dtype: DType) -> (Tensor, Vec<Option<Tensor>>) {
    let variables: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let out = function(&tensors).unwrap();
    let weights = noise(out.dims(), 99).to_dtype(dtype).unwrap();
    let gradients = (&out * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let gradients = tensors.iter().map(|t| gradients.get(t).cloned()).collect();
    (out.detach(), gradients)
}

/// Asserts that values and gradients of the fused form equal those of the composed form, that the composed gradients
/// equal finite differences, and that a second run gives the same bits.
pub(super) fn assert_agree(fused: Function<'_>, composed: Function<'_>, inputs: &[Tensor]) {
    let (out, gradients) = run(fused, inputs, DType::F32);
    let (expected, exact) = run(composed, inputs, DType::F64);
    assert!(distance(&out, &expected) < 1e-5, "values differ by {:e}", distance(&out, &expected));
    for (index, (gradient, exact)) in gradients.iter().zip(&exact).enumerate() {
        let (gradient, exact) = (gradient.as_ref().unwrap(), exact.as_ref().unwrap());
        let error = distance(gradient, exact);
        assert!(error < 1e-5, "gradients of input {index} differ by {error:e}");
        let error = distance(exact, &finite_differences(composed, inputs, index));
        assert!(error < 1e-6, "gradients of input {index} differ from finite differences by {error:e}");
    }
    let (again, gradients_again) = run(fused, inputs, DType::F32);
    let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
    let (first, second): (Vec<u32>, Vec<u32>) = (bits(&out), bits(&again));
    assert_eq!(first, second);
    for (first, second) in gradients.iter().flatten().zip(gradients_again.iter().flatten()) {
        let (first, second): (Vec<u32>, Vec<u32>) = (bits(first), bits(second));
        assert_eq!(first, second);
    }
}

/// Central differences in `f64` of the same weighted sum: the truncation error is of the order of `step^2` = 1e-10.
fn finite_differences(function: Function<'_>, inputs: &[Tensor], index: usize) -> Tensor {
    const STEP: f64 = 1e-5;
    let loss = |input: Vec<f64>| -> f64 {
        let mut inputs = inputs.to_vec();
        inputs[index] = Tensor::from_vec(input, inputs[index].shape(), &Device::Cpu).unwrap();
        let out = function(&inputs).unwrap();
        (&out * noise(out.dims(), 99)).unwrap().sum_all().unwrap().to_scalar().unwrap()
    };
    let values: Vec<f64> = inputs[index].flatten_all().unwrap().to_vec1().unwrap();
    let slope = |i: usize| {
        let moved = |by: f64| {
            let mut values = values.clone();
            values[i] += by;
            loss(values)
        };
        (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
    };
    let slopes: Vec<f64> = (0..values.len()).map(slope).collect();
    Tensor::from_vec(slopes, inputs[index].shape(), &Device::Cpu).unwrap()
}
