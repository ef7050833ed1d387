//! Numbers, operations and memory, each counted by hand.

use super::*;
use crate::model::{EncoderKind, HiddenAct};
use crate::petuning::{FullConfig, HeadConfig, LoraConfig};

/// h = 8, i = 16, 2 layers, 2 heads.
fn shape(kind: EncoderKind) -> EncoderConfig {
    EncoderConfig {
        kind,
        hidden_size: 8,
        layers: 2,
        heads: 2,
        intermediate: 16,
        vocab_size: 50,
        max_positions: 32,
        type_vocab_size: 1,
        layer_norm_eps: 1e-5,
        pad_token_id: 1,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        classifier_dropout: 0.1,
        hidden_act: HiddenAct::Gelu,
        initializer_range: 0.02,
        qkv_bias: true,
        sinusoidal_positions: false,
        vision: None,
    }
}

fn flops(kind: EncoderKind, tuning: TuningConfig) -> f64 {
    // 3 labels, 10 tokens.
    training_flops(&shape(kind), &tuning, 3, 10).unwrap().per_example.total().0
}

// Forward of both layers: per token 2 (4 h^2 + 2 h i) = 2 (256 + 256) = 1024 a layer, attention 4 s^2 h = 3200.
const FORWARD: f64 = 2.0 * (10.0 * 1024.0 + 3200.0);

#[test]
fn a_linear_probe_pays_the_forward_pass_and_its_head() {
    // RoBERTa's head: dense 2 x 64 forward and weight; out_proj 2 x 24 forward, weight and input.
    let head = 2.0 * 128.0 + 3.0 * 48.0;
    assert_eq!(flops(EncoderKind::Roberta, TuningConfig::Head(HeadConfig {})), FORWARD + head);
    // BERT's: frozen pooler 2 x 64 forward; classifier 2 x 24 forward and weight.
    let head = 128.0 + 2.0 * 48.0;
    assert_eq!(flops(EncoderKind::Bert, TuningConfig::Head(HeadConfig {})), FORWARD + head);
}

#[test]
fn full_tuning_pays_three_forward_passes() {
    // All maps have all three parts, attention's backward is twice its forward, and so is the head's.
    let head = 128.0 + 48.0;
    let three_times = 3.0 * (FORWARD + head);
    assert_eq!(flops(EncoderKind::Roberta, TuningConfig::Full(FullConfig {})), three_times);
    assert_eq!(flops(EncoderKind::Bert, TuningConfig::Full(FullConfig {})), three_times);
}

#[test]
fn lora_pays_no_gradients_of_frozen_weights_and_nothing_below_its_lowest_layer() {
    let lora = LoraConfig { r: 2, ..LoraConfig::default() };
    // Backward to inputs: layer 1 all of its 1024 per token; layer 0 without queries, keys and values (2 x 3 h^2 =
    // 384), below which nothing is trained. Attention of both layers 2 x 3200.
    let backward = 10.0 * (1024.0 + 1024.0 - 384.0) + 2.0 * 2.0 * 3200.0;
    // A: 2 x 8 x 2 = 32, B: 32 per token and site. Forward and weights 2 x 64; back through B 32; through A 32, but
    // not in layer 0. Two sites a layer.
    let updates = 10.0 * (2.0 * (128.0 + 64.0) + 2.0 * (128.0 + 32.0));
    // The head's dense now passes its gradient on as well.
    let head = 3.0 * (128.0 + 48.0);
    let expected = FORWARD + backward + updates + head;
    assert_eq!(flops(EncoderKind::Roberta, TuningConfig::Lora(lora)), expected);
}

#[test]
fn lora_in_the_last_map_of_the_last_layer_leaves_the_encoder_below_alone() {
    let target_modules = vec!["layer.1.output.dense".to_string()];
    let lora = LoraConfig { r: 2, target_modules, ..LoraConfig::default() };
    // A: 16 x 2, B: 2 x 8: forward and weights of both 2 (2 x 64 + 2 x 16...) = 2 x (64 + 32); back through B only 32.
    let updates = 10.0 * (2.0 * (64.0 + 32.0) + 32.0);
    let head = 3.0 * (128.0 + 48.0);
    assert_eq!(flops(EncoderKind::Roberta, TuningConfig::Lora(lora)), FORWARD + updates + head);
}

#[test]
fn a_vector_on_the_input_of_a_map_has_its_gradient_through_that_map() {
    let ia3 = |feedforward: &str| {
        let text = format!(
            r#"{{ "ia3": {{ "target_modules": ["layer.1.output.dense"], "feedforward_modules": [{feedforward}] }} }}"#
        );
        flops(EncoderKind::Roberta, serde_json::from_str(&text).unwrap())
    };
    // Its last map takes 16 and gives 8: 2 x 16 x 8 for each of 10 tokens. On the output nothing below is needed.
    let head = 3.0 * (128.0 + 48.0);
    assert_eq!(ia3(""), FORWARD + head);
    assert_eq!(ia3(r#""layer.1.output.dense""#), FORWARD + 10.0 * 256.0 + head);
}

#[test]
fn a_prompt_makes_every_example_longer() {
    let prompt = |n: usize| {
        let text = format!(r#"{{ "prompt": {{ "num_virtual_tokens": {n} }} }}"#);
        serde_json::from_str::<TuningConfig>(&text).unwrap()
    };
    // 3 tokens of prompt and 10 of text cost what 1 and 12 do: all pass through everything.
    let of = |n: usize, length: usize| {
        training_flops(&shape(EncoderKind::Roberta), &prompt(n), 3, length).unwrap().per_example.total().0
    };
    assert_eq!(of(3, 10), of(1, 12));
    // Forwards: 13 tokens; backwards the inputs of all maps, nothing for weights but the head's.
    let forward = 2.0 * (13.0 * 1024.0 + 4.0 * 8.0 * 13.0 * 13.0);
    let backward = 2.0 * (13.0 * 1024.0 + 8.0 * 8.0 * 13.0 * 13.0);
    assert_eq!(of(3, 10), forward + backward + 3.0 * (128.0 + 48.0));
}

#[test]
fn a_prefix_is_attended_to_by_every_token_and_needs_nothing_below_the_first_attention() {
    let prefix: TuningConfig = serde_json::from_str(r#"{ "prefix": { "num_virtual_tokens": 5 } }"#).unwrap();
    // 10 queries on 15 keys in both layers, 2 x 4 h s k; backwards twice that.
    let attention = 2.0 * 4.0 * 8.0 * 10.0 * 15.0;
    let forward = 2.0 * 10.0 * 1024.0 + attention;
    // All maps pass gradients on but the first layer's queries, keys and values.
    let backward = 10.0 * (1024.0 + 1024.0 - 384.0) + 2.0 * attention;
    assert_eq!(flops(EncoderKind::Roberta, prefix.clone()), forward + backward + 3.0 * (128.0 + 48.0));
    // A network of 6 inside makes 5 x 2 layers x 2 x 8 numbers from embeddings of 8, once for a batch, with gradients of
    // its maps' inputs and weights: 3 x 2 x 5 (8 x 6 + 6 x 32).
    let network: TuningConfig = serde_json::from_str(
        r#"{ "prefix": { "num_virtual_tokens": 5, "prefix_projection": true, "encoder_hidden_size": 6, "travels": "kv" } }"#,
    )
    .unwrap();
    let of = |tuning| training_flops(&shape(EncoderKind::Roberta), tuning, 3, 10).unwrap();
    assert_eq!(of(&network).per_example, of(&prefix).per_example);
    assert_eq!(of(&network).per_batch.total().0, 3.0 * 2.0 * 5.0 * (8.0 * 6.0 + 6.0 * 32.0));
    assert_eq!(of(&prefix).per_batch.total().0, 0.0);
}

#[test]
fn roberta_base_has_the_known_numbers() {
    let json = serde_json::json!({
        "model_type": "roberta", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1,
    });
    let config = EncoderConfig::from_json(json.to_string().as_bytes(), "test").unwrap();
    let of = |tuning: &str| {
        let tuning = serde_json::from_str(tuning).unwrap();
        method_cost(&config, &tuning, 2, (&[128], 1000), &TrainConfig::default(), ModelDtype::F32).unwrap()
    };
    let lora = of(r#"{ "lora": { "r": 8, "target_modules": ["query", "value"] } }"#);
    // 12 layers x 2 maps x (8 x 768 + 768 x 8) = 294,912, and the head: 768^2 + 768 + 2 x 768 + 2 = 592,130.
    assert_eq!((lora.n_trainable, lora.n_head, lora.travelling.n_elements()), (887_042, 592_130, 887_042));
    let full = of(r#""full""#);
    assert_eq!(full.n_trainable, 124_647_170);
    assert_eq!(format!("{:.1}", full.n_trainable as f64 / lora.n_trainable as f64), "140.5");
    // 12 layers x 2 places x (768 x 16 + 16 + 16 x 768 + 768) = 608,640 and the head.
    let adapter = of(r#"{ "adapter": { "variant": "houlsby", "bottleneck_dim": 16 } }"#);
    assert_eq!(adapter.n_trainable, 1_200_770);
}

#[test]
fn memory_grows_with_what_is_kept() {
    let config = shape(EncoderKind::Roberta);
    let train = |optim| TrainConfig { per_device_train_batch_size: 4, optim, ..TrainConfig::default() };
    let of = |tuning, optim, dtype| training_memory(&config, &tuning, 3, 10, &train(optim), dtype).unwrap();
    let memory_in = |tuning, dtype| of(tuning, Optim::Adamw, dtype).total(1000).get();
    let memory = |tuning| memory_in(tuning, ModelDtype::F32);
    let head = memory(TuningConfig::Head(HeadConfig {}));
    let lora = memory(TuningConfig::Lora(LoraConfig { r: 2, ..LoraConfig::default() }));
    let full = memory(TuningConfig::Full(FullConfig {}));
    assert!(head < lora && lora < full, "{head} {lora} {full}");
    // Head: weights 50 x 8 + 32 x 8 + 8 + 16 = 680 of embeddings and 2 x (4 x 72 + 144 + 136 + 32) = 1200 of layers;
    // head 72 + 27 = 99, four times; one layer of 4 x 10 tokens x (72 + 32 + 20).
    assert_eq!(head, 4 * (680 + 1200 + 4 * 99 + 40 * 124));
    // SGD has no moments: twice in place of four times. The rest is frozen, and shared by those who train.
    let sgd = of(TuningConfig::Head(HeadConfig {}), Optim::Sgd, ModelDtype::F32);
    assert_eq!((sgd.frozen.get(), sgd.own(4).get()), (4 * (680 + 1200), 4 * (2 * 99 + 40 * 124)));
    // Of these the matrices in half: (50 + 32) x 8 = 656 of embeddings and 2 x 512 = 1024 of layers. The table of one
    // token type is a single vector, which is kept as it is. Full tuning freezes none.
    let half = memory_in(TuningConfig::Head(HeadConfig {}), ModelDtype::Bf16);
    assert_eq!(head - half, 2 * (656 + 1024));
    assert_eq!(memory_in(TuningConfig::Full(FullConfig {}), ModelDtype::Bf16), full);
}

#[test]
fn memory_is_that_of_the_batches_that_a_shard_fills() {
    let config = shape(EncoderKind::Roberta);
    let of = |per_device_train_batch_size| {
        let train = TrainConfig { per_device_train_batch_size, ..TrainConfig::default() };
        training_memory(&config, &TuningConfig::Head(HeadConfig {}), 3, 10, &train, ModelDtype::F32).unwrap()
    };
    let huge = of(1 << 24);
    // As above, with 3 x 10 tokens in one layer of (72 + 32 + 20).
    assert_eq!(huge.own(3).get(), 4 * (4 * 99 + 30 * 124));
    assert_eq!(huge.total(3).get(), 4 * (680 + 1200) + huge.own(3).get());
    assert_eq!([of(4).own(3), of(4).own(4), of(4).own(99)], [3, 4, 4].map(|n| huge.own(n)));
    let cost = |largest_shard| {
        let (tuning, train) = (TuningConfig::Head(HeadConfig {}), TrainConfig::default());
        method_cost(&config, &tuning, 3, (&[10], largest_shard), &train, ModelDtype::F32).unwrap()
    };
    assert_eq!(cost(3).memory, huge.total(3));
    assert_eq!(cost(1000).memory, huge.total(32), "the default batch");
}
