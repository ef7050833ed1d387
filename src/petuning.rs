//! Parameter-efficient tuning (PETuning) methods: which tensors are trained, and where they act in the encoder.
//!
//! A method is a settings struct that implements [`Method`]: it names its tensors and gives the [`Hooks`] through which
//! they act. The classification head is trained under every method; [`trainable_tensors`] puts the two together.
//!
//! [`Hooks`]: crate::model::Hooks

mod error;
mod full;
#[cfg(test)]
mod gradients;
mod head;
mod lora;
mod method;
#[cfg(test)]
mod peers;
mod peft;

use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::TuningError;
pub use full::FullConfig;
pub use head::HeadConfig;
pub use lora::LoraConfig;
pub use method::{InsertedMaps, Method, TrainableTensor, TrainableVars};
pub use peft::{export_adapter, import_adapter};

use crate::model::{Backbone, EncoderConfig, head_tensors};
use crate::one_of;
use crate::params::{Layout, Params};
use crate::seed::{Purpose, Seeds};

one_of! {
    /// What is trained: `tuning`.
    pub enum TuningConfig: dyn Method, setting "tuning" {
        "lora" => Lora(LoraConfig), "low-rank updates of named projections (Hu et al. 2021, arXiv 2106.09685)";
        "head" => Head(HeadConfig), "the classification head alone (linear probe)";
        "full" => Full(FullConfig), "every tensor of backbone and head";
    }
}

/// Which biases are trained beside a method's own tensors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// No biases.
    #[default]
    None,
}

/// All tensors that are trained, and therefore travel: the method's and those of the head for `n_labels` classes.
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn trainable_tensors(
    tuning: &TuningConfig,
    config: &EncoderConfig,
    n_labels: usize,
) -> Result<Vec<TrainableTensor>, TuningError> {
    let mut tensors = tuning.implementation().tensors(config)?;
    let head = head_tensors(config, n_labels).into_iter();
    tensors.extend(head.map(|(spec, init)| TrainableTensor { spec, init: Some(init) }));
    Ok(tensors)
}

/// Where training starts: drawn values, or the backbone's own.
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn initial_params(
    tuning: &TuningConfig,
    backbone: &Backbone,
    n_labels: usize,
    seeds: &Seeds,
) -> Result<Params, TuningError> {
    let tensors = trainable_tensors(tuning, backbone.config(), n_labels)?;
    let layout = Layout::new(tensors.iter().map(|tensor| tensor.spec.clone()).collect());
    let mut params = Params::zeros(layout.clone());
    for TrainableTensor { spec, init } in &tensors {
        let values = match (init, backbone.tensor(&spec.name)) {
            (Some(init), _) => init.draw(spec, Purpose::Initialisation, seeds),
            (None, Some(tensor)) => tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?,
            (None, None) => unreachable!("a method leaves the start of `{}` to a backbone without it", spec.name),
        };
        let index = layout.position(&spec.name).expect("the layout was made of these tensors");
        params.values_mut()[layout.range(index)].copy_from_slice(&values);
    }
    Ok(params)
}
