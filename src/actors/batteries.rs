//! The clients' batteries: what they held when they were last looked at.
//!
//! Only the world changes a state, when a client's draw changes; everybody may ask. A client that has not worked yet has
//! no entry: what its battery holds follows from its settings and the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::plan::Population;
use crate::sim::{Battery, BatteryState};
use crate::units::SimTime;

/// The batteries of all clients.
pub struct Batteries {
    population: Arc<Population>,
    states: Mutex<BTreeMap<u32, BatteryState>>,
}

impl Batteries {
    /// The batteries at the start of a run; none when no device has one.
    pub fn new(population: &Arc<Population>) -> Option<Arc<Self>> {
        let any = population.devices.iter().any(|class| class.model.battery().is_some());
        any.then(|| Arc::new(Self { population: population.clone(), states: Mutex::default() }))
    }

    fn battery_of(&self, client_id: u32) -> Option<&Battery> {
        self.population.devices[self.population.device_class(client_id)].model.battery()
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<u32, BatteryState>> {
        // A state is stored whole: a panic elsewhere cannot leave half of one behind.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_of(&self, client_id: u32, battery: &Battery) -> BatteryState {
        self.states().get(&client_id).copied().unwrap_or_else(|| battery.initial(client_id))
    }

    /// What is known of clients that have worked, for a checkpoint.
    pub fn save(&self) -> BTreeMap<u32, BatteryState> {
        self.states().clone()
    }

    /// Takes over what was saved.
    pub fn restore(&self, states: BTreeMap<u32, BatteryState>) {
        *self.states() = states;
    }

    /// True when the client, which is not at work, has enough left to begin a task. A device without a battery always has.
    pub fn can_begin(&self, client_id: u32, now: SimTime) -> bool {
        self.battery_of(client_id).is_none_or(|battery| {
            let state = battery.advance(client_id, self.state_of(client_id, battery), now, 0.0);
            battery.is_usable(state)
        })
    }

    /// When the client, if it stays without work, has enough to begin a task: `now` if it has,
    /// [`NEVER`](crate::sim::NEVER) if charging does not bring it so far.
    pub fn can_begin_at(&self, client_id: u32, now: SimTime) -> SimTime {
        self.battery_of(client_id)
            .map_or(now, |battery| battery.usable_at(client_id, self.state_of(client_id, battery), now))
    }

    /// The client drew `before_w` since its last change and draws `from_now_w` from now on, both beside idle and charging.
    /// Gives when the battery will be down to its reserve; none for a device without a battery.
    pub fn change_draw(&self, client_id: u32, now: SimTime, before_w: f64, from_now_w: f64) -> Option<SimTime> {
        let battery = self.battery_of(client_id)?;
        let mut state = self.state_of(client_id, battery);
        // What goes on as it was is not cut in two, which would change the last bits.
        if before_w != from_now_w {
            state = battery.advance(client_id, state, now, before_w);
            self.states().insert(client_id, state);
        }
        Some(battery.empty_at(client_id, state, from_now_w))
    }
}
