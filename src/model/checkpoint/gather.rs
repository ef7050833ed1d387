//! From the names and shapes in files to the tensors of an encoder.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::{ModelError, Weights, check_shape};
use crate::model::tensors::{initialised, is_kept_in_16_bits};
use crate::model::{EncoderConfig, EncoderKind, ModelDtype, Site};
use crate::params::TensorSpec;
use crate::seed::{Purpose, Seeds};

/// An opened file of a checkpoint.
pub(crate) struct Part<'a> {
    /// Names it in errors.
    pub(crate) origin: String,
    pub(crate) weights: Weights<'a>,
}

/// The tensors of an encoder, and the names in the files that it does not use.
pub(crate) struct Gathered {
    pub(crate) tensors: BTreeMap<String, Tensor>,
    pub(crate) unused: Vec<String>,
    /// Those of the tensors that the checkpoint lacks and may lack.
    pub(crate) drawn: Vec<String>,
    /// Labels of the classification head in the files, where there is one.
    pub(crate) head_labels: Option<usize>,
}

/// A tensor in one of the parts, by the name it has there.
#[derive(Clone)]
struct Found {
    part: usize,
    name: String,
}

/// Picks the tensors `wanted` of an encoder; `origin` names the checkpoint as a whole in errors.
pub(crate) fn gather(
    parts: &[Part<'_>],
    config: &EncoderConfig,
    wanted: &[TensorSpec],
    dtype: ModelDtype,
    origin: &str,
) -> Result<Gathered, ModelError> {
    let kind = config.kind;
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for (part, opened) in parts.iter().enumerate() {
        for name in opened.weights.names() {
            found.entry(canonical(&name, kind)).or_default().push(Found { part, name });
        }
    }
    check_family(&found, parts, config, wanted, origin)?;
    check_layers(&found, config, origin)?;
    let mut drawn: Vec<String> = kind.family().dispensable().iter().map(|name| (*name).to_owned()).collect();
    drawn.retain(|name| wanted.iter().any(|spec| spec.name == *name));
    if drawn.iter().any(|name| found.contains_key(name)) {
        drawn.clear();
    }
    let (absent, stored): (Vec<_>, Vec<_>) = wanted.iter().partition(|spec| drawn.contains(&spec.name));
    let missing: Vec<String> =
        stored.iter().filter(|spec| !found.contains_key(&spec.name)).map(|spec| spec.name.clone()).collect();
    if !missing.is_empty() {
        return Err(ModelError::MissingTensors { origin: origin.into(), names: missing });
    }
    // Shapes stand in the headers: a wrong one is told before anything large is read.
    for spec in &stored {
        let first = &found[&spec.name][0];
        let part = &parts[first.part];
        check_shape(spec, &part.weights.shape(&first.name).unwrap_or_default(), &part.origin)?;
    }
    let of_head = found.get(&format!("{}.bias", kind.output_map())).and_then(|places| places.first());
    let shape = of_head.and_then(|place| parts[place.part].weights.shape(&place.name));
    let head_labels = shape.map(|shape| shape.iter().product());
    let mut gathered = Gathered { tensors: BTreeMap::new(), unused: Vec::new(), drawn, head_labels };
    for spec in absent {
        let is_narrow = dtype == ModelDtype::Bf16 && is_kept_in_16_bits(spec);
        let tensor = draw(spec, config)?.to_dtype(if is_narrow { DType::BF16 } else { DType::F32 })?;
        gathered.tensors.insert(spec.name.clone(), tensor);
    }
    for spec in stored {
        let places = found.remove(&spec.name).unwrap_or_default();
        let is_narrow = dtype == ModelDtype::Bf16 && is_kept_in_16_bits(spec);
        let tensor = match places.as_slice() {
            [place] if is_narrow => parts[place.part].weights.rounded(&place.name, &parts[place.part].origin)?,
            _ if is_narrow => read_alike(&spec.name, &places, parts, origin)?.to_dtype(DType::BF16)?,
            _ => read_alike(&spec.name, &places, parts, origin)?,
        };
        gathered.tensors.insert(spec.name.clone(), tensor);
        gathered.unused.extend(places.into_iter().skip(1).map(|place| place.name));
    }
    gathered.unused.extend(found.into_values().flatten().map(|place| place.name));
    gathered.unused.sort();
    Ok(gathered)
}

/// What transformers would start such a tensor at. Always the same numbers, so that a checkpoint has one hash.
fn draw(spec: &TensorSpec, config: &EncoderConfig) -> Result<Tensor, ModelError> {
    let (spec, init) =
        initialised(config).into_iter().find(|(other, _)| other == spec).expect("it is the encoder's own");
    let values = init.draw(&spec, Purpose::RandomBackbone, &Seeds::new(0));
    Ok(Tensor::from_vec(values, spec.shape, &Device::Cpu)?)
}

/// The tensor that stands in one place or, the same, in several.
fn read_alike(name: &str, places: &[Found], parts: &[Part<'_>], origin: &str) -> Result<Tensor, ModelError> {
    let read = |place: &Found| parts[place.part].weights.tensor(&place.name, &parts[place.part].origin);
    let first = read(&places[0])?;
    for other in &places[1..] {
        let again = read(other)?;
        let is_same = again.dims() == first.dims() && bits(&again)? == bits(&first)?;
        if !is_same {
            let named = |place: &Found| format!("`{}` in {}", place.name, parts[place.part].origin);
            return Err(ModelError::MixedCheckpoint {
                origin: origin.into(),
                name: name.into(),
                places: format!("{} and as {}", named(&places[0]), named(other)),
            });
        }
    }
    Ok(first)
}

fn bits(tensor: &Tensor) -> candle_core::Result<Vec<u32>> {
    Ok(tensor.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
}

/// The name without the model's prefix, in the spelling used here, and with today's names of layer normalisation:
/// checkpoints converted from the first BERT release say `gamma` and `beta`.
fn canonical(name: &str, kind: EncoderKind) -> String {
    let name = name.strip_prefix(kind.prefix()).unwrap_or(name);
    if let Some(name) = kind.family().other_spelling(name) {
        return name;
    }
    if let Some(stem) = name.strip_suffix("LayerNorm.gamma") {
        return format!("{stem}LayerNorm.weight");
    }
    if let Some(stem) = name.strip_suffix("LayerNorm.beta") {
        return format!("{stem}LayerNorm.bias");
    }
    name.to_string()
}

/// Refuses weights of another family: those that have its prefix, or its names where they lack ours.
fn check_family(
    found: &BTreeMap<String, Vec<Found>>,
    parts: &[Part<'_>],
    config: &EncoderConfig,
    wanted: &[TensorSpec],
    origin: &str,
) -> Result<(), ModelError> {
    if wanted.iter().any(|spec| found.contains_key(&spec.name)) && first_layer_fits(found, config, config.kind) {
        return Ok(());
    }
    let names: Vec<String> = parts.iter().flat_map(|part| part.weights.names()).collect();
    let is_of = |kind: EncoderKind| {
        let ours: BTreeMap<String, Vec<Found>> = names.iter().map(|name| (canonical(name, kind), Vec::new())).collect();
        names.iter().any(|name| name.starts_with(kind.prefix())) || first_layer_fits(&ours, config, kind)
    };
    // A prefix tells more than names that families share, so the family that has it comes first.
    let has_prefix = |kind: &EncoderKind| names.iter().any(|name| name.starts_with(kind.prefix()));
    let others = || EncoderKind::ALL.into_iter().filter(|kind| *kind != config.kind);
    match others().find(has_prefix).or_else(|| others().find(|kind| is_of(*kind))) {
        None => Ok(()),
        Some(found) => {
            Err(ModelError::OtherFamily { origin: origin.into(), found: found.name(), expected: config.kind.name() })
        }
    }
}

/// Whether all linear maps of the first layer are there.
fn first_layer_fits<T>(found: &BTreeMap<String, T>, config: &EncoderConfig, kind: EncoderKind) -> bool {
    let first_layer = EncoderConfig { kind, layers: 1, ..config.clone() };
    Site::all(&first_layer).all(|site| found.contains_key(&format!("{site}.weight")))
}

/// Refuses weights with another number of layers: with fewer in `config.json` the rest would be left out unseen.
fn check_layers(found: &BTreeMap<String, Vec<Found>>, config: &EncoderConfig, origin: &str) -> Result<(), ModelError> {
    let layers = config.kind.family().layers();
    let number = |name: &String| name.strip_prefix(layers)?.strip_prefix('.')?.split('.').next()?.parse::<usize>().ok();
    match found.keys().filter_map(number).max() {
        Some(last) if last + 1 != config.layers => {
            Err(ModelError::Layers { origin: origin.into(), found: last + 1, expected: config.layers })
        }
        _ => Ok(()),
    }
}
