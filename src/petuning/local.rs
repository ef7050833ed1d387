//! What a client trains, where that is not what travels.
//!
//! A [`Reparameterisation`] says that some of the tensors that travel are made of others, which a client trains in their
//! place: `travelling = F(own)`. A client knows only what it received, and from it alone F cannot be undone. So it starts
//! from seeded values `own0`, the same in every round, and trains
//!
//! ```text
//! travelling = received + F(own) - F(own0)
//! ```
//!
//! which is what it received before the first step. It sends the sum and forgets the rest: a job stays a function of
//! what travelled, of its shard and of the seed.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::{Method, TrainableTensor, TrainableVars, TuningConfig, TuningError, travelling_tensors};
use crate::model::EncoderConfig;
use crate::params::{Layout, Params};
use crate::seed::{Purpose, Seeds};

/// Tensors that a client trains in place of some of those that travel.
pub trait Reparameterisation: Send + Sync {
    /// The client's own tensors; each has an initial value of its own.
    fn tensors(&self) -> Vec<TrainableTensor>;

    /// The names of the tensors that travel and are made of the client's own.
    fn makes(&self) -> Vec<String>;

    /// The tensors that travel, by name, as a differentiable function of the client's own.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn travelling(&self, own: &TrainableVars) -> Result<Vec<(String, Tensor)>>;
}

/// The tensors that clients train for a method, and how they become those that travel.
pub struct LocalForm {
    travelling: Arc<Layout>,
    trained: Arc<Layout>,
    maps: Vec<Box<dyn Reparameterisation>>,
    /// Seeded values of the clients' own tensors.
    own: Params,
}

impl std::fmt::Debug for LocalForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalForm").field("trained", &self.trained).finish_non_exhaustive()
    }
}

impl LocalForm {
    /// The form of a method with a head for `n_labels` classes.
    ///
    /// # Errors
    /// When the method asks for something that the encoder does not have.
    pub fn new(
        tuning: &TuningConfig,
        config: &EncoderConfig,
        n_labels: usize,
        seeds: &Seeds,
    ) -> std::result::Result<Self, TuningError> {
        let specs =
            |tensors: Vec<TrainableTensor>| Layout::new(tensors.into_iter().map(|tensor| tensor.spec).collect());
        let travelling = specs(travelling_tensors(tuning, config, n_labels)?);
        let maps = tuning.implementation().reparameterisations(config);
        let own = initial_of(&maps, seeds);
        let made: Vec<String> = maps.iter().flat_map(|map| map.makes()).collect();
        let kept = travelling.tensors().iter().filter(|spec| !made.contains(&spec.name));
        let trained = Layout::new(kept.chain(own.layout().tensors()).cloned().collect());
        Ok(Self { travelling, trained, maps, own })
    }

    /// The tensors that a client trains.
    pub fn trained(&self) -> &Arc<Layout> {
        &self.trained
    }

    /// One client's work that starts from what it received.
    ///
    /// # Errors
    /// When the device fails.
    pub fn begin<'a>(&'a self, received: &'a Params, device: &Device) -> Result<LocalTask<'a>> {
        if self.maps.is_empty() {
            return Ok(LocalTask { form: self, made: Vec::new(), start: Cow::Borrowed(received) });
        }
        let base = made_by(&self.maps, &self.own, device)?;
        let received_value = |name: &str| -> Result<Tensor> {
            let index = self.travelling.position(name).expect("what is made is among what travels");
            let values = &received.values()[self.travelling.range(index)];
            Tensor::from_slice(values, self.travelling.tensors()[index].shape.as_slice(), device)
        };
        let made = base.into_iter().map(|(name, base)| Ok((received_value(&name)?, base, name)));
        let made = made.map(|made| made.map(|(received, base, name)| Made { name, received, base }));
        let mut start = Params::zeros(self.trained.clone());
        for (index, spec) in self.trained.tensors().iter().enumerate() {
            let own = self.own.get(&spec.name).or_else(|| received.get(&spec.name));
            let values = own.expect("a trained tensor is the client's own or was received");
            start.values_mut()[self.trained.range(index)].copy_from_slice(values);
        }
        Ok(LocalTask { form: self, made: made.collect::<Result<_>>()?, start: Cow::Owned(start) })
    }
}

/// A client's work: what it received and where it starts.
pub struct LocalTask<'a> {
    form: &'a LocalForm,
    made: Vec<Made>,
    start: Cow<'a, Params>,
}

/// A tensor that travels and is made of the client's own.
struct Made {
    name: String,
    received: Tensor,
    /// F at the seeded values.
    base: Tensor,
}

impl LocalTask<'_> {
    /// The values that training starts from.
    pub fn start(&self) -> &Params {
        &self.start
    }

    /// The tensors that travel, as functions of those that are trained; what the method's hooks take. To be asked anew
    /// once the variables have other values.
    ///
    /// # Errors
    /// When the device fails.
    pub fn travelling(&self, trained: &TrainableVars) -> Result<TrainableVars> {
        if self.made.is_empty() {
            return Ok(trained.clone());
        }
        let mut made = Vec::new();
        for map in &self.form.maps {
            made.extend(map.travelling(trained)?);
        }
        let tensor = |name: &str| -> Result<Tensor> {
            let Some(Made { received, base, .. }) = self.made.iter().find(|made| made.name == name) else {
                return Ok(trained.get(name).expect("what is not made is trained itself").clone());
            };
            let (_, now) = made.iter().find(|(made, _)| made == name).expect("a map always gives the same names");
            let dtype = now.dtype();
            received.to_dtype(dtype)? + (now - base.to_dtype(dtype)?)?
        };
        let layout = self.form.travelling.clone();
        let tensors = layout.tensors().iter().map(|spec| tensor(&spec.name)).collect::<Result<_>>()?;
        Ok(TrainableVars::of(layout, tensors))
    }

    /// What the client sends after training.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(&self, trained: Params, device: &Device) -> Result<Params> {
        if self.made.is_empty() {
            return Ok(trained);
        }
        let values = self.travelling(&TrainableVars::constants(&trained, device)?)?;
        let mut sent = Params::zeros(self.form.travelling.clone());
        for (index, tensor) in values.tensors().iter().enumerate() {
            let target = self.form.travelling.range(index);
            sent.values_mut()[target].copy_from_slice(&tensor.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(sent)
    }
}

/// Seeded values of the maps' own tensors.
fn initial_of(maps: &[Box<dyn Reparameterisation>], seeds: &Seeds) -> Params {
    let tensors: Vec<TrainableTensor> = maps.iter().flat_map(|map| map.tensors()).collect();
    let layout = Layout::new(tensors.iter().map(|tensor| tensor.spec.clone()).collect());
    let mut params = Params::zeros(layout.clone());
    for TrainableTensor { spec, init } in &tensors {
        let init = init.expect("a client's own tensor is not in the backbone");
        let index = layout.position(&spec.name).expect("the layout was made of these tensors");
        params.values_mut()[layout.range(index)].copy_from_slice(&init.draw(spec, Purpose::Initialisation, seeds));
    }
    params
}

fn made_by(maps: &[Box<dyn Reparameterisation>], own: &Params, device: &Device) -> Result<Vec<(String, Tensor)>> {
    let own = TrainableVars::constants(own, device)?;
    let mut made = Vec::new();
    for map in maps {
        made.extend(map.travelling(&own)?);
    }
    Ok(made)
}

/// Where tensors that travel start when they are made of others: at `F(own0)`.
pub(super) fn initial_travelling(
    method: &dyn Method,
    config: &EncoderConfig,
    seeds: &Seeds,
) -> Result<Vec<(String, Vec<f32>)>> {
    let maps = method.reparameterisations(config);
    let made = made_by(&maps, &initial_of(&maps, seeds), &Device::Cpu)?;
    made.into_iter().map(|(name, tensor)| Ok((name, tensor.flatten_all()?.to_vec1::<f32>()?))).collect()
}
