//! Every trained tensor's gradient, for every method in every family of encoders.

use candle_core::{DType, Device, Tensor};
use candle_nn::loss::cross_entropy;

use super::{
    AdapterConfig, AdapterVariant, Bias, BitfitConfig, CombinedConfig, FullConfig, GradientState, HeadConfig,
    Ia3Config, LocalForm, LoraConfig, NonLinearity, PrefixConfig, PromptConfig, TrainableVars, TrainedBiases, Travels,
    TuningConfig, check_gradients, initial_params, stirred,
};
use crate::model::{Backbone, Batch, EncoderKind, ModelDtype, Pass, classify, fixture};
use crate::params::Params;
use crate::seed::Seeds;

const N_LABELS: usize = 3;
/// Elements looked at in each tensor.
const N_CHECKED: usize = 6;

fn logits(backbone: &Backbone, batch: &Batch, tuning: &TuningConfig, values: TrainableVars, pass: &mut Pass) -> Tensor {
    let hooks = tuning.implementation().hooks(values);
    classify(backbone, batch, hooks.as_ref(), pass).unwrap()
}

/// The loss with dropout on, whose masks are the same at each call.
fn loss(backbone: &Backbone, batch: &Batch, tuning: &TuningConfig, values: TrainableVars) -> Tensor {
    let labels = Tensor::new(&[2u32, 0, 1], backbone.device()).unwrap();
    cross_entropy(&logits(backbone, batch, tuning, values, &mut Pass::training(99, None)), &labels).unwrap()
}

fn initial(tuning: &TuningConfig, backbone: &Backbone) -> Params {
    initial_params(tuning, backbone, None, N_LABELS, &Seeds::new(5)).unwrap()
}

fn check(tuning: TuningConfig) {
    EncoderKind::ALL.into_iter().for_each(|kind| check_in(&fixture::backbone(kind), &tuning));
}

fn check_in(backbone: &Backbone, tuning: &TuningConfig) {
    let kind = backbone.config().kind;
    let batch = fixture::batch_on(backbone.config(), backbone.device());
    let form = LocalForm::new(tuning, backbone.config(), N_LABELS, &Seeds::new(5)).unwrap();
    let received = initial(tuning, backbone);
    let task = form.begin(&received, backbone.device()).unwrap();
    // Full tuning starts at values that are stirred already.
    let is_full = matches!(tuning, TuningConfig::Full(_));
    let params = if is_full { task.start().clone() } else { stirred(task.start(), 0.3) };
    let loss = |backbone: &Backbone, values| Ok(loss(backbone, &batch, tuning, task.travelling(&values)?));
    for check in check_gradients(backbone, &params, N_CHECKED, &loss).unwrap() {
        assert_eq!(check.state, GradientState::Sound, "{kind:?}: {check:?}");
        // Adding a vector to all keys adds the same number to all scores of a query, which softmax ignores.
        let is_key_bias = ["key.bias", "k_lin.bias"].iter().any(|end| check.name.ends_with(end));
        assert!(check.largest > 1e-4 || is_key_bias, "{kind:?}: {check:?}");
    }
}

/// Checks that a method's initial values leave the encoder as it is, to rounding.
pub(super) fn same_scores_as_the_head_alone(tuning: &TuningConfig) {
    for kind in EncoderKind::ALL {
        let backbone = fixture::backbone(kind);
        let batch = fixture::batch(backbone.config());
        let scores = |tuning: &TuningConfig| -> Vec<f32> {
            let values = TrainableVars::constants(&initial(tuning, &backbone), &Device::Cpu).unwrap();
            let logits = logits(&backbone, &batch, tuning, values, &mut Pass::evaluation());
            logits.flatten_all().unwrap().to_vec1().unwrap()
        };
        // The head starts from the same values under every method.
        for (ours, head) in scores(tuning).into_iter().zip(scores(&TuningConfig::Head(HeadConfig {}))) {
            assert!((ours - head).abs() < 1e-5, "{kind:?}: {ours} {head}");
        }
    }
}

fn all_maps() -> Vec<String> {
    ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"].map(String::from).to_vec()
}

fn lora() -> LoraConfig {
    LoraConfig { r: 2, lora_alpha: 3.0, lora_dropout: 0.2, target_modules: all_maps(), ..LoraConfig::default() }
}

#[test]
fn lora_everywhere() {
    check(TuningConfig::Lora(lora()));
}

#[test]
fn lora_with_biases() {
    check(TuningConfig::Lora(LoraConfig { bias: Bias::All, use_rslora: true, ..lora() }));
    let target_modules = vec!["key".into(), "intermediate.dense".into()];
    check(TuningConfig::Lora(LoraConfig { bias: Bias::LoraOnly, target_modules, ..lora() }));
}

#[test]
fn lora_with_whole_modules_beside_it() {
    let with = |modules: &[&str]| {
        let modules_to_save = modules.iter().chain(&["classifier"]).map(|name| (*name).to_string()).collect();
        TuningConfig::Lora(LoraConfig { modules_to_save, target_modules: vec!["query".into()], ..lora() })
    };
    for (kind, modules) in [
        (EncoderKind::Bert, &["LayerNorm", "pooler", "intermediate.dense"][..]),
        (EncoderKind::Roberta, &["LayerNorm", "output.dense"]),
        (EncoderKind::DistilBert, &["sa_layer_norm", "output_layer_norm", "lin1"]),
        (EncoderKind::Vit, &["layernorm_before", "layernorm_after", "layernorm", "intermediate.dense"]),
    ] {
        check_in(&fixture::backbone(kind), &with(modules));
    }
}

#[test]
fn houlsby_adapters() {
    for non_linearity in [NonLinearity::Gelu, NonLinearity::Tanh] {
        let adapter = AdapterConfig { bottleneck_dim: Some(3), non_linearity, ..AdapterConfig::default() };
        check(TuningConfig::Adapter(adapter));
    }
}

#[test]
fn pfeiffer_adapters_with_layer_norms() {
    let (variant, reduction_factor) = (AdapterVariant::Pfeiffer, Some(4));
    for non_linearity in [NonLinearity::Relu, NonLinearity::Swish] {
        let adapter = AdapterConfig { variant, reduction_factor, non_linearity, ..AdapterConfig::default() };
        check(TuningConfig::Adapter(AdapterConfig { train_layer_norms: true, ..adapter }));
    }
}

#[test]
fn bitfit() {
    for biases in [TrainedBiases::All, TrainedBiases::QueryAndIntermediate] {
        check(TuningConfig::Bitfit(BitfitConfig { biases }));
    }
}

#[test]
fn ia3() {
    check(TuningConfig::Ia3(Ia3Config::default()));
    let feedforward_modules = vec!["query".into(), "intermediate.dense".into()];
    check(TuningConfig::Ia3(Ia3Config { target_modules: all_maps(), feedforward_modules }));
}

#[test]
fn prefix() {
    let plain = PrefixConfig { num_virtual_tokens: 3, ..PrefixConfig::default() };
    check(TuningConfig::Prefix(plain.clone()));
    for travels in [Travels::Mlp, Travels::Kv] {
        let (encoder_hidden_size, embedding_size) = (Some(5), Some(7));
        let sizes = PrefixConfig { encoder_hidden_size, embedding_size, ..plain.clone() };
        check(TuningConfig::Prefix(PrefixConfig { prefix_projection: true, travels: Some(travels), ..sizes }));
    }
}

#[test]
fn prompt() {
    check(TuningConfig::Prompt(PromptConfig { num_virtual_tokens: 3, deep: false, ..PromptConfig::default() }));
}

#[test]
fn deep_prompts_of_images() {
    check_in(
        &fixture::backbone(EncoderKind::Vit),
        &TuningConfig::Prompt(PromptConfig { num_virtual_tokens: 3, deep: true, ..PromptConfig::default() }),
    );
}

fn all_together() -> CombinedConfig {
    let methods = vec![
        TuningConfig::Lora(LoraConfig { lora_dropout: 0.1, r: 2, ..LoraConfig::default() }),
        TuningConfig::Ia3(Ia3Config::default()),
        TuningConfig::Adapter(AdapterConfig { bottleneck_dim: Some(2), ..AdapterConfig::default() }),
        TuningConfig::Bitfit(BitfitConfig::default()),
        TuningConfig::Prompt(PromptConfig { num_virtual_tokens: 2, deep: false, ..PromptConfig::default() }),
        TuningConfig::Prefix(PrefixConfig {
            num_virtual_tokens: 2,
            prefix_projection: true,
            travels: Some(Travels::Kv),
            ..PrefixConfig::default()
        }),
    ];
    CombinedConfig { methods }
}

#[test]
fn several_together() {
    check(TuningConfig::Combined(all_together()));
}

#[test]
fn head() {
    check(TuningConfig::Head(HeadConfig {}));
}

#[test]
fn full() {
    check(TuningConfig::Full(FullConfig {}));
}

/// Every method and family on a GPU, against finite differences computed there in `f64`.
#[cfg(feature = "cuda")]
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn on_a_gpu() {
    let gpu = crate::model::HostDevice::Cuda.open().unwrap();
    let adapter = AdapterConfig { bottleneck_dim: Some(3), ..AdapterConfig::default() };
    let all = [
        TuningConfig::Lora(LoraConfig { bias: Bias::All, ..lora() }),
        TuningConfig::Adapter(AdapterConfig { train_layer_norms: true, ..adapter }),
        TuningConfig::Bitfit(BitfitConfig { biases: TrainedBiases::All }),
        TuningConfig::Ia3(Ia3Config::default()),
        TuningConfig::Prefix(PrefixConfig { num_virtual_tokens: 3, ..PrefixConfig::default() }),
        TuningConfig::Prefix(PrefixConfig {
            num_virtual_tokens: 3,
            prefix_projection: true,
            travels: Some(Travels::Mlp),
            ..PrefixConfig::default()
        }),
        TuningConfig::Prompt(PromptConfig { num_virtual_tokens: 3, deep: false, ..PromptConfig::default() }),
        TuningConfig::Head(HeadConfig {}),
        TuningConfig::Full(FullConfig {}),
        TuningConfig::Combined(all_together()),
    ];
    for kind in EncoderKind::ALL {
        let backbone = fixture::backbone(kind).to_device(&gpu).unwrap();
        all.iter().for_each(|tuning| check_in(&backbone, tuning));
    }
    let deep = PromptConfig { num_virtual_tokens: 3, deep: true, ..PromptConfig::default() };
    check_in(&fixture::backbone(EncoderKind::Vit).to_device(&gpu).unwrap(), &TuningConfig::Prompt(deep));
}

#[test]
fn backbones_kept_in_16_bits() {
    let adapter = AdapterConfig { bottleneck_dim: Some(3), ..AdapterConfig::default() };
    let methods = vec![
        TuningConfig::Lora(LoraConfig { bias: Bias::All, ..lora() }),
        TuningConfig::Ia3(Ia3Config::default()),
        TuningConfig::Adapter(adapter),
        TuningConfig::Prompt(PromptConfig { num_virtual_tokens: 2, deep: false, ..PromptConfig::default() }),
        TuningConfig::Prefix(PrefixConfig { num_virtual_tokens: 2, ..PrefixConfig::default() }),
    ];
    for kind in EncoderKind::ALL {
        let backbone = fixture::backbone(kind).kept_in(ModelDtype::Bf16).unwrap();
        check_in(&backbone, &TuningConfig::Combined(CombinedConfig { methods: methods.clone() }));
        check_in(&backbone, &TuningConfig::Full(FullConfig {}));
    }
}

#[test]
fn a_tensor_that_is_cut_inside_the_encoder_is_found() {
    let backbone = fixture::backbone(EncoderKind::Bert);
    let batch = fixture::batch(backbone.config());
    let tuning = TuningConfig::Lora(lora());
    let params = stirred(&initial(&tuning, &backbone), 0.3);
    let cut = "encoder.layer.1.attention.self.key.lora_A.weight";
    let with_a_cut = |backbone: &Backbone, values: TrainableVars| {
        let tensors = params.layout().tensors().iter().zip(values.tensors());
        let tensors = tensors.map(|(spec, t)| if spec.name == cut { t.detach() } else { t.clone() }).collect();
        let values = TrainableVars::of(params.layout().clone(), tensors);
        Ok(loss(backbone, &batch, &tuning, values))
    };
    for check in check_gradients(&backbone, &params, 1, &with_a_cut).unwrap() {
        let expected = if check.name == cut { GradientState::Cut } else { GradientState::Sound };
        assert_eq!(check.state, expected, "{check:?}");
    }
}

#[test]
fn what_is_frozen_gets_no_gradient() {
    let backbone = fixture::backbone(EncoderKind::Roberta);
    let tuning = TuningConfig::Lora(lora());
    let params = initial(&tuning, &backbone);
    let variables = TrainableVars::variables(&params, &Device::Cpu).unwrap();
    let batch = fixture::batch(backbone.config());
    let gradients = loss(&backbone, &batch, &tuning, variables).backward().unwrap();
    for (name, tensor) in backbone.tensors() {
        assert!(gradients.get(tensor).is_none(), "`{name}` is frozen");
        assert_eq!(tensor.dtype(), DType::F32);
    }
    let constants = TrainableVars::constants(&params, &Device::Cpu).unwrap();
    assert!(!loss(&backbone, &batch, &tuning, constants).track_op(), "an evaluation must not build a graph");
}
