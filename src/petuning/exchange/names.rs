//! Names of tensors in files.

use super::super::TuningConfig;
use super::super::targets::{layers_in_modules, module_of};
use crate::model::{EncoderConfig, Place, Site};

/// The file's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `delta.safetensors`.
    Delta,
    /// PEFT's, for methods that wrap linear maps.
    PeftTuner,
    /// PEFT's, for virtual tokens.
    PeftPrompt,
}

/// What PEFT calls the virtual tokens, whatever they are.
pub(super) const PROMPT_EMBEDDINGS: &str = "prompt_embeddings";

/// Names under which a tensor may lie in a file; it is written under the first.
pub(super) fn stored_names(name: &str, layout: Layout, tuning: &TuningConfig, config: &EncoderConfig) -> Vec<String> {
    let place = Place::of(name, config);
    let is_head = place == Place::Head;
    match layout {
        Layout::Delta if is_head || place == Place::Elsewhere => vec![name.to_string()],
        Layout::Delta => vec![format!("{}{name}", config.kind.prefix())],
        Layout::PeftPrompt if is_head => vec![format!("base_model.{name}")],
        Layout::PeftPrompt => vec![PROMPT_EMBEDDINGS.to_string()],
        Layout::PeftTuner if is_head => vec![format!("base_model.model.{name}")],
        Layout::PeftTuner => {
            let site = Site::all(config).find(|site| name.starts_with(&format!("{site}.")));
            let module = |site: Site| match is_wrapped(site, tuning, config) && name == format!("{site}.bias") {
                true => format!("{}.base_layer.bias", module_of(site)),
                false => name.replacen(&site.to_string(), &module_of(site), 1),
            };
            let of_module = site.map_or_else(|| layers_in_modules(name, config), module);
            let full = |name: &str| format!("base_model.model.{}{name}", config.kind.prefix());
            let mut names = vec![full(&of_module)];
            // Adapters of earlier versions of transformers have the checkpoint's names.
            if of_module != name {
                names.push(full(name));
                names.extend(name.strip_suffix(".bias").map(|map| full(&format!("{map}.base_layer.bias"))));
            }
            names
        }
    }
}

/// Whether PEFT puts a layer of its own around a linear map.
fn is_wrapped(site: Site, tuning: &TuningConfig, config: &EncoderConfig) -> bool {
    match tuning {
        TuningConfig::Lora(lora) => lora.sites(config).is_ok_and(|sites| sites.contains(&site)),
        _ => false,
    }
}

/// The name in the files of `tests/peers/methods`: PEFT's while it trains.
#[cfg(test)]
pub(crate) fn golden_name(name: &str, tuning: &TuningConfig, config: &EncoderConfig) -> String {
    for method in ["prefix.", "prompt."] {
        if let Some(own) = name.strip_prefix(method) {
            return if own == PROMPT_EMBEDDINGS { "embedding.weight".into() } else { own.into() };
        }
    }
    let stored = stored_names(name, Layout::PeftTuner, tuning, config).swap_remove(0);
    stored.trim_start_matches("base_model.model.").to_string()
}
