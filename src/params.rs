//! Named `f32` tensors that travel between server and clients.
//!
//! A [`Layout`] says which tensors there are (sorted by name, so that nothing depends on insertion order) and where each
//! one lies in one flat vector; [`Params`] is such a vector. Aggregation is then arithmetic on slices in a fixed order.

use std::sync::Arc;

/// Name and shape of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Dotted name, unique in its layout.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// A tensor called `name` of the given shape.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into() }
    }

    /// How many numbers it holds.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The tensors of a payload and their places in a flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    tensors: Vec<TensorSpec>,
    offsets: Vec<usize>,
}

impl Layout {
    /// Sorts the tensors by name and lays them out one after the other.
    ///
    /// # Panics
    /// If two tensors share a name: that is a bug of the method that named them.
    pub fn new(mut tensors: Vec<TensorSpec>) -> Arc<Self> {
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(tensors.windows(2).all(|pair| pair[0].name != pair[1].name), "two tensors share a name");
        let mut offsets = Vec::with_capacity(tensors.len() + 1);
        let mut end = 0;
        offsets.push(0);
        for tensor in &tensors {
            end += tensor.n_elements();
            offsets.push(end);
        }
        Arc::new(Self { tensors, offsets })
    }

    /// The tensors, sorted by name.
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.tensors
    }

    /// How many numbers all tensors hold together.
    pub fn n_elements(&self) -> usize {
        *self.offsets.last().expect("offsets always start with 0")
    }

    /// Where tensor number `index` lies in the flat vector.
    pub fn range(&self, index: usize) -> std::ops::Range<usize> {
        self.offsets[index]..self.offsets[index + 1]
    }

    /// The number of the tensor called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()
    }
}

/// Values of all tensors of a layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    layout: Arc<Layout>,
    values: Vec<f32>,
}

impl Params {
    /// Values for a layout, in its order.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn new(layout: Arc<Layout>, values: Vec<f32>) -> Self {
        assert_eq!(layout.n_elements(), values.len(), "values must fill their layout");
        Self { layout, values }
    }

    /// All zeros.
    pub fn zeros(layout: Arc<Layout>) -> Self {
        let values = vec![0.0; layout.n_elements()];
        Self { layout, values }
    }

    /// Names, shapes and places.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// All numbers, in layout order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All numbers, to change.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The tensors with their values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&TensorSpec, &[f32])> {
        self.layout.tensors.iter().enumerate().map(|(i, spec)| (spec, &self.values[self.layout.range(i)]))
    }

    /// The values of one tensor.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.layout.position(name).map(|i| &self.values[self.layout.range(i)])
    }

    /// True when no number is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|v| v.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_sorted_by_name_and_lie_one_after_the_other() {
        let layout = Layout::new(vec![TensorSpec::new("b", [2, 2]), TensorSpec::new("a", [3])]);
        assert_eq!(layout.position("b"), Some(1));
        assert_eq!(layout.range(1), 3..7);
        let params = Params::new(layout, (0..7).map(|v| v as f32).collect());
        assert_eq!(params.get("b"), Some(&[3.0, 4.0, 5.0, 6.0][..]));
        assert_eq!(params.get("c"), None);
    }
}
