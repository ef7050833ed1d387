//! What PyTorch computes with the adapters of PEFT; `tests/peers/make_method_goldens.py` made the files.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde_json::Value;

use super::exchange::{InitialHead, golden_name, import_adapter};
use super::{PrefixConfig, Travels, TuningConfig, initial_params};
use crate::model::checkpoint::Weights;
use crate::model::{Backbone, Batch, fixture};
use crate::params::Params;
use crate::seed::Seeds;

pub(crate) const N_LABELS: usize = 3;

/// One method in one family.
pub(crate) struct Golden {
    pub(crate) case: String,
    pub(crate) backbone: Backbone,
    pub(crate) tuning: TuningConfig,
    /// Where PyTorch started.
    pub(crate) start: Params,
    pub(crate) batch: Batch,
    pub(crate) labels: Tensor,
    /// Learning rate and so on.
    pub(crate) training: Value,
    bytes: Vec<u8>,
}

/// The folders of all cases, sorted.
pub(crate) fn cases() -> Vec<PathBuf> {
    let all = std::fs::read_dir(fixture::peers().join("methods")).unwrap();
    let mut cases: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

impl Golden {
    pub(crate) fn read(dir: &Path) -> Self {
        let case = dir.file_name().unwrap().to_str().unwrap().to_string();
        let (family, method) = case.split_once('-').unwrap();
        let backbone = Backbone::open(&fixture::peers().join(family)).unwrap();
        let adapter = import_adapter(dir, backbone.config(), InitialHead::Keep).unwrap();
        let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
        let common: Value =
            serde_json::from_slice(&std::fs::read(fixture::peers().join("methods/batch.json")).unwrap()).unwrap();
        let labels: Vec<u32> = serde_json::from_value(common["labels"].clone()).unwrap();
        let batch = match backbone.config().vision {
            Some(_) => {
                let pixels = tensor_of(&bytes, "pixels").flatten_all().unwrap().to_vec1::<f32>().unwrap();
                Batch::images(&pixels, labels.len(), backbone.config(), &Device::Cpu).unwrap()
            }
            None => {
                let examples: Vec<Vec<u32>> = serde_json::from_value(common["examples"].clone()).unwrap();
                let types = [0u32; 8];
                let inputs: Vec<_> = examples.iter().map(|ids| (ids.as_slice(), &types[..ids.len()])).collect();
                Batch::new(&inputs, backbone.config(), &Device::Cpu).unwrap()
            }
        };
        let labels = Tensor::new(labels, &Device::Cpu).unwrap();
        let training = common["training"].clone();
        let (tuning, start) = (adapter.tuning, adapter.params);
        let mut golden = Self { case: case.clone(), backbone, tuning, start, batch, labels, training, bytes };
        if method == "prefix-projection" {
            golden.take_network();
        }
        golden
    }

    /// PEFT saves what the network of a prefix made, and the golden file the network itself.
    fn take_network(&mut self) {
        self.tuning = TuningConfig::Prefix(PrefixConfig {
            num_virtual_tokens: 3,
            prefix_projection: true,
            encoder_hidden_size: Some(5),
            embedding_size: None,
            travels: Some(Travels::Mlp),
        });
        let mut start = initial_params(&self.tuning, &self.backbone, None, N_LABELS, &Seeds::new(0)).unwrap();
        let layout = start.layout().clone();
        for (index, spec) in layout.tensors().iter().enumerate() {
            start.values_mut()[layout.range(index)].copy_from_slice(&self.values("start", &spec.name));
        }
        self.start = start;
    }

    /// `logits` or `losses`.
    pub(crate) fn tensor(&self, name: &str) -> Tensor {
        tensor_of(&self.bytes, name)
    }

    /// The `gradient` of the trained tensor called `name`, or its value once `trained`.
    pub(crate) fn values(&self, what: &str, name: &str) -> Vec<f32> {
        let name = golden_name(name, &self.tuning, self.backbone.config());
        self.tensor(&format!("{what}.{name}")).flatten_all().unwrap().to_vec1().unwrap()
    }

    /// How many tensors PyTorch trained.
    pub(crate) fn n_trained(&self) -> usize {
        let weights = Weights::safetensors(&self.bytes, "golden").unwrap();
        weights.names().iter().filter(|name| name.starts_with("trained.")).count()
    }
}

fn tensor_of(bytes: &[u8], name: &str) -> Tensor {
    Weights::safetensors(bytes, "golden").unwrap().tensor(name, "golden").unwrap()
}
