//! Names of linear maps as a scenario may write them.
//!
//! A target names linear maps by their full name or by its end behind a dot, as in PEFT. It may use the names of the
//! checkpoint, those of transformers' modules where they differ (ViT), or in every family those of BERT: `query`, `key`,
//! `value`, `attention.output.dense`, `intermediate.dense`, `output.dense`.

use super::TuningError;
use crate::model::{EncoderConfig, EncoderKind, Projection, Site};
use crate::registry::Problem;

/// PEFT's rule: a target is a full name, or the end of one behind a dot.
pub(super) fn matches(target: &str, name: &str) -> bool {
    name.strip_suffix(target).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) && !target.is_empty()
}

fn matches_site(target: &str, site: Site) -> bool {
    let as_in_bert = Site { kind: EncoderKind::Bert, ..site };
    [site.to_string(), as_in_bert.to_string(), module_of(site)].iter().any(|name| matches(target, name))
}

/// The name of a linear map's module in transformers 5, without the model's prefix: what PEFT sees. Checkpoints of ViT
/// keep the names of earlier versions.
pub(super) fn module_of(site: Site) -> String {
    match site.kind {
        EncoderKind::Vit => format!("layers.{}.{}", site.layer, short_module(site.projection, site.kind)),
        _ => site.to_string(),
    }
}

/// That name inside its layer.
fn short_module(projection: Projection, kind: EncoderKind) -> &'static str {
    match (kind, projection) {
        (EncoderKind::Vit, Projection::Query) => "attention.q_proj",
        (EncoderKind::Vit, Projection::Key) => "attention.k_proj",
        (EncoderKind::Vit, Projection::Value) => "attention.v_proj",
        (EncoderKind::Vit, Projection::AttentionOutput) => "attention.o_proj",
        (EncoderKind::Vit, Projection::Intermediate) => "mlp.fc1",
        (EncoderKind::Vit, Projection::Output) => "mlp.fc2",
        _ => projection.name(kind),
    }
}

/// Whether one of the targets names this linear map.
pub(super) fn is_target(targets: &[String], site: Site) -> bool {
    targets.iter().any(|target| matches_site(target, site))
}

/// The linear maps that the targets name, in the order in which the encoder uses them. `path` is that of their setting.
///
/// # Errors
/// When a target names none of the encoder's linear maps.
pub(super) fn sites(path: &str, targets: &[String], config: &EncoderConfig) -> Result<Vec<Site>, TuningError> {
    for (i, target) in targets.iter().enumerate() {
        if !Site::all(config).any(|site| matches_site(target, site)) {
            let message = format!("the encoder has no linear map `{target}`");
            let problem = Problem::new(format!("{path}.{i}"), message);
            return Err(problem.help(format!("use {}", known_targets(config.kind))).into());
        }
    }
    Ok(Site::all(config).filter(|site| is_target(targets, *site)).collect())
}

/// The targets in names of transformers' modules, so that PEFT finds the same linear maps: as written where that does,
/// else by the shortest names.
pub(super) fn module_names(targets: &[String], config: &EncoderConfig) -> Vec<String> {
    match found_by(targets, config) == chosen(targets, config) {
        true => targets.to_vec(),
        false => shortest_names(targets, config),
    }
}

/// The same names however the targets were written: linear maps inside a layer when they are chosen in all layers, else
/// their full names.
pub(super) fn shortest_names(targets: &[String], config: &EncoderConfig) -> Vec<String> {
    let chosen = chosen(targets, config);
    let is_used = |projection: &Projection| chosen.iter().any(|site| site.projection == *projection);
    let short: Vec<String> = Projection::ALL
        .into_iter()
        .filter(is_used)
        .map(|projection| short_module(projection, config.kind).to_string())
        .collect();
    if found_by(&short, config) == chosen { short } else { chosen.into_iter().map(module_of).collect() }
}

fn chosen(targets: &[String], config: &EncoderConfig) -> Vec<Site> {
    Site::all(config).filter(|site| is_target(targets, *site)).collect()
}

/// What PEFT finds.
fn found_by(names: &[String], config: &EncoderConfig) -> Vec<Site> {
    let is_named = |site: &Site| names.iter().any(|name| matches(name, &module_of(*site)));
    Site::all(config).filter(is_named).collect()
}

/// What is wrong with targets whatever the encoder; `path` is that of their setting.
pub(super) fn problems(path: &str, targets: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        let at = || format!("{path}.{i}");
        if target == "dense" {
            let help = "name them: `attention.output.dense`, `intermediate.dense`, `output.dense`";
            let problem = Problem::new(at(), "`dense` would also match layers of the classification head");
            problems.push(problem.help(help));
        } else if !may_match(target) {
            let problem = Problem::new(at(), format!("encoders have no linear map `{target}`"));
            problems.push(problem.help(format!("use {}", known_targets(EncoderKind::Bert))));
        }
    }
    problems
}

/// Whether an encoder of some family with enough layers has a match.
fn may_match(target: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let layer = target.split('.').find(|part| is_number(part)).unwrap_or("0").parse().unwrap_or(0);
    EncoderKind::ALL
        .iter()
        .any(|&kind| Projection::ALL.iter().any(|&projection| matches_site(target, Site { kind, layer, projection })))
}

/// What may be written for an encoder of this family: its own names, and where they differ those of BERT.
fn known_targets(kind: EncoderKind) -> String {
    let names = |kind: EncoderKind| Projection::ALL.map(|projection| format!("`{}`", projection.name(kind))).join(", ");
    match names(kind) == names(EncoderKind::Bert) {
        true => names(kind),
        false => format!("{} (or, as in BERT, {})", names(kind), names(EncoderKind::Bert)),
    }
}

/// The modules that the classification head of this encoder is made of, such as `classifier`.
pub(super) fn head_modules(config: &EncoderConfig) -> Vec<String> {
    config.kind.head_modules().iter().map(|module| module.to_string()).collect()
}

/// PEFT's name of the task: it has none for images.
pub(super) fn task_type(config: &EncoderConfig) -> Option<&'static str> {
    config.vision.is_none().then_some("SEQ_CLS")
}

/// The name of a tensor with modules as transformers has them.
pub(super) fn name_in_modules(name: &str, config: &EncoderConfig) -> String {
    match Site::all(config).find(|site| name.starts_with(&format!("{site}."))) {
        Some(site) => name.replacen(&site.to_string(), &module_of(site), 1),
        None => layers_in_modules(name, config),
    }
}

/// The name of a tensor that belongs to no linear map of a layer, with the layers as transformers' modules have them.
pub(super) fn layers_in_modules(name: &str, config: &EncoderConfig) -> String {
    let Some(site) = Site::all(config).next() else { return name.into() };
    let (ours, theirs) = (layers_of(&site.to_string()), layers_of(&module_of(site)));
    match name.strip_prefix(&format!("{ours}.")) {
        Some(rest) => format!("{theirs}.{rest}"),
        None => name.into(),
    }
}

/// The module of transformers that is the list of layers.
pub(super) fn list_of_layers(config: &EncoderConfig) -> String {
    Site::all(config).next().map(|site| layers_of(&module_of(site))).unwrap_or_default()
}

/// The list of layers in the name of a part of the first.
fn layers_of(name: &str) -> String {
    name.split(".0.").next().map(String::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn names(targets: &[&str], kind: EncoderKind) -> Result<Vec<String>, String> {
        let targets: Vec<String> = targets.iter().map(|target| target.to_string()).collect();
        let found = sites("target_modules", &targets, fixture::backbone(kind).config());
        found.map(|sites| sites.iter().map(Site::to_string).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn targets_match_as_in_peft() {
        let sites = |targets: &[&str]| names(targets, EncoderKind::Bert);
        assert_eq!(sites(&["layer.1.attention.self.key"]).unwrap(), ["encoder.layer.1.attention.self.key"]);
        // A suffix behind a dot: `output.dense` is the end of `attention.output.dense` too.
        assert_eq!(sites(&["output.dense"]).unwrap().len(), 4);
        assert_eq!(sites(&["query", "value"]).unwrap().len(), 4);
        let message = sites(&["query", "q_proj"]).unwrap_err();
        assert!(message.starts_with("`target_modules.1`: the encoder has no linear map `q_proj`; use "), "{message}");
        assert!(message.contains("`attention.self.query`"), "{message}");
        assert!(sites(&["uery"]).is_err());
    }

    #[test]
    fn the_names_of_bert_serve_in_every_family_and_are_exported_in_those_of_the_checkpoint() {
        for kind in EncoderKind::ALL {
            let config = fixture::backbone(kind).config().clone();
            for targets in [
                &["query", "value"][..],
                &["intermediate.dense"],
                &["output.dense"],
                &["layer.1.attention.self.key"],
                &["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
            ] {
                let chosen = names(targets, kind).unwrap();
                assert_eq!(chosen.len(), names(targets, EncoderKind::Bert).unwrap().len(), "{kind:?} {targets:?}");
                let targets: Vec<String> = targets.iter().map(|target| target.to_string()).collect();
                for own in [module_names(&targets, &config), shortest_names(&targets, &config)] {
                    let found: Vec<String> = found_by(&own, &config).iter().map(Site::to_string).collect();
                    assert_eq!(found, chosen, "{kind:?} {own:?}");
                }
            }
        }
    }
}
