//! The forward pass of the encoders with the hook points of tuning methods.

use candle_core::{Result, Tensor};

use super::hooked::Model;
use super::ops;
use super::{Backbone, Batch, Hooks, Pass, Projection, Site, Sublayer};

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

fn run(model: &Model<'_>, batch: &Batch, rows: Rows, pass: &mut Pass) -> Result<Tensor> {
    let family = model.config().kind.family();
    let (mut x, mut mask) = family.embed(model, batch, pass)?;
    let n_layers = model.config().layers;
    let mut n_inserted = 0;
    for layer in 0..n_layers {
        if let Some(prompt) = model.hooks.layer_prompt(layer)? {
            x = behind_first(&prompt, &x, n_inserted)?;
            mask = behind_first_of_mask(&prompt, &mask, n_inserted)?;
            n_inserted = prompt.dim(0)?;
        }
        let rows = if layer + 1 == n_layers { rows } else { Rows::All };
        x = run_layer(model, layer, &x, &mask, rows, pass)?;
    }
    family.finish(model, x)
}

fn run_layer(
    model: &Model<'_>,
    layer: usize,
    x: &Tensor,
    mask: &Tensor,
    rows: Rows,
    pass: &mut Pass,
) -> Result<Tensor> {
    let normed = norm_before(model, layer, Sublayer::Attention, x)?;
    // Queries and everything behind the attention may be wanted for the first token only; keys and values never.
    let (residual, queried) = match rows {
        Rows::All => (x.clone(), normed.clone()),
        Rows::First => (x.narrow(1, 0, 1)?.contiguous()?, normed.narrow(1, 0, 1)?.contiguous()?),
    };
    let query = project(model, layer, Projection::Query, &queried, pass)?;
    let key = project(model, layer, Projection::Key, &normed, pass)?;
    let value = project(model, layer, Projection::Value, &normed, pass)?;
    let (key, value, mask) = match model.hooks.prefix(layer)? {
        None => (key, value, mask.clone()),
        Some((keys, values)) => (in_front(&keys, &key)?, in_front(&values, &value)?, unmasked(&keys, mask)?),
    };
    let config = model.config();
    let dropout = pass.encoder_dropout(config.attention_dropout);
    let attended = ops::attention(&query, &key, &value, &mask, config.heads, dropout)?;
    let attended = project(model, layer, Projection::AttentionOutput, &attended, pass)?;
    let x = add(model, layer, Sublayer::Attention, &residual, attended, pass)?;

    let normed = norm_before(model, layer, Sublayer::FeedForward, &x)?;
    let wide = ops::gelu(&project(model, layer, Projection::Intermediate, &normed, pass)?)?;
    let narrow = project(model, layer, Projection::Output, &wide, pass)?;
    add(model, layer, Sublayer::FeedForward, &x, narrow, pass)
}

fn project(model: &Model<'_>, layer: usize, projection: Projection, x: &Tensor, pass: &mut Pass) -> Result<Tensor> {
    let config = model.config();
    let site = Site { kind: config.kind, layer, projection };
    let x = model.hooks.input(site, x.clone())?;
    let name = site.to_string();
    let output = if config.kind.family().has_bias(projection, config) {
        model.linear(&name, &x)?
    } else {
        model.linear_without_bias(&name, &x)?
    };
    model.hooks.projection(site, &x, output, pass)
}

/// The name of the normalisation that belongs to a sublayer.
fn norm_name(model: &Model<'_>, layer: usize, sublayer: Sublayer) -> String {
    let family = model.config().kind.family();
    format!("{}.{layer}.{}", family.layers(), family.norm(sublayer))
}

/// What a sublayer takes: its input, normalised where the family does so first.
fn norm_before(model: &Model<'_>, layer: usize, sublayer: Sublayer, x: &Tensor) -> Result<Tensor> {
    if model.config().kind.norms_first() {
        model.layer_norm(&norm_name(model, layer, sublayer), x)
    } else {
        Ok(x.clone())
    }
}

/// Adds what a sublayer gave to its input; normalised where the family does so behind it.
fn add(
    model: &Model<'_>,
    layer: usize,
    sublayer: Sublayer,
    x: &Tensor,
    output: Tensor,
    pass: &mut Pass,
) -> Result<Tensor> {
    let kind = model.config().kind;
    let output = if kind.family().drops_out(sublayer) {
        model.drop_out(output, model.config().hidden_dropout, pass)?
    } else {
        output
    };
    let output = model.hooks.sublayer(layer, sublayer, output, pass)?;
    if kind.norms_first() { output + x } else { model.add_layer_norm(&norm_name(model, layer, sublayer), &output, x) }
}

/// `[n, hidden]` in front of each example of `[batch, seq, hidden]`.
pub(super) fn in_front(prefix: &Tensor, x: &Tensor) -> Result<Tensor> {
    let (n, hidden) = prefix.dims2()?;
    let prefix = prefix.unsqueeze(0)?.broadcast_as((x.dim(0)?, n, hidden))?;
    Tensor::cat(&[&prefix, x], 1)
}

/// The mask `[batch, seq]` with a prefix of the length of `prefix` that everybody may attend to.
pub(super) fn unmasked(prefix: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let ones = Tensor::ones((mask.dim(0)?, prefix.dim(0)?), mask.dtype(), mask.device())?;
    Tensor::cat(&[&ones, mask], 1)
}

/// `[n, hidden]` behind the first vector of each example of `[batch, seq, hidden]`, in place of the `n_replaced` vectors
/// that stood there.
fn behind_first(prompt: &Tensor, x: &Tensor, n_replaced: usize) -> Result<Tensor> {
    let ((n_examples, seq, _), (n, hidden)) = (x.dims3()?, prompt.dims2()?);
    let prompt = prompt.unsqueeze(0)?.broadcast_as((n_examples, n, hidden))?;
    Tensor::cat(&[&x.narrow(1, 0, 1)?, &prompt, &x.narrow(1, 1 + n_replaced, seq - 1 - n_replaced)?], 1)
}

/// The mask `[batch, seq]` that belongs to it.
fn behind_first_of_mask(prompt: &Tensor, mask: &Tensor, n_replaced: usize) -> Result<Tensor> {
    let (n_examples, seq) = mask.dims2()?;
    let ones = Tensor::ones((n_examples, prompt.dim(0)?), mask.dtype(), mask.device())?;
    Tensor::cat(&[&mask.narrow(1, 0, 1)?, &ones, &mask.narrow(1, 1 + n_replaced, seq - 1 - n_replaced)?], 1)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, IndexOp};
    use candle_nn::VarBuilder;
    use candle_transformers::models::{bert, distilbert, vit, xlm_roberta};

    use super::*;
    use crate::model::{EncoderConfig, EncoderKind, NoHooks, TextBatch, fixture};

    fn builder(backbone: &Backbone) -> VarBuilder<'static> {
        let tensors = backbone.tensors().iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
    }

    /// The largest difference over the tokens that are no padding.
    fn difference(ours: &Tensor, reference: &Tensor, mask: &Tensor) -> f32 {
        let difference = (ours - reference).unwrap().broadcast_mul(&mask.unsqueeze(2).unwrap()).unwrap();
        difference.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    fn of_texts(batch: &Batch) -> &TextBatch {
        match batch {
            Batch::Text(batch) => batch,
            Batch::Images(_) => unreachable!("the batch is of texts"),
        }
    }

    fn bert_reference(backbone: &Backbone, batch: &TextBatch) -> Tensor {
        let config: bert::Config = serde_json::from_str(&backbone.config().to_json()).unwrap();
        let model = bert::BertModel::load(builder(backbone), &config).unwrap();
        model.forward(&batch.input_ids, &batch.token_type_ids, Some(&batch.attention_mask)).unwrap()
    }

    #[test]
    fn bert_gives_what_candle_transformers_gives() {
        let backbone = fixture::backbone(EncoderKind::Bert);
        let batch = fixture::batch(backbone.config());
        let ours = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let batch = of_texts(&batch);
        let reference = bert_reference(&backbone, batch);
        assert!(difference(&ours, &reference, &batch.attention_mask) < 1e-5);
    }

    #[test]
    fn roberta_gives_what_candle_transformers_gives() {
        let backbone = fixture::backbone(EncoderKind::Roberta);
        let batch = fixture::batch(backbone.config());
        let ours = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let config: xlm_roberta::Config = serde_json::from_str(&backbone.config().to_json()).unwrap();
        let model = xlm_roberta::XLMRobertaModel::new(&config, builder(&backbone)).unwrap();
        let batch = of_texts(&batch);
        let (mask, types) = (&batch.attention_mask, &batch.token_type_ids);
        let reference = model.forward(&batch.input_ids, mask, types, None, None, None).unwrap();
        assert!(difference(&ours, &reference, &batch.attention_mask) < 1e-5);
    }

    #[test]
    fn distilbert_gives_what_candle_transformers_gives() {
        let backbone = fixture::backbone(EncoderKind::DistilBert);
        let batch = fixture::batch(backbone.config());
        let ours = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let config: distilbert::Config = serde_json::from_str(&backbone.config().to_json()).unwrap();
        let model = distilbert::DistilBertModel::load(builder(&backbone), &config).unwrap();
        let batch = of_texts(&batch);
        let (n, seq) = batch.input_ids.dims2().unwrap();
        // Its mask has 1 where a key is hidden, for each head and query.
        let hidden = (1.0 - &batch.attention_mask).unwrap().to_dtype(DType::U8).unwrap();
        let hidden = hidden.reshape((n, 1, 1, seq)).unwrap().broadcast_as((n, 1, seq, seq)).unwrap();
        let reference = model.forward(&batch.input_ids, &hidden).unwrap();
        // It computes GELU with tanh, where transformers takes the exact function: their largest difference is 5e-4, here
        // in each of 24 intermediate values of two layers. The exact comparison is with transformers' own values.
        let worst = difference(&ours, &reference, &batch.attention_mask);
        assert!(worst < 5e-3, "{worst}");
    }

    #[test]
    fn vit_gives_what_candle_transformers_gives() {
        let backbone = fixture::backbone(EncoderKind::Vit);
        let config = backbone.config();
        let pixels = Tensor::from_vec(fixture::pixels(config), (3, 3, 6, 6), &Device::Cpu).unwrap();
        // Its model with a head alone can be built; the identity as head shows the vector of the class token.
        let (identity, zeros) =
            (Tensor::eye(16, DType::F32, &Device::Cpu), Tensor::zeros(16, DType::F32, &Device::Cpu));
        let head = [("classifier.weight", identity.unwrap()), ("classifier.bias", zeros.unwrap())];
        let tensors = backbone.tensors().iter().map(|(name, tensor)| (format!("vit.{name}"), tensor.clone()));
        let tensors = tensors.chain(head.map(|(name, tensor)| (name.to_string(), tensor))).collect();
        let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let shape: vit::Config = serde_json::from_str(&config.to_json()).unwrap();
        let reference = vit::Model::new(&shape, 16, builder).unwrap().forward(&pixels).unwrap();
        let batch = fixture::batch(config);
        let ours = encode_first(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let worst = (ours - reference).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn a_vit_without_biases_of_queries_keys_and_values_is_one_with_zeros() {
        let with = fixture::backbone(EncoderKind::Vit);
        let batch = fixture::batch(with.config());
        let bare = EncoderConfig { qkv_bias: false, ..with.config().clone() };
        let without = Backbone::from_tensors(bare, with.tensors()).unwrap();
        assert_eq!(with.tensors().len() - without.tensors().len(), 2 * 3);
        let mut tensors = with.tensors().clone();
        for (name, tensor) in &mut tensors {
            if name.contains("attention.attention") && name.ends_with(".bias") {
                *tensor = tensor.zeros_like().unwrap();
            }
        }
        let zeros = Backbone::from_tensors(with.config().clone(), &tensors).unwrap();
        let run = |backbone: &Backbone| {
            let all = encode(backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
            all.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        for (a, b) in run(&without).iter().zip(run(&zeros)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    #[ignore = "needs STRAGGLER_MINILM_DIR"]
    fn minilm_gives_what_candle_transformers_gives() {
        let directory = std::env::var("STRAGGLER_MINILM_DIR").unwrap();
        let source = crate::model::ModelSource::Directory(directory.into());
        let (backbone, preprocessor) =
            crate::model::load(&source, crate::model::ModelDtype::F32, "".as_ref(), &crate::seed::Seeds::new(0))
                .unwrap();
        assert_eq!(backbone.unused_tensors(), ["embeddings.position_ids"]);
        let crate::model::Preprocessor::Texts(tokenizer) = preprocessor else { panic!("a BERT takes texts") };
        let texts = ["a card was declined", "How do I top up by bank transfer? It has been two days.", "hello"];
        let encodings: Vec<_> = texts.iter().map(|text| tokenizer.encode(*text, true).unwrap()).collect();
        let examples: Vec<_> = encodings.iter().map(|encoding| (encoding.get_ids(), encoding.get_type_ids())).collect();
        let batch = Batch::new(&examples, backbone.config(), &Device::Cpu).unwrap();
        let ours = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let batch = of_texts(&batch);
        let worst = difference(&ours, &bert_reference(&backbone, batch), &batch.attention_mask);
        assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn the_first_token_alone_equals_the_first_of_all() {
        for kind in EncoderKind::ALL {
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
        assert!(difference(&with_prefix, &without, &of_texts(&batch).attention_mask) > 1e-2);
    }

    /// Prompts of some layers.
    struct Prompts(Vec<Option<Tensor>>);

    impl Hooks for Prompts {
        fn layer_prompt(&self, layer: usize) -> Result<Option<Tensor>> {
            Ok(self.0[layer].clone())
        }
    }

    #[test]
    fn prompts_stand_behind_the_class_token_and_replace_those_of_the_layer_below() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            let batch = fixture::batch(backbone.config());
            let prompt = |shift: f64| {
                let values = Tensor::arange(0f32, 32.0, &Device::Cpu).unwrap();
                values.affine(0.1, shift).unwrap().reshape((2, 16)).unwrap()
            };
            let run = |prompts: Vec<Option<Tensor>>| {
                encode(&backbone, &batch, &Prompts(prompts), &mut Pass::evaluation()).unwrap()
            };
            let plain = run(vec![None, None]);
            let seq = plain.dim(1).unwrap();
            let shallow = run(vec![Some(prompt(-1.0)), None]);
            assert_eq!(shallow.dims3().unwrap(), (3, seq + 2, 16));
            let deep = run(vec![Some(prompt(-1.0)), Some(prompt(1.0))]);
            assert_eq!(deep.dims3().unwrap(), (3, seq + 2, 16));
            let changed = |a: &Tensor, b: &Tensor| {
                let (a, b) = (a.i((.., 0)).unwrap(), b.i((.., 0)).unwrap());
                (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap()
            };
            assert!(changed(&plain, &shallow) > 1e-3 && changed(&shallow, &deep) > 1e-3, "{kind:?}");
            // The last layer computes one row, of the same class token.
            let first = encode_first(
                &backbone,
                &batch,
                &Prompts(vec![Some(prompt(-1.0)), Some(prompt(1.0))]),
                &mut Pass::evaluation(),
            );
            let worst = (first.unwrap() - deep.i((.., 0)).unwrap()).unwrap().abs().unwrap().max_all().unwrap();
            assert!(worst.to_scalar::<f32>().unwrap() < 1e-5);
            // What a layer gives at the places of its prompts reaches nobody when the next layer has its own: the first
            // prompt acts through the tokens that attended to it alone, so a prompt only in the second layer differs.
            assert!(changed(&deep, &run(vec![None, Some(prompt(1.0))])) > 1e-3);
        }
    }
}
