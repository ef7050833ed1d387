//! The seam that every tuning method implements.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, Var};
use tokenizers::Tokenizer;

use super::{Reparameterisation, TuningError};
use crate::model::{Backbone, EncoderConfig, Hooks, Init, Site, ops};
use crate::params::{Layout, Params, TensorSpec};
use crate::registry::Problem;
use crate::seed::Seeds;

/// A tuning method: which tensors travel and are trained beside the classification head, and where they act.
pub trait Method: Send + Sync {
    /// What is wrong with the settings by themselves.
    fn problems(&self) -> Vec<Problem>;

    /// The tensors that travel beside the head, and are trained unless [`reparameterisations`](Self::reparameterisations)
    /// says otherwise. One that replaces a tensor of the backbone has its name there; a new one is named as in Hugging
    /// Face PEFT, without prefix.
    ///
    /// # Errors
    /// When the settings ask for something that the encoder does not have.
    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError>;

    /// Tensors that a client trains in place of some that travel.
    fn reparameterisations(&self, config: &EncoderConfig) -> Vec<Box<dyn Reparameterisation>> {
        let _ = config;
        Vec::new()
    }

    /// The values that tensors start from, by name, where a draw or the backbone's tensor of their name does not give them.
    /// `tokenizer` is that of the model, where it is at hand.
    ///
    /// # Errors
    /// When the settings ask for something that the encoder does not have.
    fn start(
        &self,
        backbone: &Backbone,
        tokenizer: Option<&Tokenizer>,
        seeds: &Seeds,
    ) -> std::result::Result<Vec<(String, Vec<f32>)>, TuningError> {
        let _ = (backbone, tokenizer, seeds);
        Ok(Vec::new())
    }

    /// What the method does inside the encoder with these values of the tensors that travel. To be made anew once
    /// variables have other values: hooks may keep what they made of them.
    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks>;

    /// Small linear maps that the method puts beside those of the encoder, for the cost model.
    fn inserted(&self, config: &EncoderConfig) -> Vec<InsertedMaps> {
        let _ = config;
        Vec::new()
    }

    /// Positions that the method puts in front of every input, for the cost model.
    fn extra_tokens(&self) -> usize {
        0
    }

    /// Keys and values that the method puts in front of those of every input in each layer, for the cost model.
    fn extra_keys(&self) -> usize {
        0
    }

    /// Whether what it trains scales the input of this linear map, so that the map passes gradients on to it, for the cost
    /// model.
    fn scales_input(&self, site: Site) -> bool {
        let _ = site;
        false
    }

    /// Linear maps that are computed once for a batch, whatever its examples, for the cost model.
    fn per_step(&self, config: &EncoderConfig) -> Vec<StepMaps> {
        let _ = config;
        Vec::new()
    }

    /// Rows of the position table that the method takes in front of every text.
    fn positions(&self, config: &EncoderConfig) -> usize {
        let _ = config;
        0
    }

    /// The settings that decide what given tensors do, as text: two adapters that agree in them mean the same. Always the
    /// same settings in the same order.
    fn meaning(&self, config: &EncoderConfig) -> Vec<(&'static str, String)> {
        let _ = config;
        Vec::new()
    }

    /// The vectors of the method's virtual tokens, `[n, ..]`, as PEFT saves them. `None`: it has none.
    ///
    /// # Errors
    /// When the device fails.
    fn virtual_tokens(&self, values: &TrainableVars) -> Result<Option<Tensor>> {
        let _ = values;
        Ok(None)
    }

    /// The settings as `adapter_config.json` of Hugging Face PEFT says them, in the names of this encoder. `None`: PEFT
    /// has no such method, tensors are exported as `delta.safetensors`.
    fn peft_config(&self, config: &EncoderConfig) -> Option<serde_json::Value> {
        let _ = config;
        None
    }
}

/// A tensor that is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainableTensor {
    /// Name and shape.
    pub spec: TensorSpec,
    /// Where its values start. `None`: at the backbone's tensor of the same name.
    pub init: Option<Init>,
}

/// Linear maps one after the other that a method puts beside (or behind) a linear map of the encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertedMaps {
    /// The map of the encoder where they act.
    pub site: Site,
    /// Inputs and outputs of each, in order.
    pub sizes: Vec<(usize, usize)>,
}

/// Linear maps one after the other that are computed once for a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMaps {
    /// Vectors that pass through them.
    pub times: usize,
    /// Inputs and outputs of each, in order.
    pub sizes: Vec<(usize, usize)>,
}

/// Values of all trained tensors on a device, for one run through the encoder or for many.
#[derive(Debug, Clone)]
pub struct TrainableVars {
    layout: Arc<Layout>,
    tensors: Vec<Tensor>,
}

impl TrainableVars {
    /// Variables: gradients are computed for them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn variables(params: &Params, device: &Device) -> Result<Self> {
        Self::new(params, |values, shape| Ok(Var::from_slice(values, shape, device)?.into_inner()))
    }

    /// Constants: no graph is built for them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn constants(params: &Params, device: &Device) -> Result<Self> {
        Self::new(params, |values, shape| Tensor::from_slice(values, shape, device))
    }

    /// Tensors that were computed, in the order of a layout.
    pub(super) fn of(layout: Arc<Layout>, tensors: Vec<Tensor>) -> Self {
        Self { layout, tensors }
    }

    fn new(params: &Params, make: impl Fn(&[f32], &[usize]) -> Result<Tensor>) -> Result<Self> {
        let tensors = params.iter().map(|(spec, values)| make(values, &spec.shape)).collect::<Result<_>>()?;
        Ok(Self { layout: params.layout().clone(), tensors })
    }

    /// Constants in `f64`, each tensor changed as `change` says of its number.
    pub(super) fn in_f64(params: &Params, device: &Device, change: impl Fn(usize, &mut [f64])) -> Result<Self> {
        let wide = |(index, (spec, values)): (usize, (&TensorSpec, &[f32]))| {
            let mut values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            change(index, &mut values);
            Tensor::from_vec(values, spec.shape.as_slice(), device)
        };
        let tensors = params.iter().enumerate().map(wide).collect::<Result<_>>()?;
        Ok(Self { layout: params.layout().clone(), tensors })
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.layout.position(name).map(|index| &self.tensors[index])
    }

    /// All tensors, in layout order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The numbers as they are now.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_params(&self) -> Result<Params> {
        let mut values = Vec::with_capacity(self.layout.n_elements());
        for tensor in &self.tensors {
            ops::with_values(tensor, |numbers| values.extend_from_slice(numbers))?;
        }
        Ok(Params::new(self.layout.clone(), values))
    }
}

/// Hooks that replace tensors by name and do nothing else: all that full tuning and a linear probe need.
pub(super) struct ReplacedTensors(pub(super) TrainableVars);

impl Hooks for ReplacedTensors {
    fn parameter(&self, name: &str) -> Option<Tensor> {
        self.0.get(name).cloned()
    }
}
