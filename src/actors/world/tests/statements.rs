//! What a client states about a task is what the task takes it when nobody else is on its way.

use super::*;

/// Seconds that client 0 states, and that a round of it alone takes.
fn stated_and_taken(mut plan: Plan) -> (f64, f64) {
    plan.rounds.rounds = 1;
    (plan.rounds.clients_per_round, plan.rounds.dispatches_per_round) = (1, 1);
    let population = population(&mut plan);
    population.n_clients = 1;
    let stated = population.stated_seconds(0);
    (stated, simulate(&plan).0.end.as_secs_f64())
}

fn assert_stated(plan: Plan, seconds: f64) {
    let (stated, taken) = stated_and_taken(plan);
    assert!((stated - seconds).abs() < 1e-6 && (taken - seconds).abs() < 1e-6, "{stated} s and {taken} s");
}

#[test]
fn a_lone_task_takes_what_is_stated() {
    assert_stated(plan(), 5.2);
}

#[test]
fn the_servers_link_and_the_regions_cap_what_is_stated() {
    let mut plan = plan();
    // 1 MB down at 2 of 8 Mbps: 4 s; 1 MB up at 1 of 4 Mbps: 8 s; latencies of 0.1 s and 0.4 s twice; 2 s of training.
    plan.server_network = from_json(serde_json::json!({ "uplink": "2 Mbps", "downlink": "3 Mbps" }));
    let rates = [Direction::Down, Direction::Up].map(|direction| plan.server_network.rate(direction));
    let population = population(&mut plan);
    population.server_rates = rates;
    let region = serde_json::json!({ "share": 1.0, "uplink": "1 Mbps", "downlink": "5 Mbps", "latency": "400 ms" });
    population.regions = vec![("village".into(), from_json(region))];
    assert_stated(plan, 4.0 + 8.0 + 2.0 * 0.5 + 2.0);
}

#[test]
fn loss_on_a_long_way_slows_what_is_stated() {
    let mut plan = plan();
    let population = population(&mut plan);
    population.networks = vec![network(serde_json::json!({
        "share": 1.0, "downlink": "8 Mbps", "uplink": "4 Mbps", "latency": "100 ms", "packet_loss": 0.01 }))];
    population.regions = vec![("island".into(), from_json(serde_json::json!({ "share": 1.0, "latency": "400 ms" })))];
    // 1460 B x 8 / (2 x 0.5 s) x sqrt(1.5 / 0.01) = 11.68 kbps x 12.247449 = 143.050204 kbps, of which 99 % arrive: both
    // transfers of 8 Mbit at 141.619702 kbps. The client's own 0.1 s would allow five times as much.
    let transfer_s = 8_000.0 / (11.68 * 150f64.sqrt() * 0.99);
    assert_stated(plan, 2.0 * transfer_s + 2.0 * 0.5 + 2.0);
}
