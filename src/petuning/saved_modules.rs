//! Modules of the encoder that are trained in full beside a method's own tensors: `modules_to_save` of PEFT.
//!
//! A scenario names them as it names linear maps, by their full name or by its end behind a dot. PEFT also takes a module
//! whose name ends so without a dot, `word_embeddings` for `embeddings`. Where that finds more than was meant, or a module
//! inside another, which PEFT saves and cannot load, exports name the modules that hold the tensors one by one.

use super::TuningError;
use super::targets::{head_modules, list_of_layers, matches, name_in_modules};
use crate::model::{EncoderConfig, backbone_tensors, head_tensors};
use crate::params::TensorSpec;
use crate::registry::Problem;

/// Labels of a head of which only the names matter.
const ANY_NUMBER: usize = 2;

/// The backbone's tensors of the modules called `module`, by their full name or by its end behind a dot, in the names of
/// the checkpoint or of transformers' modules. `path` is that of the setting which names it.
///
/// # Errors
/// When the backbone has no such module.
pub(super) fn tensors_of_module(
    path: &str,
    module: &str,
    config: &EncoderConfig,
) -> Result<Vec<TensorSpec>, TuningError> {
    let all = backbone_tensors(config);
    let is_found =
        |spec: &&TensorSpec| is_inside(module, &spec.name) || is_inside(module, &name_in_modules(&spec.name, config));
    let found: Vec<TensorSpec> = all.iter().filter(is_found).cloned().collect();
    if found.is_empty() {
        let mut known: Vec<String> = head_modules(config);
        known.extend(all.iter().filter_map(|spec| spec.name.split('.').next().map(String::from)));
        known.dedup();
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let problem = Problem::new(path, format!("the model has no module `{module}`"));
        return Err(problem.help(format!("it has {known}")).into());
    }
    Ok(found)
}

/// The modules called `module` in names of transformers' modules, so that PEFT finds the same: as written where that does,
/// else the full names of all that hold tensors.
pub(super) fn saved_module_names(module: &str, config: &EncoderConfig) -> Vec<String> {
    let written = vec![module.to_string()];
    match are_right(&written, &[module], config) {
        true => written,
        false => full_names(module, config),
    }
}

/// The modules in `modules`, and those of the head before them, in names under which PEFT trains and saves their tensors
/// and no others, each of them once. None where there are no such names: a module that has tensors of its own cannot be
/// told from those inside it.
pub(super) fn names_for_peft(modules: &[&str], config: &EncoderConfig) -> Option<Vec<String>> {
    let of_all = |names: fn(&str, &EncoderConfig) -> Vec<String>| {
        let mut all: Vec<String> = Vec::new();
        for name in modules.iter().flat_map(|module| names(module, config)) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    };
    let found =
        [saved_module_names, full_names].map(of_all).into_iter().find(|names| are_right(names, modules, config));
    found.map(|names| head_modules(config).into_iter().chain(names).collect())
}

/// The full names of the modules that hold the tensors, in transformers' names, sorted.
fn full_names(module: &str, config: &EncoderConfig) -> Vec<String> {
    let found = tensors_of_module("", module, config).unwrap_or_default();
    let theirs = found.iter().map(|spec| name_in_modules(&spec.name, config));
    let mut names: Vec<String> = theirs.filter_map(|name| name.rsplit_once('.').map(|(name, _)| name.into())).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether PEFT, given these names and those of the head, puts exactly the tensors of `modules` and of the head into one
/// module each that it wraps. It cannot wrap a list of layers.
fn are_right(names: &[String], modules: &[&str], config: &EncoderConfig) -> bool {
    let full = |name: &str| format!("{}{}", config.kind.prefix(), name_in_modules(name, config));
    let wanted: Vec<String> = modules
        .iter()
        .flat_map(|module| tensors_of_module("", module, config).unwrap_or_default())
        .map(|spec| full(&spec.name))
        .collect();
    let of_backbone = backbone_tensors(config).into_iter().map(|spec| {
        let name = full(&spec.name);
        let is_wanted = wanted.contains(&name);
        (name, is_wanted)
    });
    let of_head = head_tensors(config, ANY_NUMBER).into_iter().map(|(spec, _)| (spec.name, true));
    let list = full(&list_of_layers(config));
    let head = head_modules(config);
    let is_named = |module: &str| names.iter().chain(&head).any(|name| module.ends_with(name.as_str()));
    of_backbone.chain(of_head).all(|(tensor, is_wanted)| {
        let modules = tensor.match_indices('.').map(|(end, _)| &tensor[..end]);
        let found: Vec<&str> = modules.filter(|module| is_named(module)).collect();
        found.len() == usize::from(is_wanted) && !found.contains(&list.as_str())
    })
}

/// Whether a tensor lies in a module of this name.
fn is_inside(module: &str, tensor: &str) -> bool {
    tensor.match_indices('.').any(|(end, _)| matches(module, &tensor[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, fixture};

    #[test]
    fn modules_are_found_by_their_end() {
        let config = fixture::backbone(EncoderKind::Bert).config().clone();
        let names = |module: &str| -> Vec<String> {
            let specs = tensors_of_module("modules_to_save.0", module, &config).unwrap();
            specs.into_iter().map(|spec| spec.name).collect()
        };
        assert_eq!(names("pooler"), ["pooler.dense.bias", "pooler.dense.weight"]);
        assert_eq!(names("layer.0.output.LayerNorm").len(), 2);
        // One after the embeddings and two in each of the two layers.
        assert_eq!(names("LayerNorm").len(), 2 * 5);
        let error = tensors_of_module("modules_to_save.0", "ooler", &config).unwrap_err().to_string();
        assert!(error.contains("`ooler`") && error.contains("`pooler`"), "{error}");
    }

    #[test]
    fn peft_is_given_names_that_find_each_tensor_once() {
        let names = |modules: &[&str], kind: EncoderKind| {
            names_for_peft(modules, fixture::backbone(kind).config()).map(|names| names.join(" "))
        };
        let is = |modules: &[&str], kind: EncoderKind, expected: &str| {
            assert_eq!(names(modules, kind).as_deref(), Some(expected), "{kind:?} {modules:?}");
        };
        is(&[], EncoderKind::Roberta, "classifier");
        is(&["pooler", "LayerNorm"], EncoderKind::Bert, "classifier pooler LayerNorm");
        is(&["output"], EncoderKind::Bert, "classifier output");
        is(&["word_embeddings"], EncoderKind::Roberta, "classifier word_embeddings");
        is(&["patch_embeddings"], EncoderKind::Vit, "classifier patch_embeddings");
        // `word_embeddings` ends in `embeddings`, and lies inside it.
        let embeddings = "embeddings.LayerNorm embeddings.position_embeddings embeddings.token_type_embeddings \
                          embeddings.word_embeddings";
        is(&["embeddings"], EncoderKind::Roberta, &format!("classifier {embeddings}"));
        is(&["embeddings", "word_embeddings"], EncoderKind::Bert, &format!("classifier {embeddings} word_embeddings"));
        is(
            &["embeddings"],
            EncoderKind::DistilBert,
            "pre_classifier classifier embeddings.LayerNorm embeddings.position_embeddings embeddings.word_embeddings",
        );
        // The class token and the positions are of `embeddings` itself, in which the patches lie.
        assert_eq!(names(&["embeddings"], EncoderKind::Vit), None);
        // `classifier.dense` ends so too, and one module may be inside another by two settings, or be a list.
        for (modules, kind) in [
            (&["dense"][..], EncoderKind::Roberta),
            (&["layer.1", "layer.1.output"], EncoderKind::Bert),
            (&["layer"], EncoderKind::Bert),
            (&["layers"], EncoderKind::Vit),
        ] {
            let found = names(modules, kind).unwrap();
            assert!(found.contains("layer.1.output.dense") || found.contains("layers.1.mlp.fc2"), "{found}");
        }
    }
}
