//! A client: trains what it receives and hands over what it trained, one task at a time.

use serde::{Deserialize, Serialize};

use super::messages::{ClientCommand, ClientMessage, TaskId};

/// A message that makes no sense in the client's state: a bug of the world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("client {client_id} was told `{message:?}` while its task was {current:?}")]
pub struct ClientConfusion {
    client_id: u32,
    message: ClientMessage,
    current: Option<TaskId>,
}

/// A client's behaviour and all of its state, which is written back when it falls idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    client_id: u32,
    current: Option<TaskId>,
}

impl Client {
    /// A client that has not done anything yet.
    pub fn new(client_id: u32) -> Self {
        Self { client_id, current: None }
    }

    /// The client's number.
    pub fn client_id(&self) -> u32 {
        self.client_id
    }

    /// Decides what to do about a message.
    ///
    /// # Errors
    /// When the message does not fit the task at hand.
    pub fn on(&mut self, message: ClientMessage) -> Result<Option<ClientCommand>, ClientConfusion> {
        let confusion = ClientConfusion { client_id: self.client_id, message, current: self.current };
        match message {
            ClientMessage::ModelReceived { task } if self.current.is_none() => {
                self.current = Some(task);
                Ok(Some(ClientCommand::Train { task }))
            }
            ClientMessage::TrainingFinished { task } if self.current == Some(task) => {
                self.current = None;
                Ok(Some(ClientCommand::Upload { task }))
            }
            ClientMessage::Stopped { task } if self.current == Some(task) => {
                self.current = None;
                Ok(None)
            }
            ClientMessage::ModelReceived { .. }
            | ClientMessage::TrainingFinished { .. }
            | ClientMessage::Stopped { .. } => Err(confusion),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_trains_what_it_receives_and_uploads_what_it_trained() {
        let mut client = Client::new(3);
        let next = |client: &mut Client, message| client.on(message).unwrap();
        let train = next(&mut client, ClientMessage::ModelReceived { task: 9 });
        assert_eq!(train, Some(ClientCommand::Train { task: 9 }));
        let upload = next(&mut client, ClientMessage::TrainingFinished { task: 9 });
        assert_eq!(upload, Some(ClientCommand::Upload { task: 9 }));
        assert_eq!(client, Client::new(3));
        // The next task, which is over while it trains.
        next(&mut client, ClientMessage::ModelReceived { task: 12 });
        assert_eq!(next(&mut client, ClientMessage::Stopped { task: 12 }), None);
        assert_eq!(client, Client::new(3));
    }

    #[test]
    fn a_message_about_another_task_is_an_error_that_names_the_client() {
        let mut client = Client::new(3);
        client.on(ClientMessage::ModelReceived { task: 9 }).unwrap();
        let error = client.on(ClientMessage::TrainingFinished { task: 8 }).unwrap_err().to_string();
        assert!(error.starts_with("client 3"), "{error}");
    }
}
