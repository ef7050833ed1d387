//! Whole jobs: against PyTorch, repeated on other threads, called off, and with bad input.

use std::sync::Arc;

use super::{Cancel, Learner, Split, TrainConfig, TrainJob, TrainingError};
use crate::data::{EncodedDataset, ImageProcessor, TextDataset, TextExample, encode, load_images};
use crate::model::{Backbone, EncoderConfig, EncoderKind, ModelDtype, Projection, fixture};
use crate::params::Params;
use crate::petuning::{
    CombinedConfig, FullConfig, HeadConfig, InitialHead, LoraConfig, PrefixConfig, PromptConfig, Travels, TuningConfig,
    import_adapter,
};
use crate::seed::Seeds;

/// A data set with these tokens and labels, the same in all splits.
fn data(rows: &[(Vec<u32>, u32)], n_labels: usize) -> Arc<EncodedDataset> {
    let tokenizer = tokenizers::Tokenizer::from_bytes(fixture::tokenizer_json(60)).unwrap();
    let example = |(ids, label): &(Vec<u32>, u32)| {
        let text = ids.iter().map(|id| format!("t{id}")).collect::<Vec<_>>().join(" ");
        TextExample { text, text_pair: None, label: *label }
    };
    let rows: Vec<TextExample> = rows.iter().map(example).collect();
    let dataset = TextDataset {
        name: "test".into(),
        labels: (0..n_labels).map(|label| format!("label {label}")).collect(),
        train: rows.clone(),
        validation: rows.clone(),
        test: None,
        origins: Default::default(),
        hash: String::new(),
        notes: Vec::new(),
    };
    Arc::new(encode(&dataset, &tokenizer, 64).unwrap())
}

/// Twenty rows whose class is the token behind the first.
fn separable() -> Arc<EncodedDataset> {
    let row = |i: u32| (vec![2, 10 + i % 2, 20 + i % 7, 30 + i % 3, 3][..3 + (i as usize) % 3].to_vec(), i % 2);
    data(&(0..20).map(row).collect::<Vec<_>>(), 2)
}

fn learner(tuning: TuningConfig, config: TrainConfig) -> Learner {
    let backbone = Arc::new(fixture::backbone(EncoderKind::Roberta));
    Learner::new(backbone, None, tuning, separable(), config, Seeds::new(42)).unwrap()
}

fn lora() -> TuningConfig {
    TuningConfig::Lora(LoraConfig { r: 2, lora_dropout: 0.1, ..LoraConfig::default() })
}

/// Three virtual tokens, whose keys and values a network makes.
fn prefix(travels: Travels) -> TuningConfig {
    let (prefix_projection, travels) = (true, Some(travels));
    TuningConfig::Prefix(PrefixConfig { num_virtual_tokens: 3, prefix_projection, travels, ..PrefixConfig::default() })
}

fn job(learner: &Learner) -> TrainJob {
    TrainJob { start: learner.initial().unwrap().clone(), client_id: 3, address: 7, shard: (0..20).collect() }
}

#[test]
fn three_steps_give_what_pytorch_gives() {
    for family in ["bert", "roberta"] {
        let dir = fixture::peers().join(family);
        let golden: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
        let examples: Vec<Vec<u32>> = serde_json::from_value(golden["examples"].clone()).unwrap();
        let labels: Vec<u32> = serde_json::from_value(golden["labels"].clone()).unwrap();
        let rows: Vec<(Vec<u32>, u32)> = examples.into_iter().zip(labels).collect();
        let backbone = Arc::new(Backbone::open(&dir).unwrap());
        let adapter = import_adapter(&dir.join("adapter"), backbone.config(), InitialHead::Keep).unwrap();
        let expected = &golden["training"];
        // A batch of all rows in each of three epochs: the order within it does not matter but for rounding.
        let config = TrainConfig {
            num_train_epochs: 3,
            per_device_train_batch_size: rows.len(),
            learning_rate: expected["learning_rate"].as_f64().unwrap(),
            weight_decay: expected["weight_decay"].as_f64().unwrap(),
            max_grad_norm: expected["max_grad_norm"].as_f64().unwrap(),
            ..TrainConfig::default()
        };
        let start = adapter.params;
        let learner = Learner::new(backbone, None, adapter.tuning, data(&rows, 3), config, Seeds::new(0)).unwrap();
        let shard = (0..rows.len() as u32).collect();
        let job = TrainJob { start: Arc::new(start), client_id: 0, address: 0, shard };
        let update = learner.train(&job, &Cancel::new()).unwrap();
        assert_eq!(update.steps, 3);
        let losses: Vec<f64> = serde_json::from_value(expected["losses"].clone()).unwrap();
        let mean = losses.iter().sum::<f64>() / 3.0;
        assert!((update.train_loss - mean).abs() < 1e-5, "{family}: {} {mean}", update.train_loss);
        let trained = expected["trained"].as_object().unwrap();
        assert_eq!(trained.len(), update.params.layout().tensors().len());
        for (name, values) in trained {
            let values: Vec<f32> = serde_json::from_value(values.clone()).unwrap();
            let ours = update.params.get(name.trim_start_matches(&format!("{family}."))).unwrap();
            for (i, (ours, theirs)) in ours.iter().zip(&values).enumerate() {
                // Adam divides by the root of the second moment, which magnifies rounding where gradients are small.
                assert!((ours - theirs).abs() < 5e-5, "{family}: `{name}`[{i}] {ours} {theirs}");
            }
        }
    }
}

#[test]
fn a_job_gives_the_same_bytes_on_any_thread() {
    let list = TuningConfig::Combined(CombinedConfig { methods: vec![lora(), prefix(Travels::Kv)] });
    for tuning in [lora(), TuningConfig::Head(HeadConfig {}), TuningConfig::Full(FullConfig {}), list] {
        let config = TrainConfig { per_device_train_batch_size: 4, num_train_epochs: 2, ..TrainConfig::default() };
        let learner = learner(tuning, config);
        let job = job(&learner);
        let run = || {
            let update = learner.train(&job, &Cancel::new()).unwrap();
            let evaluation = learner.evaluate(&update.params, Split::Validation).unwrap();
            (update, evaluation)
        };
        let here = run();
        assert_eq!(here.0.steps, 10);
        let there = std::thread::scope(|scope| {
            let threads = [scope.spawn(run), scope.spawn(run)];
            threads.map(|thread| thread.join().unwrap())
        });
        for other in there {
            assert!(other == here);
        }
        let another = TrainJob { address: 8, ..job.clone() };
        assert!(learner.train(&another, &Cancel::new()).unwrap().params != here.0.params);
    }
}

#[test]
fn training_learns_what_can_be_learnt() {
    for tuning in [lora(), TuningConfig::Full(FullConfig {})] {
        let config = TrainConfig {
            per_device_train_batch_size: 4,
            num_train_epochs: 12,
            learning_rate: 1e-2,
            ..TrainConfig::default()
        };
        let learner = learner(tuning, config);
        let before = learner.evaluate(learner.initial().unwrap(), Split::Train).unwrap();
        let update = learner.train(&job(&learner), &Cancel::new()).unwrap();
        let after = learner.evaluate(&update.params, Split::Train).unwrap();
        assert_eq!(after.n, 20);
        assert!(after.loss < 0.7 * before.loss && after.accuracy > 0.9, "{before:?} {after:?}");
        assert!(after.mcc > 0.8 && after.macro_f1 > 0.9);
    }
}

#[test]
fn what_tuning_replaces_is_given_up_with_the_values_that_stand_for_it() {
    let config = TrainConfig { per_device_train_batch_size: 4, ..TrainConfig::default() };
    let n_matrices = |learner: &Learner| learner.backbone().tensors().values().filter(|t| t.rank() > 1).count();
    for (tuning, is_lighter) in [(TuningConfig::Full(FullConfig {}), true), (lora(), false)] {
        let learner = learner(tuning, config.clone());
        let (job, before) = (job(&learner), n_matrices(&learner));
        let trained = learner.train(&job, &Cancel::new()).unwrap().params;
        let evaluated = learner.evaluate(&trained, Split::Train).unwrap();
        let (learner, initial) = learner.hand_over();
        assert_eq!(initial.as_ref(), Some(&job.start));
        assert_eq!(n_matrices(&learner), if is_lighter { 0 } else { before });
        assert_eq!(learner.train(&job, &Cancel::new()).unwrap().params, trained);
        assert_eq!(learner.evaluate(&trained, Split::Train).unwrap(), evaluated);
        assert!(learner.initial().is_none() && learner.hand_over().1.is_none());
    }
}

#[test]
fn an_encoder_kept_in_16_bits_is_tuned_as_one_of_the_rounded_weights() {
    for kind in [EncoderKind::Bert, EncoderKind::Roberta, EncoderKind::DistilBert] {
        let narrow = fixture::backbone(kind).kept_in(ModelDtype::Bf16).unwrap();
        let rounded = narrow.clone().kept_in(ModelDtype::F32).unwrap();
        let target_modules = [Projection::Query, Projection::Value].map(|map| map.name(kind).to_string()).to_vec();
        let tuning = TuningConfig::Lora(LoraConfig { r: 2, target_modules, ..LoraConfig::default() });
        let config = TrainConfig { per_device_train_batch_size: 4, learning_rate: 1e-3, ..TrainConfig::default() };
        let train = |backbone: Backbone| {
            let learner =
                Learner::new(Arc::new(backbone), None, tuning.clone(), separable(), config.clone(), Seeds::new(42))
                    .unwrap();
            let update = learner.train(&job(&learner), &Cancel::new()).unwrap();
            assert_ne!(&update.params, learner.initial().unwrap().as_ref());
            update.params
        };
        for (a, b) in train(narrow).values().iter().zip(train(rounded).values()) {
            assert!((a - b).abs() < 1e-5, "{kind:?}: {a} {b}");
        }
    }
}

#[test]
fn without_learning_nothing_changes_and_losses_agree() {
    // A rate that rounding swallows: all steps see the start values, so the mean training loss is the evaluation's.
    let config = TrainConfig {
        learning_rate: 1e-30,
        per_device_train_batch_size: 6,
        dropout: Some(0.0),
        ..TrainConfig::default()
    };
    let learner = learner(TuningConfig::Head(HeadConfig {}), config);
    let job = job(&learner);
    let update = learner.train(&job, &Cancel::new()).unwrap();
    // Biases start at 0, where no change is too small to be kept; all others must be the same to the bit.
    for (spec, values) in update.params.iter().filter(|(spec, _)| spec.name.ends_with("weight")) {
        assert_eq!(Some(values), job.start.get(&spec.name));
    }
    assert_eq!(update.steps, 4);
    let evaluation = learner.evaluate(learner.initial().unwrap(), Split::Train).unwrap();
    assert!((update.train_loss - evaluation.loss).abs() < 1e-6, "{} {}", update.train_loss, evaluation.loss);
}

#[test]
fn jobs_that_cannot_finish_say_so() {
    let learner = learner(lora(), TrainConfig::default());
    let good = job(&learner);
    let mut broken = Params::clone(learner.initial().unwrap());
    broken.values_mut()[0] = f32::NAN;
    let broken = TrainJob { start: Arc::new(broken), ..good.clone() };
    let message = learner.train(&broken, &Cancel::new()).unwrap_err().to_string();
    assert_eq!(message, "client 3 diverged at step 0; lower clients.train.learning_rate");
    // One step of 1e20 on each number: finite, but 64 such updates of 100,000 examples could not be added up.
    let config = TrainConfig {
        learning_rate: 1e20,
        num_train_epochs: 1,
        per_device_train_batch_size: 64,
        ..TrainConfig::default()
    };
    let far = self::learner(lora(), config);
    let error = far.train(&self::job(&far), &Cancel::new()).unwrap_err();
    assert!(matches!(error, TrainingError::Diverged { client_id: 3, step: 0, .. }), "{error}");
    let cancel = Cancel::new();
    cancel.clone().cancel();
    let error = learner.train(&good, &cancel).unwrap_err();
    assert!(matches!(error, TrainingError::Cancelled { client_id: 3, address: 7 }), "{error}");
    let empty = TrainJob { shard: Arc::new([]), ..good.clone() };
    let message = learner.train(&empty, &Cancel::new()).unwrap_err().to_string();
    assert_eq!(message, "client 3 has no examples to train on");
    let other = Params::zeros(crate::params::Layout::new(Vec::new()));
    let error = learner.train(&TrainJob { start: Arc::new(other), ..good }, &Cancel::new()).unwrap_err();
    assert!(matches!(error, TrainingError::WrongLayout { .. }), "{error}");
    let error = learner.evaluate(learner.initial().unwrap(), Split::Test).unwrap_err();
    assert_eq!(error.to_string(), "the test split has no examples");
}

#[test]
fn data_that_does_not_fit_the_model_is_refused() {
    let new = |ids: Vec<u32>| {
        let backbone = Arc::new(fixture::backbone(EncoderKind::Roberta));
        Learner::new(backbone, None, lora(), data(&[(ids, 0)], 2), TrainConfig::default(), Seeds::new(0))
            .unwrap_err()
            .to_string()
    };
    let message = new(vec![5; 19]);
    assert!(message.contains("19 tokens") && message.contains("dataset.max_seq_length to 18"), "{message}");
    let expected = "row 0 of the train split has token 45, but the model has 40 of them; use the tokenizer that belongs to the \
                    weights";
    assert_eq!(new(vec![2, 45]), expected);
}

#[test]
fn costs_are_counted_at_the_lengths_of_the_data() {
    let learner = learner(lora(), TrainConfig::default());
    let config = learner.backbone().config();
    let of_length = |n| super::training_flops(config, &lora(), 2, n).unwrap().per_example.total().0;
    // Rows have 3, 4 and 5 tokens in turn: 7, 7 and 6 of them.
    let all: Vec<u32> = (0..20).collect();
    let flops = learner.epoch_flops([&all[..], &[0, 1]]).unwrap();
    let expected = 7.0 * of_length(3) + 7.0 * of_length(4) + 6.0 * of_length(5);
    assert!((flops[0].0 / expected - 1.0).abs() < 1e-12);
    assert_eq!(flops[1].0, of_length(3) + of_length(4));
}

#[test]
fn a_batch_that_is_not_full_costs_what_is_computed_for_each_batch() {
    let config = TrainConfig { per_device_train_batch_size: 8, ..TrainConfig::default() };
    let learner = learner(prefix(Travels::Kv), config);
    let of_length = |n| super::training_flops(learner.backbone().config(), &prefix(Travels::Kv), 2, n).unwrap();
    let per_batch = of_length(3).per_batch.total().0;
    assert!(per_batch > 0.0);
    let of_row = |row: usize| of_length(3 + row % 3).per_example.total().0;
    // 2 rows are one step, 8 too, 20 are three.
    for (n_rows, n_steps) in [(2, 1.0), (8, 1.0), (20, 3.0)] {
        let shard: Vec<u32> = (0..n_rows as u32).collect();
        let expected = (0..n_rows).map(of_row).sum::<f64>() + n_steps * per_batch;
        let flops = learner.epoch_flops([&shard[..]]).unwrap()[0].0;
        assert!((flops / expected - 1.0).abs() < 1e-12, "{n_rows} rows: {flops}, not {expected}");
    }
}

#[test]
fn a_prefix_made_by_a_network_travels_as_keys_and_values_and_trains_alike() {
    let config = TrainConfig { per_device_train_batch_size: 4, learning_rate: 1e-2, ..TrainConfig::default() };
    let learners = [Travels::Kv, Travels::Mlp].map(|travels| learner(prefix(travels), config.clone()));
    let first = learners.each_ref().map(|learner| learner.train(&job(learner), &Cancel::new()).unwrap());
    // Both start from the same network, so the first round is the same but for rounding.
    assert!(
        (first[0].train_loss - first[1].train_loss).abs() < 1e-4,
        "{} {}",
        first[0].train_loss,
        first[1].train_loss
    );
    // Width 16 and two layers: 3 x 2 x 2 x 16 keys and values, beside the head of 16 x 16 + 16 + 16 x 2 + 2.
    assert_eq!(learners[0].layout().n_elements(), 3 * 2 * 2 * 16 + 306);
    let evaluations = [0, 1].map(|i| learners[i].evaluate(&first[i].params, Split::Validation).unwrap());
    assert!((evaluations[0].loss - evaluations[1].loss).abs() < 1e-4, "{evaluations:?}");
    // The second round depends on what travelled alone.
    let next = TrainJob { start: Arc::new(first[0].params.clone()), address: 8, ..job(&learners[0]) };
    let second = learners[0].train(&next, &Cancel::new()).unwrap();
    assert!(second.train_loss < first[0].train_loss, "{} {}", second.train_loss, first[0].train_loss);
    assert!(learner(prefix(Travels::Kv), config).train(&next, &Cancel::new()).unwrap() == second);
}

#[test]
fn a_prompt_and_a_text_must_fit_into_the_position_table_together() {
    let backbone = Arc::new(fixture::backbone(EncoderKind::Roberta));
    let refusal = |n: usize| {
        let prompt =
            TuningConfig::Prompt(PromptConfig { num_virtual_tokens: n, deep: false, ..PromptConfig::default() });
        let learner = Learner::new(backbone.clone(), None, prompt, separable(), TrainConfig::default(), Seeds::new(1));
        learner.map(|_| ()).map_err(|error| error.to_string())
    };
    // 18 positions for tokens, and texts of up to 5.
    assert_eq!(refusal(13), Ok(()));
    assert_eq!(
        refusal(14).unwrap_err(),
        "an example of the train split has 5 tokens and the tuning method puts 14 virtual tokens before it, but the model \
         takes at most 18 together; set dataset.max_seq_length to 4 or less, or lower `num_virtual_tokens`"
    );
    assert!(refusal(18).unwrap_err().contains("has 18 positions in all"));
}

#[test]
fn grouping_by_length_sees_every_row_once_an_epoch_and_pads_less() {
    let config = TrainConfig { per_device_train_batch_size: 2, num_train_epochs: 2, ..TrainConfig::default() };
    let grouped = TrainConfig { group_by_length: true, ..config.clone() };
    let (plain, grouped) = (learner(lora(), config), learner(lora(), grouped));
    let lengths = plain.lengths();
    let padded = |batches: &[Vec<u32>]| -> usize {
        let longest = |batch: &Vec<u32>| batch.iter().map(|&row| lengths[row as usize]).max().unwrap();
        batches.iter().map(|batch| batch.len() * longest(batch)).sum()
    };
    let batches = grouped.batches(&job(&grouped));
    for epoch in batches.chunks(10) {
        let mut rows: Vec<u32> = epoch.concat();
        rows.sort();
        assert_eq!(rows, (0..20).collect::<Vec<u32>>());
    }
    assert!(padded(&plain.batches(&job(&plain))) > padded(&batches));
    assert_ne!(batches[..10], batches[10..], "epochs differ");
    assert_eq!(batches, grouped.batches(&job(&grouped)));
}

#[test]
fn dropout_stands_for_that_of_the_encoder_and_of_the_head() {
    for kind in [EncoderKind::Bert, EncoderKind::Roberta, EncoderKind::DistilBert] {
        let plain = fixture::backbone(kind);
        let config = plain.config().clone();
        let config = EncoderConfig { hidden_dropout: 0.0, attention_dropout: 0.0, classifier_dropout: 0.5, ..config };
        let backbone = Arc::new(Backbone::from_tensors(config, plain.tensors()).unwrap());
        // How far the loss of a single step lies from that of the same values without any dropout.
        let distance = |dropout| {
            let config = TrainConfig { per_device_train_batch_size: 20, dropout, ..TrainConfig::default() };
            let head = TuningConfig::Head(HeadConfig {});
            let learner = Learner::new(backbone.clone(), None, head, separable(), config, Seeds::new(42)).unwrap();
            let start = fixture::stirred(learner.initial().unwrap());
            let exact = learner.evaluate(&start, Split::Train).unwrap().loss;
            let job = TrainJob { start: Arc::new(start), ..job(&learner) };
            (learner.train(&job, &Cancel::new()).unwrap().train_loss - exact).abs()
        };
        assert!(distance(Some(0.0)) < 1e-5, "{kind:?}: {}", distance(Some(0.0)));
        assert!(distance(None) > 1e-3, "{kind:?}: {}", distance(None));
    }
}

/// Twenty pictures, red or blue, and a label for each colour.
fn pictures(size: usize) -> Arc<EncodedDataset> {
    let dir = tempfile::tempdir().unwrap();
    let record = |i: u8| {
        let (red, blue) = if i.is_multiple_of(2) { (200, 40) } else { (40, 200) };
        [vec![i % 2], vec![red + i; 1024], vec![7 * i; 1024], vec![blue + i; 1024]].concat()
    };
    for (file, n) in [("train.bin", 20), ("validation.bin", 8)] {
        std::fs::write(dir.path().join(file), (0..n).flat_map(record).collect::<Vec<u8>>()).unwrap();
    }
    let config = serde_json::json!({
        "images": { "format": "cifar", "train": "train.bin", "validation": "validation.bin" },
    });
    let config = serde_json::from_value(config).unwrap();
    let processor = ImageProcessor::new(3, size);
    Arc::new(load_images(&config, None, dir.path(), &Seeds::new(1), &processor).unwrap().into_encoded())
}

#[test]
fn an_encoder_of_images_learns_from_pictures_and_threads_do_not_show() {
    let backbone = Arc::new(fixture::backbone(EncoderKind::Vit));
    let size = backbone.config().vision.unwrap().image_size;
    for tuning in [lora(), TuningConfig::Full(FullConfig {})] {
        let config = TrainConfig {
            per_device_train_batch_size: 4,
            num_train_epochs: 10,
            learning_rate: 1e-2,
            ..TrainConfig::default()
        };
        let learner = Learner::new(backbone.clone(), None, tuning, pictures(size), config, Seeds::new(42)).unwrap();
        let job = job(&learner);
        let run = || {
            let update = learner.train(&job, &Cancel::new()).unwrap();
            let evaluation = learner.evaluate(&update.params, Split::Validation).unwrap();
            (update, evaluation)
        };
        let here = run();
        assert_eq!((here.0.steps, here.1.n), (50, 8));
        assert!(here.1.accuracy > 0.9, "{:?}", here.1);
        let there = std::thread::scope(|scope| {
            let threads = [scope.spawn(run), scope.spawn(run)];
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(there.iter().all(|other| *other == here));
        // Every picture costs the same: its patches and the class token.
        let n_tokens = backbone.config().vision.unwrap().n_patches() + 1;
        assert_eq!(learner.lengths(), vec![n_tokens; 20]);
    }
}

#[test]
fn texts_and_pictures_go_with_their_own_kind_of_encoder() {
    let refusal = |kind, data| {
        let backbone = Arc::new(fixture::backbone(kind));
        Learner::new(backbone, None, lora(), data, TrainConfig::default(), Seeds::new(0)).unwrap_err().to_string()
    };
    let message = refusal(EncoderKind::Vit, separable());
    assert_eq!(message, "`model.name` is an encoder of images, but `dataset` holds texts; choose another of the two");
    let message = refusal(EncoderKind::Bert, pictures(6));
    assert_eq!(message, "`model.name` is an encoder of texts, but `dataset` holds images; choose another of the two");
    let message = refusal(EncoderKind::Vit, pictures(5));
    assert!(message.contains("train split have (channels, size) (3, 5), but the model takes (3, 6)"), "{message}");
}
