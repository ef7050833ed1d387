//! The ping-pong of `tests/bench/ping_pong.rs` in NeXosim: 1,000 client models and a server model. A message waits as a
//! scheduled event of its sender and is then sent over a port, so every message is one event of the calendar.
//!
//! `nexosim_ping_pong N_EVENTS` prints messages per second, on one thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::Output;
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

const N_CLIENTS: u32 = 1000;

/// Messages that have arrived.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

fn delay_ns(client_id: u32) -> u64 {
    u64::from(1000 + client_id * 7919 % 997)
}

fn delay(client_id: u32) -> Duration {
    Duration::from_nanos(delay_ns(client_id))
}

#[derive(Serialize, Deserialize)]
struct Client {
    client_id: u32,
    to_server: Output<u32>,
}

#[Model]
impl Client {
    /// A message of the server has arrived.
    async fn ping(&mut self, _: (), cx: &Context<Self>) {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        cx.schedule_event(delay(self.client_id), schedulable!(Self::deliver), ()).expect("it is in the future");
    }

    #[nexosim(schedulable)]
    async fn deliver(&mut self) {
        self.to_server.send(self.client_id).await;
    }
}

#[derive(Serialize, Deserialize)]
struct Server {
    to_clients: Vec<Output<()>>,
}

#[Model]
impl Server {
    /// A message of a client has arrived.
    async fn pong(&mut self, client_id: u32, cx: &Context<Self>) {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        cx.schedule_event(delay(client_id), schedulable!(Self::deliver), client_id).expect("it is in the future");
    }

    #[nexosim(schedulable)]
    async fn deliver(&mut self, client_id: u32) {
        self.to_clients[client_id as usize].send(()).await;
    }

    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        for client_id in 0..N_CLIENTS {
            cx.schedule_event(delay(client_id), schedulable!(Self::deliver), client_id).expect("it is in the future");
        }
    }
}

fn main() {
    let n_events: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).expect("give the number of messages");
    // Messages per nanosecond of all pairs together.
    let per_ns: f64 = (0..N_CLIENTS).map(|client_id| 1.0 / delay_ns(client_id) as f64).sum();
    let mut bench = SimInit::with_num_threads(1);
    let server_mailbox = Mailbox::new();
    let mut server = Server { to_clients: Vec::new() };
    for client_id in 0..N_CLIENTS {
        let mailbox = Mailbox::new();
        let mut client = Client { client_id, to_server: Output::default() };
        client.to_server.connect(Server::pong, &server_mailbox);
        let mut to_client = Output::default();
        to_client.connect(Client::ping, &mailbox);
        server.to_clients.push(to_client);
        bench = bench.add_model(client, mailbox, &format!("client {client_id}"));
    }
    let mut simulation =
        bench.add_model(server, server_mailbox, "server").init(MonotonicTime::EPOCH).expect("the bench is sound");
    let watch = Instant::now();
    simulation.step_until(Duration::from_nanos((n_events as f64 / per_ns) as u64)).expect("nothing can fail");
    let arrived = ARRIVED.load(Ordering::Relaxed);
    assert!(arrived.abs_diff(n_events) < n_events / 100, "{arrived} messages");
    println!("{}", arrived as f64 / watch.elapsed().as_secs_f64());
}
