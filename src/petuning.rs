//! Parameter-efficient tuning (PETuning) methods: which tensors are trained, and where they act in the encoder.
//!
//! A method is a settings struct that implements [`Method`]: it names its tensors and gives the [`Hooks`] through which
//! they act. The classification head is trained under every method; [`trainable_tensors`] puts the two together.
//!
//! [`Hooks`]: crate::model::Hooks

mod adapter;
mod bitfit;
mod combined;
mod error;
mod exchange;
mod full;
#[cfg(test)]
pub(crate) mod golden;
mod gradient_check;
#[cfg(test)]
mod gradients;
mod head;
mod ia3;
mod local;
mod lora;
mod method;
#[cfg(test)]
mod peers;
mod prefix;
mod prompt;
mod saved_modules;
mod targets;

use candle_core::DType;
use tokenizers::Tokenizer;

pub use adapter::{AdapterConfig, AdapterVariant, NonLinearity};
pub use bitfit::{BitfitConfig, TrainedBiases};
pub use combined::CombinedConfig;
pub use error::TuningError;
pub use exchange::{ImportedAdapter, InitialHead, InitialValues, Record, export_adapter, import_adapter, load_initial};
pub use full::FullConfig;
pub use gradient_check::{GradientCheck, GradientState, check_gradients, stirred};
pub use head::HeadConfig;
pub use ia3::Ia3Config;
pub use local::{LocalForm, LocalTask, Reparameterisation};
pub use lora::{Bias, LoraConfig};
pub use method::{InsertedMaps, Method, StepMaps, TrainableTensor, TrainableVars};
pub use prefix::{PrefixConfig, Travels};
pub use prompt::{PromptConfig, PromptTuningInit};

use crate::model::{Backbone, EncoderConfig, head_tensors, is_kept_in_16_bits};
use crate::one_of;
use crate::params::{Layout, Params};
use crate::seed::{Purpose, Seeds};

one_of! {
    /// What is trained: `tuning`.
    pub enum TuningConfig: dyn Method, setting "tuning" {
        "lora" => Lora(LoraConfig), "low-rank updates of named projections (Hu et al. 2021, arXiv 2106.09685)";
        "adapter" => Adapter(AdapterConfig), "bottlenecks behind the sublayers (Houlsby et al. 2019; Pfeiffer et al. 2020)";
        "prefix" => Prefix(PrefixConfig), "learnt keys and values in every layer (Li and Liang 2021, arXiv 2101.00190)";
        "prompt" => Prompt(PromptConfig), "learnt vectors before the input (Lester et al. 2021; Jia et al. 2022 for images)";
        "bitfit" => Bitfit(BitfitConfig), "the biases (Ben Zaken et al. 2021, arXiv 2106.10199)";
        "ia3" => Ia3(Ia3Config), "learnt scales of keys, values and feed-forward units (Liu et al. 2022, arXiv 2205.05638)";
        "head" => Head(HeadConfig), "the classification head alone (linear probe)";
        "full" => Full(FullConfig), "every tensor of backbone and head";
        list => Combined(CombinedConfig);
    }
}

/// Where a scenario says what is trained.
const SETTING: &str = "tuning";

impl TuningConfig {
    /// The methods of a list, or the one that there is.
    pub fn methods(&self) -> &[Self] {
        match self {
            Self::Combined(list) => &list.methods,
            one => std::slice::from_ref(one),
        }
    }

    /// The keys of the methods, such as `lora, bitfit`.
    pub fn title(&self) -> String {
        self.methods().iter().map(Self::key).collect::<Vec<_>>().join(", ")
    }

    /// The methods with their paths in a scenario, such as `tuning.lora` or `tuning.1.bitfit`.
    pub fn with_paths(&self) -> impl Iterator<Item = (String, &Self)> {
        let is_list = matches!(self, Self::Combined(_));
        self.methods().iter().enumerate().map(move |(i, method)| match is_list {
            true => (format!("{SETTING}.{i}.{}", method.key()), method),
            false => (format!("{SETTING}.{}", method.key()), method),
        })
    }

    /// The setting, as it is in a scenario, of the virtual tokens that stand before every input; where several methods have
    /// some, of the one that has most.
    pub fn setting_of_virtual_tokens(&self) -> Option<String> {
        let n = |method: &Self| method.implementation().extra_tokens() + method.implementation().extra_keys();
        let most = self.with_paths().filter(|(_, method)| n(method) > 0).max_by_key(|(_, method)| n(method));
        most.map(|(path, _)| format!("{path}.num_virtual_tokens"))
    }

    /// The tensors that travel beside the head. The path of an error begins at the method's key, or at its number in a
    /// list.
    fn tensors(&self, config: &EncoderConfig) -> Result<Vec<TrainableTensor>, TuningError> {
        self.implementation().tensors(config).map_err(|error| self.found_below(error))
    }

    /// An error of the implementation, as the setting sees it.
    fn found_below(&self, error: TuningError) -> TuningError {
        match self {
            Self::Combined(_) => error,
            one => error.below(one.key()),
        }
    }
}

/// All tensors that travel: the method's and those of the head for `n_labels` classes.
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn travelling_tensors(
    tuning: &TuningConfig,
    config: &EncoderConfig,
    n_labels: usize,
) -> Result<Vec<TrainableTensor>, TuningError> {
    let mut tensors = tuning.tensors(config).map_err(|error| error.below(SETTING))?;
    let head = head_tensors(config, n_labels).into_iter();
    tensors.extend(head.map(|(spec, init)| TrainableTensor { spec, init: Some(init) }));
    Ok(tensors)
}

/// All tensors that a client trains: those that travel, but for what it trains others in place of; see [`LocalForm`].
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn trainable_tensors(
    tuning: &TuningConfig,
    config: &EncoderConfig,
    n_labels: usize,
) -> Result<Vec<TrainableTensor>, TuningError> {
    let mut tensors = travelling_tensors(tuning, config, n_labels)?;
    for map in tuning.implementation().reparameterisations(config) {
        let made = map.makes();
        tensors.retain(|tensor| !made.contains(&tensor.spec.name));
        tensors.extend(map.tensors());
    }
    Ok(tensors)
}

/// The name of a matrix or table of the backbone among what is trained. Where there is one the backbone cannot be kept in 16
/// bits: training would start from rounded values, and beside their copy in 32 bits it would lie in memory for nothing.
pub fn trained_matrix(trained: &[TrainableTensor]) -> Option<&str> {
    let found = trained.iter().find(|tensor| tensor.init.is_none() && is_kept_in_16_bits(&tensor.spec));
    found.map(|tensor| tensor.spec.name.as_str())
}

/// What travels before the first round: drawn values, the backbone's own, or what the method makes of the backbone and the
/// model's tokenizer.
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn initial_params(
    tuning: &TuningConfig,
    backbone: &Backbone,
    tokenizer: Option<&Tokenizer>,
    n_labels: usize,
    seeds: &Seeds,
) -> Result<Params, TuningError> {
    let tensors = travelling_tensors(tuning, backbone.config(), n_labels)?;
    let layout = Layout::new(tensors.iter().map(|tensor| tensor.spec.clone()).collect());
    let mut params = Params::zeros(layout.clone());
    let mut made = local::initial_travelling(tuning.implementation(), backbone.config(), seeds)?;
    let started = tuning.implementation().start(backbone, tokenizer, seeds);
    made.extend(started.map_err(|error| tuning.found_below(error).below(SETTING))?);
    for TrainableTensor { spec, init } in &tensors {
        let made = made.iter().find(|(name, _)| *name == spec.name);
        let values = match (made, init, backbone.tensor(&spec.name)) {
            (Some((_, values)), ..) => values.clone(),
            (None, Some(init), _) => init.draw(spec, Purpose::Initialisation, seeds),
            (None, None, Some(tensor)) => tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?,
            (None, None, None) => {
                unreachable!("a method leaves the start of `{}` to a backbone without it", spec.name)
            }
        };
        let index = layout.position(&spec.name).expect("the layout was made of these tensors");
        params.values_mut()[layout.range(index)].copy_from_slice(&values);
    }
    Ok(params)
}
