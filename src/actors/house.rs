//! Where the actors live: the ractor shells around the behaviours, and their coming and going.
//!
//! A registered client that has not been spoken to is nothing at all here. It becomes an actor when it is first told
//! something, and may leave again when it has been idle for long: its behaviour, if it differs from a fresh one, is then
//! kept aside and put back at its next activation. There is one event in flight: a message that may make somebody act is a
//! call whose answer is awaited; that a task is over is only noted, and what went wrong then is told at the next call.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::JoinHandle;

use super::client::{Client, ClientConfusion};
use super::messages::{ClientCommand, ClientMessage, Command, GlobalModel, ServerMessage};
use super::server::{Server, ServerError, ServerState, View};
use crate::units::SimTime;

/// Why an actor gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HouseError {
    /// The server cannot go on.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A client was told something that makes no sense to it.
    #[error(transparent)]
    Client(#[from] ClientConfusion),
    /// The actor panicked or was stopped: a bug.
    #[error("the actor of {who} did not answer: {cause}")]
    NoAnswer {
        /// `the server`, or the client with its number.
        who: String,
        /// What ractor said.
        cause: String,
    },
}

type ServerReply = Result<Vec<Command>, ServerError>;
/// The server's state, and the models that it names.
type SavedServer = (ServerState, Vec<Arc<GlobalModel>>);
type ClientReply = Result<Option<ClientCommand>, ClientConfusion>;
type ClientState = Result<Client, ClientConfusion>;

/// What the server's shell receives.
enum ServerCall {
    Tell(SimTime, ServerMessage, RpcReplyPort<ServerReply>),
    /// Show the state.
    Show(RpcReplyPort<serde_json::Result<SavedServer>>),
}

struct ServerShell {
    view: View,
}

impl Actor for ServerShell {
    type Msg = ServerCall;
    type State = Server;
    type Arguments = Server;

    async fn pre_start(&self, _: ActorRef<ServerCall>, server: Server) -> Result<Server, ActorProcessingErr> {
        Ok(server)
    }

    async fn handle(
        &self,
        _: ActorRef<ServerCall>,
        call: ServerCall,
        server: &mut Server,
    ) -> Result<(), ActorProcessingErr> {
        match call {
            ServerCall::Tell(now, message, reply) => reply.send(server.on(now, message, &self.view))?,
            ServerCall::Show(reply) => reply.send(server.save())?,
        }
        Ok(())
    }
}

/// What a client's shell receives.
enum ClientCall {
    Deliver(ClientMessage, RpcReplyPort<ClientReply>),
    /// The task is over. Nothing comes of it at once, so nobody waits for an answer.
    Note(ClientMessage),
    /// Show the behaviour.
    Show(RpcReplyPort<ClientState>),
    /// Hand over the behaviour and stop.
    Leave(RpcReplyPort<ClientState>),
}

struct ClientShell;

/// A client with what went wrong when nobody waited for an answer: the next answer tells.
struct Inhabitant {
    client: Client,
    confusion: Option<ClientConfusion>,
}

impl Inhabitant {
    fn show(&mut self) -> ClientState {
        match self.confusion.take() {
            Some(confusion) => Err(confusion),
            None => Ok(self.client.clone()),
        }
    }

    fn on(&mut self, message: ClientMessage) -> ClientReply {
        match self.confusion.take() {
            Some(confusion) => Err(confusion),
            None => self.client.on(message),
        }
    }
}

impl Actor for ClientShell {
    type Msg = ClientCall;
    type State = Inhabitant;
    type Arguments = Client;

    async fn pre_start(&self, _: ActorRef<ClientCall>, client: Client) -> Result<Inhabitant, ActorProcessingErr> {
        Ok(Inhabitant { client, confusion: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<ClientCall>,
        call: ClientCall,
        inhabitant: &mut Inhabitant,
    ) -> Result<(), ActorProcessingErr> {
        match call {
            ClientCall::Deliver(message, reply) => reply.send(inhabitant.on(message))?,
            ClientCall::Show(reply) => reply.send(inhabitant.show())?,
            ClientCall::Note(message) => inhabitant.confusion = inhabitant.on(message).err(),
            ClientCall::Leave(reply) => {
                reply.send(inhabitant.show())?;
                myself.stop(None);
            }
        }
        Ok(())
    }
}

struct Resident {
    actor: ActorRef<ClientCall>,
    task: JoinHandle<()>,
    /// Serial of its entry in the list of idle residents; none while it is at work.
    idle_serial: Option<u64>,
}

/// The actors that are alive, and what is left of those that are not.
pub struct House {
    server: ActorRef<ServerCall>,
    server_task: JoinHandle<()>,
    /// By client id.
    residents: Vec<Option<Box<Resident>>>,
    n_residents: usize,
    dormant: BTreeMap<u32, Client>,
    /// Idle residents, longest idle first; an entry counts only while its resident holds the same serial.
    idle: VecDeque<(u32, u64)>,
    next_serial: u64,
    idle_max: usize,
}

fn no_answer(who: impl Into<String>, cause: impl ToString) -> HouseError {
    HouseError::NoAnswer { who: who.into(), cause: cause.to_string() }
}

fn client_name(client_id: u32) -> String {
    format!("client {client_id}")
}

impl House {
    /// Brings the server to life. At most `idle_max` idle clients stay alive.
    ///
    /// # Errors
    /// When ractor cannot start the actor.
    pub async fn open(server: Server, view: View, idle_max: usize) -> Result<Self, HouseError> {
        let (server, server_task) =
            Actor::spawn(None, ServerShell { view }, server).await.map_err(|cause| no_answer("the server", cause))?;
        Ok(Self {
            server,
            server_task,
            residents: Vec::new(),
            n_residents: 0,
            dormant: BTreeMap::new(),
            idle: VecDeque::new(),
            next_serial: 0,
            idle_max,
        })
    }

    /// Tells the server something and returns what it wants done.
    ///
    /// # Errors
    /// What the server answers, or that it does not.
    pub async fn tell_server(&self, now: SimTime, message: ServerMessage) -> Result<Vec<Command>, HouseError> {
        let answer = self.server.call(|reply| ServerCall::Tell(now, message, reply), None).await;
        Ok(received(answer, || "the server".into())??)
    }

    /// Tells a client something, bringing it to life if need be, and returns what it wants done.
    ///
    /// # Errors
    /// What the client answers, or that it does not.
    pub async fn tell_client(
        &mut self,
        client_id: u32,
        message: ClientMessage,
    ) -> Result<Option<ClientCommand>, HouseError> {
        let place = client_id as usize;
        if self.residents.get(place).is_none_or(Option::is_none) {
            self.activate(client_id).await?;
        }
        let resident = self.residents[place].as_mut().expect("it was just brought to life");
        resident.idle_serial = None;
        let is_stopped = matches!(message, ClientMessage::Stopped { .. });
        let command = match is_stopped {
            false => {
                let answer = resident.actor.call(|reply| ClientCall::Deliver(message, reply), None).await;
                received(answer, || client_name(client_id))??
            }
            true => {
                let noted = resident.actor.cast(ClientCall::Note(message));
                noted.map_err(|cause| no_answer(client_name(client_id), cause))?;
                None
            }
        };
        if is_stopped || matches!(command, Some(ClientCommand::Upload { .. })) {
            resident.idle_serial = Some(self.next_serial);
            self.idle.push_back((client_id, self.next_serial));
            self.next_serial += 1;
            self.passivate_the_longest_idle().await?;
        }
        Ok(command)
    }

    async fn activate(&mut self, client_id: u32) -> Result<(), HouseError> {
        let client = self.dormant.remove(&client_id).unwrap_or_else(|| Client::new(client_id));
        let (actor, task) =
            Actor::spawn(None, ClientShell, client).await.map_err(|cause| no_answer(client_name(client_id), cause))?;
        let place = client_id as usize;
        if place >= self.residents.len() {
            self.residents.resize_with(place + 1, || None);
        }
        self.residents[place] = Some(Box::new(Resident { actor, task, idle_serial: None }));
        self.n_residents += 1;
        Ok(())
    }

    async fn passivate_the_longest_idle(&mut self) -> Result<(), HouseError> {
        while self.idle.len() > self.idle_max {
            let Some((client_id, serial)) = self.idle.pop_front() else { return Ok(()) };
            let is_idle = |resident: &mut Box<Resident>| resident.idle_serial == Some(serial);
            if let Some(resident) = self.residents[client_id as usize].take_if(is_idle) {
                self.n_residents -= 1;
                let client = leave(client_id, *resident).await?;
                if client != Client::new(client_id) {
                    self.dormant.insert(client_id, client);
                }
            }
        }
        Ok(())
    }

    /// The states of all actors, of the dormant ones too; those of clients that have nothing to remember are left out.
    ///
    /// # Errors
    /// When an actor does not answer, or a client was told something that makes no sense to it.
    pub async fn save(&self) -> Result<(SavedServer, Vec<Client>), HouseError> {
        let server = received(self.server.call(ServerCall::Show, None).await, || "the server".into())?;
        let server = server.map_err(|cause| no_answer("the server", cause))?;
        let mut clients = self.dormant.clone();
        for (client_id, resident) in (0..).zip(&self.residents) {
            let Some(resident) = resident else { continue };
            let client = received(resident.actor.call(ClientCall::Show, None).await, || client_name(client_id))??;
            if client != Client::new(client_id) {
                clients.insert(client_id, client);
            }
        }
        Ok((server, clients.into_values().collect()))
    }

    /// Puts saved clients to sleep until they are spoken to.
    pub fn restore(&mut self, clients: Vec<Client>) {
        self.dormant = clients.into_iter().map(|client| (client.client_id(), client)).collect();
    }

    /// How many client actors are alive.
    pub fn n_residents(&self) -> usize {
        self.n_residents
    }

    /// Sends everybody home.
    ///
    /// # Errors
    /// When an actor does not answer any more.
    pub async fn close(self) -> Result<(), HouseError> {
        for (client_id, resident) in (0..).zip(self.residents) {
            if let Some(resident) = resident {
                leave(client_id, *resident).await?;
            }
        }
        self.server.stop(None);
        self.server_task.await.map_err(|cause| no_answer("the server", cause))
    }
}

/// Takes a client's behaviour back and waits until its actor is gone, so that it can be activated again.
async fn leave(client_id: u32, resident: Resident) -> Result<Client, HouseError> {
    let answer = resident.actor.call(ClientCall::Leave, None).await;
    let client = received(answer, || client_name(client_id))??;
    resident.task.await.map_err(|cause| no_answer(client_name(client_id), cause))?;
    Ok(client)
}

fn received<T, M>(
    answer: Result<CallResult<T>, ractor::MessagingErr<M>>,
    who: impl Fn() -> String,
) -> Result<T, HouseError> {
    match answer {
        Ok(CallResult::Success(value)) => Ok(value),
        Ok(CallResult::SenderError) => Err(no_answer(who(), "its handler panicked")),
        Ok(CallResult::Timeout) => Err(no_answer(who(), "it took too long")),
        Err(cause) => Err(no_answer(who(), cause)),
    }
}
