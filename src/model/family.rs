//! The families of encoders, and what each of them does its own way.
//!
//! A family is one file below this one that implements [`Family`], and one line of the list below. Everything else in
//! this room asks the family: how its `config.json` is read, which tensors there are and how they start, how inputs
//! become vectors, where layer normalisation stands, and what the classification head computes.

mod bert;
mod distilbert;
mod keys;
mod roberta;
mod text;
mod vit;

use candle_core::{Result, Tensor};
use serde_json::{Map, Value};

use super::hooked::Model;
use super::{Batch, EncoderConfig, Init, Pass, Projection, Sublayer};
use crate::params::TensorSpec;
pub(super) use keys::Keys;
pub(crate) use text::WORDS as WORD_EMBEDDINGS;

/// Declares the families: the enum that names them, and what implements each.
macro_rules! families {
    ($($kind:ident => $family:expr, $doc:literal;)+) => {
        /// Which family of encoders.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EncoderKind {
            $(#[doc = $doc] $kind,)+
        }

        impl EncoderKind {
            /// All families.
            pub const ALL: [Self; [$(Self::$kind),+].len()] = [$(Self::$kind),+];

            pub(super) fn family(self) -> &'static dyn Family {
                match self { $(Self::$kind => &$family,)+ }
            }
        }
    };
}

families! {
    Bert => bert::Bert,
        "BERT (Devlin et al. 2018, arXiv 1810.04805): positions from 0, a pooler below the classifier.";
    Roberta => roberta::Roberta,
        "RoBERTa (Liu et al. 2019, arXiv 1907.11692): positions from `pad_token_id + 1`, a two-layer classifier.";
    DistilBert => distilbert::DistilBert,
        "DistilBERT (Sanh et al. 2019, arXiv 1910.01108): no token types, a two-layer classifier with ReLU.";
    Vit => vit::Vit,
        "ViT (Dosovitskiy et al. 2020, arXiv 2010.11929): patches of an image, normalisation before each sublayer.";
}

impl EncoderKind {
    /// `model_type` of `config.json`.
    pub fn name(self) -> &'static str {
        self.family().name()
    }

    /// What stands before the names of the backbone's tensors in a model with a head.
    pub fn prefix(self) -> &'static str {
        self.family().prefix()
    }

    /// True when layer normalisation stands before each sublayer and not behind its sum.
    pub fn norms_first(self) -> bool {
        self.family().norms_first()
    }

    /// True when a tensor of this name belongs to the classification head, not to the backbone.
    pub fn is_head(self, name: &str) -> bool {
        let behind = |module: &str| name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
        self.head_modules().iter().any(|module| behind(module))
    }

    /// The modules of transformers that make up the classification head, in the order of computation.
    pub fn head_modules(self) -> &'static [&'static str] {
        self.family().head_modules()
    }

    /// The name of the head's last linear map, the one with a row per class.
    pub fn output_map(self) -> &'static str {
        self.family().output_map()
    }
}

/// Names and initial values of tensors.
pub(super) type Tensors = Vec<(TensorSpec, Init)>;

/// What a family of encoders does its own way. Tensors are named as in its Hugging Face checkpoint without prefix.
pub(super) trait Family: Sync {
    /// `model_type` of `config.json`.
    fn name(&self) -> &'static str;

    /// What stands before the names of the backbone's tensors in a model with a head.
    fn prefix(&self) -> &'static str;

    /// The shape that a `config.json` describes, or what is wrong with it.
    fn read(&self, keys: &Keys<'_>) -> std::result::Result<EncoderConfig, String>;

    /// The keys of a `config.json` from which transformers builds the same encoder, beside `model_type`.
    fn write(&self, config: &EncoderConfig) -> Map<String, Value>;

    /// The position number of an input's first token.
    fn first_position(&self, config: &EncoderConfig) -> u32 {
        let _ = config;
        0
    }

    /// Rows of the position table for one example; `ids` may end in padding.
    fn fill_positions(&self, positions: &mut [u32], ids: &[u32], config: &EncoderConfig) {
        let _ = ids;
        positions.iter_mut().zip(self.first_position(config)..).for_each(|(position, next)| *position = next);
    }

    /// The name of the list of layers.
    fn layers(&self) -> &'static str {
        "encoder.layer"
    }

    /// The name of a linear map inside a layer.
    fn projection(&self, projection: Projection) -> &'static str;

    /// Whether a linear map has a bias.
    fn has_bias(&self, projection: Projection, config: &EncoderConfig) -> bool {
        let _ = (projection, config);
        true
    }

    /// The name inside a layer of the normalisation that belongs to a sublayer.
    fn norm(&self, sublayer: Sublayer) -> &'static str;

    /// True when normalisation stands before a sublayer and not behind its sum.
    fn norms_first(&self) -> bool {
        false
    }

    /// Whether the output of a sublayer is dropped out.
    fn drops_out(&self, sublayer: Sublayer) -> bool {
        let _ = sublayer;
        true
    }

    /// The tensors below the first layer.
    fn embedding_tensors(&self, config: &EncoderConfig) -> Tensors;

    /// The tensors of the backbone above the last layer.
    fn top_tensors(&self, config: &EncoderConfig) -> Tensors {
        let _ = config;
        Vec::new()
    }

    /// Those among them that a checkpoint may lack, all together: what pretraining without them leaves out is drawn.
    fn dispensable(&self) -> &'static [&'static str] {
        &[]
    }

    /// The input of the first layer, `[batch, seq, hidden]`, and its mask `[batch, seq]`.
    fn embed(&self, model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<(Tensor, Tensor)>;

    /// What the backbone does to the output of the last layer.
    fn finish(&self, model: &Model<'_>, x: Tensor) -> Result<Tensor> {
        let _ = model;
        Ok(x)
    }

    /// The modules of transformers that make up the classification head, in the order of computation.
    fn head_modules(&self) -> &'static [&'static str] {
        &["classifier"]
    }

    /// The name of the head's last linear map.
    fn output_map(&self) -> &'static str {
        "classifier"
    }

    /// The tensors of the head, in the order of computation, with the initial values that transformers gives them.
    fn head_tensors(&self, config: &EncoderConfig, n_labels: usize) -> Tensors;

    /// Class scores `[batch, n_labels]` from the vector of each example's first token, `[batch, hidden]`.
    fn classify(&self, model: &Model<'_>, first: Tensor, pass: &mut Pass) -> Result<Tensor>;

    /// The name used here for one that checkpoints of this family also use; both without prefix.
    fn other_spelling(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// Weight and bias of a linear map, as transformers initialises them.
pub(super) fn linear_tensors(config: &EncoderConfig, name: &str, n_in: usize, n_out: usize) -> Tensors {
    let weight = Init::Normal { sd: config.initializer_range };
    vec![
        (TensorSpec::new(format!("{name}.weight"), [n_out, n_in]), weight),
        (TensorSpec::new(format!("{name}.bias"), [n_out]), Init::Zeros),
    ]
}

/// Scale and shift of a layer normalisation: the identity.
pub(super) fn norm_tensors(config: &EncoderConfig, name: &str) -> Tensors {
    vec![
        (TensorSpec::new(format!("{name}.weight"), [config.hidden_size]), Init::Ones),
        (TensorSpec::new(format!("{name}.bias"), [config.hidden_size]), Init::Zeros),
    ]
}

/// A table of vectors; the row of padding, where there is one, starts empty.
pub(super) fn table_tensor(
    config: &EncoderConfig,
    name: &str,
    n_rows: usize,
    padding: Option<u32>,
) -> (TensorSpec, Init) {
    let sd = config.initializer_range;
    let init = match padding {
        None => Init::Normal { sd },
        Some(row) => Init::Table { sd, empty_row: row as usize },
    };
    (TensorSpec::new(name, [n_rows, config.hidden_size]), init)
}
