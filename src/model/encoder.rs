//! The forward pass of BERT and RoBERTa encoders with the hook points of tuning methods.

use candle_core::{Result, Tensor};

use super::ops;
use super::{Backbone, Batch, EncoderConfig, Hooks, Pass, Projection, Site, Sublayer};

/// Runs a batch through the encoder.
///
/// # Shapes
/// The result is `[batch, seq, hidden]`; rows of padding carry no meaning.
///
/// # Errors
/// When token, segment or position numbers exceed their tables, a hook fails, or the device does.
pub fn encode(backbone: &Backbone, batch: &Batch, hooks: &dyn Hooks, pass: &mut Pass) -> Result<Tensor> {
    run(&Model { backbone, hooks }, batch, Rows::All, pass)
}

/// Runs a batch through the encoder for the vector of each example's first token, `[batch, hidden]`. The last layer
/// then works on that token alone: what it gives for the others is used by nobody.
pub(super) fn encode_first(backbone: &Backbone, batch: &Batch, hooks: &dyn Hooks, pass: &mut Pass) -> Result<Tensor> {
    run(&Model { backbone, hooks }, batch, Rows::First, pass)?.squeeze(1)
}

/// Which rows of the last layer are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    First,
}

/// A backbone seen through the hooks of a tuning method.
pub(super) struct Model<'a> {
    pub(super) backbone: &'a Backbone,
    pub(super) hooks: &'a dyn Hooks,
}

impl Model<'_> {
    pub(super) fn config(&self) -> &EncoderConfig {
        self.backbone.config()
    }

    /// The tensor to use under this name.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor> {
        if let Some(tensor) = self.hooks.parameter(name) {
            return Ok(tensor);
        }
        match self.backbone.tensor(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("neither the backbone nor the tuning method has a tensor `{name}`"),
        }
    }

    /// The linear map whose tensors are `name.weight` and `name.bias`. A frozen weight costs no gradient.
    pub(super) fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let bias = self.tensor(&bias_name)?;
        if let Some(weight) = self.hooks.parameter(&weight_name) {
            return ops::linear(x, &weight, Some(&bias));
        }
        let weight = self.tensor(&weight_name)?;
        if self.hooks.parameter(&bias_name).is_some() {
            return ops::frozen_linear(x, &weight, None)?.broadcast_add(&bias);
        }
        ops::frozen_linear(x, &weight, Some(&bias))
    }

    pub(super) fn layer_norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let gamma = self.tensor(&format!("{name}.weight"))?;
        let beta = self.tensor(&format!("{name}.bias"))?;
        ops::layer_norm(x, &gamma, &beta, self.config().layer_norm_eps)
    }

    fn add_layer_norm(&self, name: &str, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let gamma = self.tensor(&format!("{name}.weight"))?;
        let beta = self.tensor(&format!("{name}.bias"))?;
        ops::add_layer_norm(x, residual, &gamma, &beta, self.config().layer_norm_eps)
    }
}

fn run(model: &Model<'_>, batch: &Batch, rows: Rows, pass: &mut Pass) -> Result<Tensor> {
    let (mut x, mask) = embed(model, batch, pass)?;
    let n_layers = model.config().layers;
    for layer in 0..n_layers {
        let rows = if layer + 1 == n_layers { rows } else { Rows::All };
        x = run_layer(model, layer, &x, &mask, rows, pass)?;
    }
    Ok(x)
}

/// The input of the first layer, `[batch, seq, hidden]`, and its mask `[batch, seq]`.
fn embed(model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<(Tensor, Tensor)> {
    let mut words = look_up(model, "embeddings.word_embeddings.weight", &batch.input_ids)?;
    let (mut positions, mut types) = (batch.position_ids.clone(), batch.token_type_ids.clone());
    let mut mask = batch.attention_mask.clone();
    let device = mask.device().clone();
    let mut first = model.config().first_position();
    let free = model.hooks.free_positions() as u32;
    if free > 0 {
        first += free;
        positions = positions.broadcast_add(&Tensor::new(&[free], &device)?)?;
    }
    if let Some(prompt) = model.hooks.prompt()? {
        let (n_examples, n) = (batch.input_ids.dim(0)?, prompt.dim(0)? as u32);
        let row = |numbers: Vec<u32>| Tensor::new(numbers, &device)?.broadcast_as((n_examples, n as usize));
        positions = positions.broadcast_add(&Tensor::new(&[n], &device)?)?;
        positions = Tensor::cat(&[&row((first..first + n).collect())?, &positions], 1)?;
        types = Tensor::cat(&[&row(vec![0; n as usize])?, &types], 1)?;
        words = in_front(&prompt, &words)?;
        mask = unmasked(&prompt, &mask)?;
    }
    let types = look_up(model, "embeddings.token_type_embeddings.weight", &types)?;
    let positions = look_up(model, "embeddings.position_embeddings.weight", &positions)?;
    let x = model.layer_norm("embeddings.LayerNorm", &((words + types)? + positions)?)?;
    Ok((drop_out(&x, pass, model.config())?, mask))
}

fn look_up(model: &Model<'_>, table: &str, numbers: &Tensor) -> Result<Tensor> {
    let (batch, seq) = numbers.dims2()?;
    let table = model.tensor(table)?;
    table.index_select(&numbers.flatten_all()?, 0)?.reshape((batch, seq, table.dim(1)?))
}

fn run_layer(
    model: &Model<'_>,
    layer: usize,
    x: &Tensor,
    mask: &Tensor,
    rows: Rows,
    pass: &mut Pass,
) -> Result<Tensor> {
    let config = model.config();
    // Queries and everything behind the attention may be wanted for the first token only; keys and values never.
    let queried = match rows {
        Rows::All => x.clone(),
        Rows::First => x.narrow(1, 0, 1)?.contiguous()?,
    };
    let query = project(model, layer, Projection::Query, &queried, pass)?;
    let key = project(model, layer, Projection::Key, x, pass)?;
    let value = project(model, layer, Projection::Value, x, pass)?;
    let (key, value, mask) = match model.hooks.prefix(layer)? {
        None => (key, value, mask.clone()),
        Some((keys, values)) => (in_front(&keys, &key)?, in_front(&values, &value)?, unmasked(&keys, mask)?),
    };
    let attended =
        ops::attention(&query, &key, &value, &mask, config.heads, pass.encoder_dropout(config.attention_dropout))?;
    let attended = project(model, layer, Projection::AttentionOutput, &attended, pass)?;
    let x = add_and_norm(model, layer, Sublayer::Attention, &queried, &attended, pass)?;

    let wide = ops::gelu(&project(model, layer, Projection::Intermediate, &x, pass)?)?;
    let narrow = project(model, layer, Projection::Output, &wide, pass)?;
    add_and_norm(model, layer, Sublayer::FeedForward, &x, &narrow, pass)
}

fn project(model: &Model<'_>, layer: usize, projection: Projection, x: &Tensor, pass: &mut Pass) -> Result<Tensor> {
    let site = Site { kind: model.config().kind, layer, projection };
    let x = model.hooks.input(site, x.clone())?;
    let output = model.linear(&site.to_string(), &x)?;
    model.hooks.projection(site, &x, output, pass)
}

fn add_and_norm(
    model: &Model<'_>,
    layer: usize,
    sublayer: Sublayer,
    x: &Tensor,
    output: &Tensor,
    pass: &mut Pass,
) -> Result<Tensor> {
    let output = drop_out(output, pass, model.config())?;
    let output = model.hooks.sublayer(layer, sublayer, output, pass)?;
    let norm = match sublayer {
        Sublayer::Attention => format!("encoder.layer.{layer}.attention.output.LayerNorm"),
        Sublayer::FeedForward => format!("encoder.layer.{layer}.output.LayerNorm"),
    };
    model.add_layer_norm(&norm, &output, x)
}

fn drop_out(x: &Tensor, pass: &mut Pass, config: &EncoderConfig) -> Result<Tensor> {
    match pass.encoder_dropout(config.hidden_dropout) {
        None => Ok(x.clone()),
        Some(dropout) => ops::dropout(x, dropout),
    }
}

/// `[n, hidden]` in front of each example of `[batch, seq, hidden]`.
fn in_front(prefix: &Tensor, x: &Tensor) -> Result<Tensor> {
    let (n, hidden) = prefix.dims2()?;
    let prefix = prefix.unsqueeze(0)?.broadcast_as((x.dim(0)?, n, hidden))?;
    Tensor::cat(&[&prefix, x], 1)
}

/// The mask `[batch, seq]` with a prefix of the length of `prefix` that everybody may attend to.
fn unmasked(prefix: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let ones = Tensor::ones((mask.dim(0)?, prefix.dim(0)?), mask.dtype(), mask.device())?;
    Tensor::cat(&[&ones, mask], 1)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, IndexOp};
    use candle_nn::VarBuilder;
    use candle_transformers::models::{bert, xlm_roberta};

    use super::*;
    use crate::model::{EncoderKind, NoHooks, fixture};

    fn builder(backbone: &Backbone) -> VarBuilder<'static> {
        let tensors = backbone.tensors().iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
    }

    /// The largest difference over the tokens that are no padding.
    fn difference(ours: &Tensor, reference: &Tensor, mask: &Tensor) -> f32 {
        let difference = (ours - reference).unwrap().broadcast_mul(&mask.unsqueeze(2).unwrap()).unwrap();
        difference.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    fn bert_reference(backbone: &Backbone, batch: &Batch) -> Tensor {
        let config: bert::Config = serde_json::from_str(&backbone.config().to_json()).unwrap();
        let model = bert::BertModel::load(builder(backbone), &config).unwrap();
        model.forward(&batch.input_ids, &batch.token_type_ids, Some(&batch.attention_mask)).unwrap()
    }

    #[test]
    fn bert_gives_what_candle_transformers_gives() {
        let backbone = fixture::backbone(EncoderKind::Bert);
        let batch = fixture::batch(backbone.config());
        let ours = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let reference = bert_reference(&backbone, &batch);
        assert!(difference(&ours, &reference, &batch.attention_mask) < 1e-5);
    }

    #[test]
    fn roberta_gives_what_candle_transformers_gives() {
        let backbone = fixture::backbone(EncoderKind::Roberta);
        let batch = fixture::batch(backbone.config());
        let ours = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let config: xlm_roberta::Config = serde_json::from_str(&backbone.config().to_json()).unwrap();
        let model = xlm_roberta::XLMRobertaModel::new(&config, builder(&backbone)).unwrap();
        let (mask, types) = (&batch.attention_mask, &batch.token_type_ids);
        let reference = model.forward(&batch.input_ids, mask, types, None, None, None).unwrap();
        assert!(difference(&ours, &reference, &batch.attention_mask) < 1e-5);
    }

    #[test]
    #[ignore = "needs STRAGGLER_MINILM_DIR"]
    fn minilm_gives_what_candle_transformers_gives() {
        let directory = std::env::var("STRAGGLER_MINILM_DIR").unwrap();
        let source = crate::model::ModelSource::Directory(directory.into());
        let (backbone, tokenizer) = crate::model::load(&source, "".as_ref(), &crate::seed::Seeds::new(0)).unwrap();
        assert_eq!(backbone.unused_tensors(), ["embeddings.position_ids"]);
        let texts = ["a card was declined", "How do I top up by bank transfer? It has been two days.", "hello"];
        let encodings: Vec<_> = texts.iter().map(|text| tokenizer.encode(*text, true).unwrap()).collect();
        let examples: Vec<_> = encodings.iter().map(|encoding| (encoding.get_ids(), encoding.get_type_ids())).collect();
        let batch = Batch::new(&examples, backbone.config(), &Device::Cpu).unwrap();
        let ours = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let worst = difference(&ours, &bert_reference(&backbone, &batch), &batch.attention_mask);
        assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn the_first_token_alone_equals_the_first_of_all() {
        for kind in [EncoderKind::Bert, EncoderKind::Roberta] {
            let backbone = fixture::backbone(kind);
            let batch = fixture::batch(backbone.config());
            let all = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap().i((.., 0)).unwrap();
            let first = encode_first(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
            let worst = (all - first).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(worst < 1e-5, "{worst}");
        }
    }

    #[test]
    fn an_example_gives_the_same_beside_longer_ones() {
        let backbone = fixture::backbone(EncoderKind::Roberta);
        let (long, short): (&[u32], &[u32]) = (&[2, 17, 5, 33, 9, 3], &[2, 8, 3]);
        let types = [0; 6];
        let run = |examples: &[(&[u32], &[u32])]| {
            let batch = Batch::new(examples, backbone.config(), &Device::Cpu).unwrap();
            encode_first(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap().to_vec2::<f32>().unwrap()
        };
        let alone = run(&[(short, &types[..3])]);
        let beside = run(&[(long, &types), (short, &types[..3])]);
        for (a, b) in alone[0].iter().zip(&beside[1]) {
            assert!((a - b).abs() < 1e-5);
        }
    }

    /// Hooks that count where they are called, and put one neutral key in front of each layer.
    struct Everywhere(std::cell::RefCell<Vec<String>>);

    impl Hooks for Everywhere {
        fn projection(&self, site: Site, input: &Tensor, output: Tensor, _: &mut Pass) -> Result<Tensor> {
            self.0.borrow_mut().push(format!("{site} {}", input.dims()[2]));
            Ok(output)
        }

        fn sublayer(&self, layer: usize, sublayer: Sublayer, output: Tensor, _: &mut Pass) -> Result<Tensor> {
            self.0.borrow_mut().push(format!("{layer} {sublayer:?}"));
            Ok(output)
        }

        fn prefix(&self, _: usize) -> Result<Option<(Tensor, Tensor)>> {
            let row = Tensor::zeros((1, 16), DType::F32, &Device::Cpu)?;
            Ok(Some((row.clone(), row)))
        }

        fn input(&self, site: Site, input: Tensor) -> Result<Tensor> {
            self.0.borrow_mut().push(format!("into {site}"));
            Ok(input)
        }

        fn prompt(&self) -> Result<Option<Tensor>> {
            self.0.borrow_mut().push("prompt".into());
            Ok(None)
        }
    }

    #[test]
    fn every_hook_is_called_where_it_belongs() {
        let backbone = fixture::backbone(EncoderKind::Bert);
        let batch = fixture::batch(backbone.config());
        let hooks = Everywhere(Vec::new().into());
        let with_prefix = encode(&backbone, &batch, &hooks, &mut Pass::evaluation()).unwrap();
        let calls = hooks.0.into_inner();
        assert_eq!(calls.len(), 1 + 2 * (6 * 2 + 2));
        assert_eq!(
            calls[..3],
            ["prompt", "into encoder.layer.0.attention.self.query", "encoder.layer.0.attention.self.query 16"]
        );
        let outputs: Vec<&String> = calls.iter().filter(|call| !call.starts_with("into ")).collect();
        assert_eq!(
            outputs[5..9],
            [
                "0 Attention",
                "encoder.layer.0.intermediate.dense 16",
                "encoder.layer.0.output.dense 24",
                "0 FeedForward"
            ]
        );
        // A key of zeros draws attention away from the others, so the prefix is seen to act.
        let without = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        assert!(difference(&with_prefix, &without, &batch.attention_mask) > 1e-2);
    }
}
