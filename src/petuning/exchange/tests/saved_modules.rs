//! `modules_to_save`: how exports name them, and what PEFT's wrappers leave in a file. That the values read are those that
//! PEFT trained, the cases `lora-embeddings` of the peers show.

use super::*;

#[test]
fn saved_modules_are_named_as_transformers_names_them() {
    let lora = tuning(
        "{ lora: { modules_to_save: [classifier, encoder.layer.0.layernorm_after, layer.1.intermediate, layernorm] } }",
    );
    let (backbone, out) = (fixture::backbone(EncoderKind::Vit), tempfile::tempdir().unwrap());
    let params = params(&lora, &backbone);
    export_adapter(&lora, &backbone, &labels(), &params, out.path()).unwrap();
    let saved = json(&out.path().join(ADAPTER_CONFIG))["modules_to_save"].clone();
    let expected = ["classifier", "layers.0.layernorm_after", "layers.1.mlp.fc1", "layernorm"];
    assert_eq!(saved, serde_json::json!(expected));
    assert!(tensors(&out.path().join(ADAPTER_MODEL)).contains_key("base_model.model.vit.layers.1.mlp.fc1.weight"));
    // PEFT's own files, without ours beside them, mean the same.
    std::fs::remove_file(out.path().join(RECORD)).unwrap();
    assert_eq!(load(out.path(), &lora, &backbone, &labels()).unwrap().params, params);
}

#[test]
fn modules_inside_each_other_are_exported_one_by_one_or_as_our_own() {
    let lora = tuning("{ lora: { modules_to_save: [classifier, embeddings] } }");
    for kind in EncoderKind::ALL {
        let (backbone, out) = (fixture::backbone(kind), tempfile::tempdir().unwrap());
        let params = params(&lora, &backbone);
        export_adapter(&lora, &backbone, &labels(), &params, out.path()).unwrap();
        assert_eq!(load(out.path(), &lora, &backbone, &labels()).unwrap().params, params, "{kind:?}");
        let of_peft = out.path().join(ADAPTER_CONFIG);
        // The class token of a ViT is of `embeddings` itself, and so has no name that PEFT would not find others by.
        assert_eq!(
            (of_peft.exists(), out.path().join(DELTA).exists()),
            match kind {
                EncoderKind::Vit => (false, true),
                EncoderKind::Bert | EncoderKind::Roberta | EncoderKind::DistilBert => (true, false),
            }
        );
        if of_peft.exists() {
            let saved = json(&of_peft)["modules_to_save"].to_string();
            assert!(saved.contains("\"embeddings.word_embeddings\"") && !saved.contains("\"embeddings\""), "{saved}");
            std::fs::remove_file(out.path().join(RECORD)).unwrap();
            assert_eq!(load(out.path(), &lora, &backbone, &labels()).unwrap().params, params, "{kind:?}");
        }
    }
}

#[test]
fn a_tensor_with_two_values_is_refused_unless_one_is_untrained() {
    let source = fixture::peers().join("methods/roberta-lora-embeddings");
    let config = Backbone::open(&fixture::peers().join("roberta")).unwrap().config().clone();
    let read = |change: &dyn Fn(&mut BTreeMap<String, candle_core::Tensor>)| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(source.join(ADAPTER_CONFIG), dir.path().join(ADAPTER_CONFIG)).unwrap();
        let mut tensors = tensors(&source.join(ADAPTER_MODEL));
        change(&mut tensors);
        write_safetensors(&dir.path().join(ADAPTER_MODEL), &tensors, Storage::F32).unwrap();
        import_adapter(dir.path(), &config, InitialHead::Keep).map_err(|error| error.to_string())
    };
    let place = |rest: &str| format!("base_model.model.roberta.embeddings.{rest}");
    let copy = place("modules_to_save.default.word_embeddings.weight");
    let own = place("word_embeddings.weight");
    let whole = read(&|_| ()).unwrap();
    let trained = tensors(&source.join(ADAPTER_MODEL))[&copy].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(whole.params.get("embeddings.word_embeddings.weight"), Some(trained.as_slice()));
    // With the trained values under the own name, as for a module that is wrapped once, it is the same adapter.
    let once = read(&|tensors| {
        let trained = tensors[&copy].clone();
        tensors.retain(|name, _| !name.contains("word_embeddings"));
        tensors.insert(own.clone(), trained);
    });
    assert_eq!(once.unwrap(), whole);
    for changed in [own.clone(), place("word_embeddings.modules_to_save.weight")] {
        let message = read(&|tensors| {
            let other = (&tensors[&changed] + 1.0).unwrap();
            tensors.insert(changed.clone(), other);
        })
        .unwrap_err();
        assert!(message.contains(&format!("`{copy}` and `{changed}` are one tensor with two values")), "{message}");
    }
    let stray = read(&|tensors| {
        let other = tensors[&copy].clone();
        tensors.insert(place("modules_to_save.default.more.weight"), other);
    });
    assert!(stray.unwrap_err().contains("1 tensor that its settings do not explain"));
}
