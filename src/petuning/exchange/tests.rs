//! Files of PEFT and of this program, read and written.

mod saved_modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::model::checkpoint::{Weights, write_safetensors};
use crate::model::{Backbone, EncoderKind, Storage, fixture};
use crate::params::Params;
use crate::petuning::golden::{Golden, cases};
use crate::petuning::{TuningConfig, initial_params};
use crate::seed::Seeds;

const LABELS: [&str; 3] = ["no", "yes", "maybe"];

/// Every method, and lists.
const METHODS: [&str; 15] = [
    "lora",
    "{ lora: { r: 3, use_rslora: true, bias: all, target_modules: [key, output.dense] } }",
    "{ lora: { bias: lora_only, target_modules: [query, layer.1.attention.self.key] } }",
    "{ adapter: { bottleneck_dim: 3 } }",
    "{ adapter: { variant: pfeiffer, reduction_factor: 4, non_linearity: relu, train_layer_norms: true } }",
    "{ prefix: { num_virtual_tokens: 3 } }",
    "{ prefix: { num_virtual_tokens: 3, prefix_projection: true, travels: kv } }",
    "{ prefix: { num_virtual_tokens: 3, prefix_projection: true, travels: mlp, encoder_hidden_size: 5 } }",
    "{ prompt: { num_virtual_tokens: 4 } }",
    "bitfit",
    "{ bitfit: { biases: query_and_intermediate } }",
    "ia3",
    "head",
    "full",
    "[lora, bitfit, { prompt: { num_virtual_tokens: 2 } }]",
];

fn labels() -> Vec<String> {
    LABELS.map(String::from).to_vec()
}

fn tuning(yaml: &str) -> TuningConfig {
    serde_saphyr::from_str(yaml).unwrap()
}

fn params(tuning: &TuningConfig, backbone: &Backbone) -> Params {
    fixture::stirred(&initial_params(tuning, backbone, None, LABELS.len(), &Seeds::new(3)).unwrap())
}

/// What `load_initial` gives a scenario that keeps the head.
fn load(
    dir: &Path,
    tuning: &TuningConfig,
    backbone: &Backbone,
    labels: &[String],
) -> Result<InitialValues, TuningError> {
    let drawn = initial_params(tuning, backbone, None, labels.len(), &Seeds::new(9))?;
    load_initial(dir, tuning, backbone, labels, InitialHead::Keep, &drawn)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn tensors(path: &Path) -> BTreeMap<String, candle_core::Tensor> {
    let bytes = std::fs::read(path).unwrap();
    let weights = Weights::safetensors(&bytes, "test").unwrap();
    weights.names().iter().map(|name| (name.clone(), weights.tensor(name, "test").unwrap())).collect()
}

fn values(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let tensors = tensors(path).into_iter();
    tensors.map(|(name, t)| (name, (t.dims().to_vec(), t.flatten_all().unwrap().to_vec1().unwrap()))).collect()
}

#[test]
fn what_is_exported_is_imported_the_same() {
    for kind in EncoderKind::ALL {
        let backbone = fixture::backbone(kind);
        for yaml in METHODS {
            let (tuning, out) = (tuning(yaml), tempfile::tempdir().unwrap());
            let params = params(&tuning, &backbone);
            let files = export_adapter(&tuning, &backbone, &labels(), &params, out.path()).unwrap();
            let first: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
            let initial = load(out.path(), &tuning, &backbone, &labels()).unwrap();
            assert_eq!(initial.params, params, "{kind:?} {yaml}");
            assert_eq!(initial.notes, Vec::<String>::new());
            export_adapter(&tuning, &backbone, &labels(), &params, out.path()).unwrap();
            let second: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
            assert!(first == second, "the same values give the same bytes");
        }
    }
}

#[test]
fn files_are_those_that_the_method_calls_for() {
    let backbone = fixture::backbone(EncoderKind::Roberta);
    let files = |yaml: &str| -> Vec<String> {
        let (tuning, out) = (tuning(yaml), tempfile::tempdir().unwrap());
        let files = export_adapter(&tuning, &backbone, &labels(), &params(&tuning, &backbone), out.path()).unwrap();
        files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_string()).collect()
    };
    let peft = ["adapter_model.safetensors", "adapter_config.json"];
    assert_eq!(files("ia3"), [&peft[..], &["straggler.json"]].concat());
    assert_eq!(files("bitfit"), ["delta.safetensors", "straggler.json"]);
    assert_eq!(files("[lora, bitfit]"), ["delta.safetensors", "straggler.json"]);
    // PEFT keeps what the network makes, the delta the network.
    assert_eq!(files(METHODS[7]), [&peft[..], &["delta.safetensors", "straggler.json"]].concat());
}

#[test]
fn an_export_is_what_peft_saves() {
    for dir in cases() {
        let Golden { case, backbone, tuning, start, .. } = Golden::read(&dir);
        // PEFT cannot load what it saves of `embeddings`.
        if case.ends_with("prefix-projection") || case.ends_with("lora-embeddings") {
            continue;
        }
        let out = tempfile::tempdir().unwrap();
        export_adapter(&tuning, &backbone, &labels(), &start, out.path()).unwrap();
        let mut theirs = values(&dir.join(ADAPTER_MODEL));
        // Of `bias: all` it saves the head's biases several times.
        theirs.retain(|name, _| !name.contains(".original_module.") && !name.contains(".modules_to_save."));
        assert_eq!(values(&out.path().join(ADAPTER_MODEL)), theirs, "{case}");
        let theirs = json(&dir.join(ADAPTER_CONFIG));
        for (key, ours) in json(&out.path().join(ADAPTER_CONFIG)).as_object().unwrap() {
            // PEFT keeps names in sets: their order is not its own, and the head is named twice beside `score`.
            let set = |value: &Value| -> BTreeSet<String> {
                value.as_array().into_iter().flatten().map(Value::to_string).collect()
            };
            match key.as_str() {
                "target_modules" | "feedforward_modules" => assert_eq!(set(ours), set(&theirs[key]), "{case}"),
                "modules_to_save" => assert!(set(ours).is_subset(&set(&theirs[key])), "{case}"),
                "base_model_name_or_path" => {}
                _ if ours.is_number() => assert_eq!(ours.as_f64(), theirs[key].as_f64(), "{case} {key}"),
                _ => assert_eq!(ours, &theirs[key], "{case} {key}"),
            }
        }
    }
}

#[test]
fn a_prefix_that_a_network_made_is_exported_as_peft_saves_it() {
    for dir in cases() {
        let Golden { case, backbone, tuning, start, .. } = Golden::read(&dir);
        if !case.ends_with("prefix-projection") {
            continue;
        }
        let out = tempfile::tempdir().unwrap();
        export_adapter(&tuning, &backbone, &labels(), &start, out.path()).unwrap();
        let (ours, theirs) = (values(&out.path().join(ADAPTER_MODEL)), values(&dir.join(ADAPTER_MODEL)));
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        for (name, (shape, ours)) in ours {
            assert_eq!(shape, theirs[&name].0);
            assert!(ours.iter().zip(&theirs[&name].1).all(|(a, b)| (a - b).abs() < 1e-5), "{case} {name}");
        }
        // The delta keeps the network, from which training goes on; what PEFT saved alone does not.
        assert_eq!(load(out.path(), &tuning, &backbone, &labels()).unwrap().params, start);
        let message = load(&dir, &tuning, &backbone, &labels()).unwrap_err().to_string();
        assert!(message.contains("`tuning.prefix.travels: kv`, here it is `mlp`"), "{message}");
    }
}

#[test]
fn an_adapter_of_peft_is_taken_with_a_note() {
    let dir = fixture::peers().join("methods/roberta-lora");
    let backbone = Backbone::open(&fixture::peers().join("roberta")).unwrap();
    let lora = tuning("{ lora: { r: 2, lora_alpha: 3, target_modules: [query, value, intermediate.dense] } }");
    let initial = load(&dir, &lora, &backbone, &labels()).unwrap();
    assert_eq!(initial.notes.len(), 1);
    assert!(initial.notes[0].contains("does not say on which backbone"), "{:?}", initial.notes);
    // The scenario may write the targets in another way, as long as they are the same maps.
    let written =
        "{ lora: { r: 2, lora_alpha: 3, target_modules: [attention.self.value, self.query, intermediate.dense] } }";
    assert_eq!(load(&dir, &tuning(written), &backbone, &labels()).unwrap(), initial);
}

/// What a run of `yaml` says to an export of LoRA that was changed.
fn refusal(yaml: &str, labels: &[&str], kind: EncoderKind, change: impl Fn(&Path)) -> String {
    let backbone = fixture::backbone(EncoderKind::Roberta);
    let (lora, out) = (tuning("lora"), tempfile::tempdir().unwrap());
    export_adapter(&lora, &backbone, &self::labels(), &params(&lora, &backbone), out.path()).unwrap();
    change(out.path());
    let labels: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
    let refused = load(out.path(), &tuning(yaml), &fixture::backbone(kind), &labels);
    refused.unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_refused_with_a_remedy() {
    let roberta = EncoderKind::Roberta;
    let nothing = |_: &Path| ();
    let message = refusal("lora", &LABELS, EncoderKind::Bert, nothing);
    assert!(message.contains("for a `roberta`, but the model is a `bert`"), "{message}");
    let message = refusal("bitfit", &LABELS, roberta, nothing);
    assert!(message.ends_with("trained with `tuning: lora`, here it is `bitfit`; write the same method"), "{message}");
    let message = refusal("{ lora: { lora_alpha: 16 } }", &LABELS, roberta, nothing);
    assert!(
        message.ends_with(
            "with `tuning.lora.lora_alpha: 8`, here it is `16`; set it to `8`, or start from another adapter"
        ),
        "{message}"
    );
    let message = refusal("{ lora: { target_modules: [query] } }", &LABELS, roberta, nothing);
    assert!(message.contains("target_modules: attention.self.query, attention.self.value"), "{message}");
    let message = refusal("lora", &["no", "yes"], roberta, nothing);
    assert!(message.contains("head has 3 labels, the data set 2; give an adapter of the same task"), "{message}");
    let other_backbone = |dir: &Path| {
        let path = dir.join(RECORD);
        let mut record = json(&path);
        record["model_hash"] = "0123456789abcdef".into();
        std::fs::write(path, record.to_string()).unwrap();
    };
    let message = refusal("lora", &LABELS, roberta, other_backbone);
    assert!(message.contains("another backbone (sha256 0123456789ab…, here "), "{message}");
    let in_16_bits = |dir: &Path| {
        let path = dir.join(RECORD);
        let mut record = json(&path);
        record["dtype"] = "bf16".into();
        std::fs::write(path, record.to_string()).unwrap();
    };
    let message = refusal("lora", &LABELS, roberta, in_16_bits);
    assert!(
        message.ends_with("here it is `f32`, so that the backbones cannot be compared; set it to `bf16`"),
        "{message}"
    );
}

#[test]
fn damaged_files_are_refused_by_name() {
    let lora_with = |change: &dyn Fn(&Path)| refusal("lora", &LABELS, EncoderKind::Roberta, change);
    let with_tensors = |change: &dyn Fn(&mut BTreeMap<String, candle_core::Tensor>)| {
        lora_with(&|dir: &Path| {
            let path = dir.join(ADAPTER_MODEL);
            let mut tensors = tensors(&path);
            change(&mut tensors);
            write_safetensors(&path, &tensors, Storage::F32).unwrap();
        })
    };
    let name = "base_model.model.roberta.encoder.layer.0.attention.self.query.lora_A.weight";
    let message = with_tensors(&|tensors| drop(tensors.remove(name)));
    assert!(message.contains("1 tensor that its settings ask for"), "{message}");
    assert!(message.contains("`encoder.layer.0.attention.self.query.lora_A.weight`"), "{message}");
    let message = with_tensors(&|tensors| {
        let short = tensors[name].narrow(0, 0, 3).unwrap();
        tensors.insert(name.into(), short);
    });
    assert!(message.contains("has shape [3, 16], expected [8, 16]"), "{message}");
    let message = with_tensors(&|tensors| drop(tensors.insert("other".into(), tensors[name].clone())));
    assert!(message.contains("1 tensor that its settings do not explain: `other`"), "{message}");
    let message = lora_with(&|dir: &Path| std::fs::write(dir.join(ADAPTER_MODEL), [1, 2, 3]).unwrap());
    assert!(message.contains("adapter_model.safetensors"), "{message}");
    let message = lora_with(&|dir: &Path| std::fs::remove_file(dir.join(ADAPTER_MODEL)).unwrap());
    assert!(message.contains("cannot read") && message.contains("adapter_model.safetensors"), "{message}");
    let message = lora_with(&|dir: &Path| {
        std::fs::remove_file(dir.join(RECORD)).unwrap();
        std::fs::remove_file(dir.join(ADAPTER_CONFIG)).unwrap();
    });
    assert!(message.contains("neither `straggler.json` nor `adapter_config.json`"), "{message}");
    let missing = load(Path::new("nowhere"), &tuning("lora"), &fixture::backbone(EncoderKind::Roberta), &labels());
    assert!(missing.unwrap_err().to_string().contains("is not a directory"));
}

#[test]
fn adapters_that_peft_pickled_are_read_like_the_others() {
    let source = fixture::peers().join("methods/roberta-lora");
    let config = Backbone::open(&fixture::peers().join("roberta")).unwrap().config().clone();
    let dir = tempfile::tempdir().unwrap();
    for name in [ADAPTER_CONFIG, ADAPTER_PICKLE] {
        std::fs::copy(source.join(name), dir.path().join(name)).unwrap();
    }
    assert_eq!(
        import_adapter(dir.path(), &config, InitialHead::Keep).unwrap(),
        import_adapter(&source, &config, InitialHead::Keep).unwrap()
    );
}

#[test]
fn adapters_of_peft_that_cannot_be_read_say_why() {
    let source = fixture::peers().join("methods/roberta-lora");
    let config = Backbone::open(&fixture::peers().join("roberta")).unwrap().config().clone();
    let dir = tempfile::tempdir().unwrap();
    let refusal = |change: &dyn Fn(&mut Value)| {
        let mut adapter = json(&source.join(ADAPTER_CONFIG));
        change(&mut adapter);
        std::fs::write(dir.path().join(ADAPTER_CONFIG), adapter.to_string()).unwrap();
        import_adapter(dir.path(), &config, InitialHead::Keep).unwrap_err().to_string()
    };
    assert!(refusal(&|adapter| adapter["peft_type"] = "LOHA".into()).contains("LORA, IA3, PROMPT_TUNING and PREFIX"));
    assert!(refusal(&|adapter| adapter["use_dora"] = true.into()).contains("`use_dora` is on"));
    assert!(refusal(&|adapter| adapter["rank_pattern"] = serde_json::json!({ "query": 4 })).contains("`rank_pattern`"));
    for (form, value) in [
        ("alora_invocation_tokens", serde_json::json!([1, 2])),
        ("layer_replication", serde_json::json!([[0, 2], [1, 2]])),
        ("kasa_config", serde_json::json!({ "beta": 1e-4 })),
        ("monteclora_config", serde_json::json!({ "num_samples": 8 })),
        ("arrow_config", serde_json::json!({ "top_k": 3 })),
    ] {
        let message = refusal(&|adapter| adapter[form] = value.clone());
        assert!(message.contains(&format!("`{form}` is on")), "{message}");
    }
    for init in ["pissa", "pissa_niter_4", "olora", "OLoRA", "corda", "loftq", "lora_ga"] {
        let message = refusal(&|adapter| adapter["init_lora_weights"] = init.into());
        assert!(message.contains(&format!("`init_lora_weights` is {init}, which changes the weights")), "{message}");
    }
    let message = refusal(&|adapter| adapter["target_modules"] = ".*(query|value)".into());
    assert!(
        message.contains("`target_modules` is the pattern `.*(query|value)`; patterns are not read: write"),
        "{message}"
    );
    assert!(refusal(&|adapter| adapter["r"] = 0.into()).contains("`r`: the rank is 0"));
    assert!(refusal(&|adapter| adapter["bias"] = "some".into()).contains("`bias` is some"));
    let headless = |adapter: &mut Value| adapter["modules_to_save"] = Value::Null;
    assert!(refusal(&headless).contains("lacks `classifier`, so the adapter has no head"));
    assert!(refusal(&|_| ()).contains("adapter_model.safetensors"), "the tensors are not there");
    std::fs::copy(source.join(ADAPTER_MODEL), dir.path().join(ADAPTER_MODEL)).unwrap();
    assert!(refusal(&|adapter| adapter["r"] = 3.into()).contains("has shape [2, 16], expected [3, 16]"));
    // No memory is asked for on the word of the settings.
    let huge = 1_000_000_000_000u64;
    assert!(refusal(&|adapter| adapter["r"] = huge.into()).contains("`r`: 1000000000000 is above 65536"));
    let prompt = fixture::peers().join("methods/roberta-prompt");
    let mut adapter = json(&prompt.join(ADAPTER_CONFIG));
    adapter["num_virtual_tokens"] = huge.into();
    std::fs::write(dir.path().join(ADAPTER_CONFIG), adapter.to_string()).unwrap();
    std::fs::copy(prompt.join(ADAPTER_MODEL), dir.path().join(ADAPTER_MODEL)).unwrap();
    let message = import_adapter(dir.path(), &config, InitialHead::Keep).unwrap_err().to_string();
    assert!(message.contains("expected [1000000000000, 16]"), "{message}");
    // Inits after which the base is what it was.
    for init in ["eva", "gaussian", "orthogonal", "mica"] {
        let mut adapter = json(&source.join(ADAPTER_CONFIG));
        adapter["init_lora_weights"] = init.into();
        std::fs::write(dir.path().join(ADAPTER_CONFIG), adapter.to_string()).unwrap();
        std::fs::copy(source.join(ADAPTER_MODEL), dir.path().join(ADAPTER_MODEL)).unwrap();
        import_adapter(dir.path(), &config, InitialHead::Keep).unwrap();
    }
}

#[test]
fn prefixes_that_peft_cannot_take_are_written_as_our_own_and_old_exports_are_read() {
    let prefix = tuning("{ prefix: { num_virtual_tokens: 3 } }");
    for (kind, is_of_peft) in [
        (EncoderKind::Bert, true),
        (EncoderKind::Roberta, true),
        (EncoderKind::DistilBert, false),
        (EncoderKind::Vit, false),
    ] {
        let (backbone, out) = (fixture::backbone(kind), tempfile::tempdir().unwrap());
        let params = params(&prefix, &backbone);
        export_adapter(&prefix, &backbone, &labels(), &params, out.path()).unwrap();
        let there = |name: &str| out.path().join(name).exists();
        assert_eq!((there(ADAPTER_CONFIG), there(DELTA)), (is_of_peft, !is_of_peft), "{kind:?}");
        if is_of_peft {
            continue;
        }
        // As earlier versions wrote it: the same tensors under PEFT's names.
        let old: BTreeMap<String, candle_core::Tensor> = tensors(&out.path().join(DELTA))
            .into_iter()
            .map(|(name, tensor)| match name.starts_with("prefix.") {
                true => ("prompt_embeddings".into(), tensor.flatten_from(1).unwrap()),
                false => (format!("base_model.{name}"), tensor),
            })
            .collect();
        write_safetensors(&out.path().join(ADAPTER_MODEL), &old, Storage::F32).unwrap();
        std::fs::remove_file(out.path().join(DELTA)).unwrap();
        let path = out.path().join(RECORD);
        let mut record = json(&path);
        record["tensors"] = ADAPTER_MODEL.into();
        std::fs::write(path, record.to_string()).unwrap();
        assert_eq!(load(out.path(), &prefix, &backbone, &labels()).unwrap().params, params, "{kind:?}");
    }
}

#[test]
#[ignore = "writes to STRAGGLER_EXPORT_DIR what tests/peers/check_export.py loads with Python's peft"]
fn export_for_python() {
    let out = PathBuf::from(std::env::var("STRAGGLER_EXPORT_DIR").unwrap());
    for dir in cases() {
        let Golden { case, backbone, tuning, start, .. } = Golden::read(&dir);
        export_adapter(&tuning, &backbone, &labels(), &start, &out.join(case)).unwrap();
    }
}

#[test]
fn another_task_takes_the_modules_and_begins_its_head_anew() {
    for kind in EncoderKind::ALL {
        let (backbone, out) = (fixture::backbone(kind), tempfile::tempdir().unwrap());
        let bitfit = tuning("bitfit");
        let trained = params(&bitfit, &backbone);
        export_adapter(&bitfit, &backbone, &labels(), &trained, out.path()).unwrap();
        let others: Vec<String> = (0..5).map(|label| format!("l{label}")).collect();
        let message = load(out.path(), &bitfit, &backbone, &others).unwrap_err().to_string();
        assert!(
            message.contains("head has 3 labels, the data set 5") && message.contains("`init_head: new`"),
            "{message}"
        );
        let drawn = initial_params(&bitfit, &backbone, None, 5, &Seeds::new(9)).unwrap();
        let initial = load_initial(out.path(), &bitfit, &backbone, &others, InitialHead::New, &drawn).unwrap();
        assert_eq!(initial.params.layout(), drawn.layout());
        for (spec, values) in initial.params.iter() {
            let is_head = backbone.config().kind.is_head(&spec.name);
            let expected = if is_head { &drawn } else { &trained };
            assert_eq!(Some(values), expected.get(&spec.name), "{kind:?} {}", spec.name);
        }
        // The same task may begin anew as well, and tells the two starts apart.
        let drawn = initial_params(&bitfit, &backbone, None, 3, &Seeds::new(9)).unwrap();
        let anew = load_initial(out.path(), &bitfit, &backbone, &labels(), InitialHead::New, &drawn).unwrap();
        assert_ne!(anew.hash, load(out.path(), &bitfit, &backbone, &labels()).unwrap().hash);
    }
}
