//! The simulated world of a plan: clients, links, failures and rounds, as the scenario says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rates::check_rates;
use super::{IDLE_CLIENTS_MAX, SetupError};
use crate::actors::plan::{Class, Facts, Plan, Population, SampleCosts, ShardSizes};
use crate::actors::server::RoundSettings;
use crate::params::Layout;
use crate::scenario::Scenario;
use crate::sim::{AvailabilityModel, Direction, Outages, SimError};
use crate::strategy::CodecConfig;
use crate::training::TrainingMemory;

/// The plan of a run that learns nothing yet.
pub(super) fn plan(
    scenario: &Scenario,
    shard_sizes: ShardSizes,
    sample_costs: SampleCosts,
    training_memory: TrainingMemory,
    layout: &Layout,
) -> Result<Plan, SetupError> {
    let compression = scenario.compression();
    let payload = |codec: &CodecConfig| codec.implementation().encoded_len(layout);
    let context = scenario.build_context();
    let population = Population {
        seeds: scenario.seeds(),
        n_clients: scenario.n_clients(),
        devices: classes_of(scenario.device_classes(), |class| class.build(&context))?,
        networks: classes_of(scenario.network_classes(), |class| class.build(&context))?,
        regions: scenario.regions().iter().map(|(name, region)| (name.clone(), region.clone())).collect(),
        shard_sizes,
        sample_costs,
        training_memory,
        n_epochs: scenario.train().num_train_epochs as u64,
        server_rates: [Direction::Down, Direction::Up].map(|direction| scenario.server_network().rate(direction)),
        downlink_payload: payload(&compression.downlink)?,
        uplink_payload: payload(&compression.uplink)?,
        facts: Facts::new(scenario.n_clients()),
    };
    check_rates(&population)?;
    let population = Arc::new(population);
    let mut availability: Arc<dyn AvailabilityModel> = scenario.availability().implementation().build(&context)?.into();
    let outages = (!scenario.outages().is_empty()).then(|| {
        let members = population.clone();
        let membership = Arc::new(move |client_id| members.membership(client_id));
        Outages::new(scenario.outages(), &population.group_names(), population.seeds, membership)
    });
    if let Some(outages) = &outages {
        availability = outages.clone().around(availability);
    }
    Ok(Plan {
        population,
        server_network: scenario.server_network().clone(),
        availability,
        dropout: *scenario.dropout(),
        crashes: scenario.crashes().copied(),
        outages,
        uploads: *scenario.uploads(),
        restarts: scenario.restarts().to_vec(),
        rounds: RoundSettings {
            rounds: scenario.rounds(),
            clients_per_round: scenario.clients_per_round() as usize,
            dispatches_per_round: scenario.dispatches_per_round() as usize,
            deadline: scenario.deadline(),
            min_updates: scenario.min_updates() as usize,
            below_min_updates: scenario.below_min_updates().clone(),
            late_updates: scenario.late_updates().clone(),
            give_up_after: scenario.give_up_after(),
            evaluate_every: scenario.evaluation().every,
            strategy: scenario.strategy().clone(),
            selection: scenario.selection().clone(),
            downlink_codec: compression.downlink.clone(),
        },
        learning: None,
        checkpoint_every: scenario.output().checkpoint_every,
        idle_clients_max: IDLE_CLIENTS_MAX,
    })
}

fn classes_of<C: Clone, M>(
    classes: &BTreeMap<String, C>,
    build: impl Fn(&C) -> Result<M, SimError>,
) -> Result<Vec<Class<C, M>>, SimError> {
    let class =
        |(name, config): (&String, &C)| Ok(Class { name: name.clone(), config: config.clone(), model: build(config)? });
    classes.iter().map(class).collect()
}
