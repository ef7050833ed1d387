//! Where a tensor takes part in the computation.

use super::{EncoderConfig, Site, Sublayer};

/// The part of a model that a tensor belongs to. Tensors that a tuning method puts beside a linear map of the encoder,
/// such as `encoder.layer.0.attention.self.query.lora_A.weight`, belong to that map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Below the first layer.
    Embeddings,
    /// A linear map of a layer.
    Projection(Site),
    /// The layer normalisation that belongs to a sublayer.
    Norm {
        /// The layer, from 0.
        layer: usize,
        /// The sublayer it stands before or behind; see [`EncoderKind::norms_first`](super::EncoderKind::norms_first).
        sublayer: Sublayer,
    },
    /// Anything else of a layer, such as an adapter behind a sublayer or a prefix.
    Layer(usize),
    /// Above the last layer, still of the backbone: a pooler or a last normalisation.
    Top,
    /// The classification head.
    Head,
    /// None of these: the method that named the tensor knows.
    Elsewhere,
}

impl Place {
    /// The place of the tensor or module called `name` in an encoder of this shape with a head.
    pub fn of(name: &str, config: &EncoderConfig) -> Self {
        let family = config.kind.family();
        if config.kind.is_head(name) {
            return Self::Head;
        }
        let is = |tensors: super::family::Tensors| tensors.iter().any(|(spec, _)| spec.name == name);
        if is(family.embedding_tensors(config)) {
            return Self::Embeddings;
        }
        if is(family.top_tensors(config)) {
            return Self::Top;
        }
        let below =
            |module: &str| name.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if let Some(site) = Site::all(config).find(|site| below(&site.to_string())) {
            return Self::Projection(site);
        }
        for layer in 0..config.layers {
            for sublayer in [Sublayer::Attention, Sublayer::FeedForward] {
                if below(&format!("{}.{layer}.{}", family.layers(), family.norm(sublayer))) {
                    return Self::Norm { layer, sublayer };
                }
            }
        }
        let rest = name.strip_prefix(family.layers()).and_then(|rest| rest.strip_prefix('.'));
        match rest.and_then(|rest| rest.split('.').next()).map(str::parse) {
            Some(Ok(layer)) if layer < config.layers => Self::Layer(layer),
            _ => Self::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::encoder_config::tests::tiny;
    use crate::model::{EncoderKind, Projection, backbone_tensors, head_tensors};

    #[test]
    fn every_tensor_has_its_place() {
        for kind in EncoderKind::ALL {
            let config = tiny(kind);
            let places: Vec<Place> =
                backbone_tensors(&config).iter().map(|spec| Place::of(&spec.name, &config)).collect();
            let count = |is: &dyn Fn(&Place) -> bool| places.iter().filter(|place| is(place)).count();
            assert_eq!(count(&|place| matches!(place, Place::Projection(_))), 2 * 12, "{kind:?}");
            assert_eq!(count(&|place| matches!(place, Place::Norm { .. })), 2 * 4, "{kind:?}");
            assert_eq!(
                count(&|place| matches!(place, Place::Head | Place::Layer(_) | Place::Elsewhere)),
                0,
                "{kind:?}"
            );
            assert!(head_tensors(&config, 3).iter().all(|(spec, _)| Place::of(&spec.name, &config) == Place::Head));
        }
        let config = tiny(EncoderKind::DistilBert);
        let site = Site { kind: config.kind, layer: 1, projection: Projection::Value };
        assert_eq!(Place::of("transformer.layer.1.attention.v_lin.lora_A.weight", &config), Place::Projection(site));
        assert_eq!(Place::of("transformer.layer.1.attention.v_lin", &config), Place::Projection(site));
        assert_eq!(Place::of("transformer.layer.1.adapter.up.weight", &config), Place::Layer(1));
        assert_eq!(Place::of("prompt.weight", &config), Place::Elsewhere);
    }
}
