//! The game: 1,000 clients and a server. What the server tells a client takes its time, and so does the answer; every
//! message that arrives is one event, and whoever gets it answers.

use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use straggler::sim::Calendar;
use straggler::units::{SimDuration, SimTime};

/// Players beside the server.
pub(crate) const N_CLIENTS: u32 = 1000;

/// A message on its way.
#[derive(Clone, Copy)]
enum Message {
    /// To the client.
    Ping(u32),
    /// From the client.
    Pong(u32),
}

/// How long a message to or from a client takes: 1,000 to 1,996 ns.
fn delay(client_id: u32) -> SimDuration {
    SimDuration::from_nanos(u64::from(1000 + client_id * 7919 % 997))
}

fn opening() -> Calendar<Message> {
    let mut calendar = Calendar::new();
    (0..N_CLIENTS).for_each(|client_id| calendar.push(SimTime::ZERO + delay(client_id), 0, Message::Ping(client_id)));
    calendar
}

/// Plays `n_events` messages with the calendar alone. Gives the simulated nanoseconds, so that nothing is optimised away.
pub(crate) fn calendar_alone(n_events: u64) -> u64 {
    let mut calendar = opening();
    while calendar.n_popped() < n_events {
        let (now, message) = calendar.pop().expect("everybody always answers");
        match message {
            Message::Ping(client_id) => calendar.push(now + delay(client_id), client_id + 1, Message::Pong(client_id)),
            Message::Pong(client_id) => calendar.push(now + delay(client_id), 0, Message::Ping(client_id)),
        }
    }
    calendar.now().as_nanos()
}

/// What a player is told, and where its answer goes.
struct Call(SimTime, u32, RpcReplyPort<Vec<(SimTime, Message)>>);

/// A player; the server has no number.
struct Player(Option<u32>);

impl Actor for Player {
    type Msg = Call;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Call>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Call>,
        Call(now, client_id, reply): Call,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let answer = match self.0 {
            Some(client_id) => Message::Pong(client_id),
            None => Message::Ping(client_id),
        };
        Ok(reply.send(vec![(now + delay(client_id), answer)])?)
    }
}

/// Plays `n_events` messages, each given to the actor of its receiver in a call whose answer is awaited, as the world of
/// the simulator does.
pub(crate) fn with_actors(n_events: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime needs no system resource");
    runtime.block_on(async {
        let (server, _) = Actor::spawn(None, Player(None), ()).await.expect("an actor without a name starts");
        let mut clients = Vec::new();
        for client_id in 0..N_CLIENTS {
            clients.push(Actor::spawn(None, Player(Some(client_id)), ()).await.expect("likewise").0);
        }
        let mut calendar = opening();
        while calendar.n_popped() < n_events {
            let (now, message) = calendar.pop().expect("everybody always answers");
            let (player, client_id) = match message {
                Message::Ping(client_id) => (&clients[client_id as usize], client_id),
                Message::Pong(client_id) => (&server, client_id),
            };
            let sender = if matches!(message, Message::Ping(_)) { client_id + 1 } else { 0 };
            match player.call(|reply| Call(now, client_id, reply), None).await {
                Ok(CallResult::Success(answers)) => {
                    answers.into_iter().for_each(|(at, answer)| calendar.push(at, sender, answer));
                }
                _ => panic!("every player answers"),
            }
        }
        clients.iter().chain([&server]).for_each(|player| player.stop(None));
        calendar.now().as_nanos()
    })
}
