//! Where the clients are that could be asked, for messages about too few of them.

use super::Core;
use crate::actors::server::{Blame, Turn};

/// How many clients can be asked, and what keeps the others from it.
#[derive(Debug, Default)]
pub(in crate::actors::server) struct Presence {
    n_at_work: u32,
    /// Online and with enough in their batteries.
    n_ready: u32,
    n_offline: u32,
    /// Offline by an outage.
    n_out: u32,
    /// Online, with too little in their batteries.
    n_flat: u32,
    /// The battery of the first of those: its dotted path.
    flat_battery: Option<String>,
}

impl Core {
    /// Looks at every client, so it is for a run that is about to end.
    pub(super) fn presence(&self, turn: &Turn<'_>) -> Presence {
        let (view, now) = (turn.view, turn.now);
        let mut found = Presence::default();
        for client_id in 0..view.population.n_clients {
            if self.busy.contains(client_id) {
                found.n_at_work += 1;
            } else if view.outages.as_ref().is_some_and(|outages| outages.is_out(client_id, now)) {
                found.n_out += 1;
            } else if !view.availability.is_online(client_id, now) {
                found.n_offline += 1;
            } else if !view.can_begin(client_id, now) {
                found.n_flat += 1;
                let class = view.population.device_class(client_id);
                let path = || format!("clients.devices.{}.battery", view.population.devices[class].name);
                found.flat_battery.get_or_insert_with(path);
            } else {
                found.n_ready += 1;
            }
        }
        found
    }
}

impl Presence {
    /// For a server that waits for `needed` clients, of whom too few will come in time.
    pub(in crate::actors::server) fn blame_for_waiting(&self, needed: usize) -> Blame {
        let (setting, remedy) = self.remedy();
        let why = format!("{} until then: {self}; {remedy}, or raise `server.give_up_after`", self.shortage(needed));
        Blame { why, setting }
    }

    /// For a server that waits for `needed` clients, where no more than those that are there will ever come.
    pub(in crate::actors::server) fn blame_for_ever(&self, needed: usize) -> Blame {
        let (setting, remedy) = self.remedy();
        let why = format!("{}, and no other ever will be: {self}; {remedy}", self.shortage(needed));
        Blame { why, setting }
    }

    fn shortage(&self, needed: usize) -> String {
        match self.n_ready {
            0 => "no client can be asked".into(),
            n => format!("{needed} clients are needed, of whom no more than {n} can be asked"),
        }
    }

    /// The setting to be looked at first, and how to change it.
    fn remedy(&self) -> (String, String) {
        let absences = [
            (self.n_flat, self.flat_battery.as_deref().unwrap_or("clients.devices"), "charge or enlarge"),
            (self.n_out, "clients.outages", "shorten"),
            (self.n_offline, "clients.availability", "change"),
        ];
        let most = absences.iter().map(|(n, ..)| *n).max().unwrap_or_default();
        let main = absences.iter().find(|(n, ..)| *n == most);
        let (setting, change) =
            main.map_or(("clients.availability", "change"), |(_, setting, change)| (setting, change));
        match self.n_ready {
            0 => (setting.into(), format!("{change} `{setting}`")),
            _ => ("server.min_updates".into(), format!("lower `server.min_updates`, or {change} `{setting}`")),
        }
    }
}

impl std::fmt::Display for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = [
            (self.n_ready, "online"),
            (self.n_at_work, "at work"),
            (self.n_offline, "offline"),
            (self.n_out, "kept away by an outage"),
            (self.n_flat, "online with too little in the battery"),
        ];
        let told: Vec<String> =
            told.iter().filter(|(n, _)| *n > 0).map(|(n, where_to)| format!("{n} {where_to}")).collect();
        f.write_str(&told.join(", "))
    }
}
