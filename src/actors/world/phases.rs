//! The life of a task: download, training, upload, and the ways in which it ends early.

use super::events::{Event, Transfer};
use super::learning::submit;
use super::tasks::{Stage, Task};
use super::{World, WorldError, sender_of};
use crate::actors::messages::{ClientMessage, ServerMessage, TaskId, Unused};
use crate::report::{EventKind, Reason};
use crate::seed::Purpose;
use crate::sim::{self, Direction, Flow, NEVER, Phase};

impl World<'_> {
    pub(super) fn dispatch(&mut self, id: TaskId, mut task: Task) -> Result<(), WorldError> {
        let (client_id, round) = (task.client_id, task.round);
        task.device_class = self.plan.population.device_class(client_id);
        task.network_class = self.plan.population.network_class(client_id);
        task.failure = self.plan.dropout.draw(&mut self.plan.population.seeds.task(Purpose::Dropout, client_id, round));
        task.offline_at = self.plan.availability.online_until(client_id, self.now);
        if task.offline_at != NEVER {
            self.calendar.push(
                task.offline_at,
                sender_of(client_id),
                Event::Fails { task: id, reason: Reason::Offline },
            );
        }
        self.journal.select(self.now, id, &task)?;
        self.tasks.insert(id, task);
        self.begin_transfer(id, Direction::Down)
    }

    pub(super) fn begin_transfer(&mut self, id: TaskId, direction: Direction) -> Result<(), WorldError> {
        let (down, up) = (self.plan.population.downlink_payload, self.plan.population.uplink_payload);
        let task = self.tasks.get_mut(id).expect("only a task under way transfers");
        let (stage, purpose, payload, kind) = match direction {
            Direction::Down => (Stage::Download, Purpose::DownlinkLatency, down, EventKind::DownloadStart),
            Direction::Up => (Stage::Upload, Purpose::UplinkLatency, up, EventKind::UploadStart),
        };
        task.enter(stage, self.now);
        let mut stream = self.plan.population.seeds.task(purpose, task.client_id, task.round);
        let latency = sim::latency(&self.plan.population.networks[task.network_class].1, &mut stream);
        let sender = sender_of(task.client_id);
        self.journal.phase_starts(self.now, kind, id, task, Some(payload))?;
        self.calendar.push(self.now + latency, sender, Event::TransferBegins { task: id, direction });
        Ok(())
    }

    /// The first byte leaves. A transfer that is to fail stops at a fraction of its bytes.
    pub(super) fn begin_flow(&mut self, id: TaskId, direction: Direction) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let network = &self.plan.population.networks[task.network_class].1;
        let (client_rate, payload, phase) = match direction {
            Direction::Down => (network.downlink, self.plan.population.downlink_payload, Phase::Download),
            Direction::Up => (network.uplink, self.plan.population.uplink_payload, Phase::Upload),
        };
        let bytes = match task.failure.filter(|failure| failure.phase == phase) {
            Some(failure) => payload.scaled(failure.fraction),
            None => payload,
        };
        let id = Transfer { task: id, direction }.flow_id();
        task.flow = Some((id, bytes));
        self.network.start(self.now, Flow { id, direction, client_rate, bytes, region: 0 });
    }

    pub(super) async fn end_flow(&mut self, flow: u64) -> Result<(), WorldError> {
        let Transfer { task: id, direction } = Transfer::of_flow(flow);
        let task = self.tasks.get_mut(id).expect("the flow of a task that has ended is cancelled");
        let (_, bytes) = task.flow.take().expect("it is this flow that ends");
        task.moved(direction, bytes);
        let client_id = task.client_id;
        let phase = match direction {
            Direction::Down => Phase::Download,
            Direction::Up => Phase::Upload,
        };
        if task.failure.is_some_and(|failure| failure.phase == phase) {
            return self.fail(id, Reason::Network).await;
        }
        match direction {
            Direction::Down => {
                self.journal.phase_ends(self.now, EventKind::DownloadEnd, id, task, Some(bytes))?;
                task.is_known_to_client = true;
                self.tell_client(client_id, ClientMessage::ModelReceived { task: id }).await
            }
            Direction::Up => {
                self.journal.phase_ends(self.now, EventKind::UploadEnd, id, task, Some(bytes))?;
                task.enter(Stage::Arrived, self.now);
                task.is_known_to_client = false;
                self.tell_client(client_id, ClientMessage::UploadFinished { task: id }).await?;
                self.tell_server(ServerMessage::Arrived { task: id }).await
            }
        }
    }

    /// Times the training, and submits its job unless it is known by now that its value will not be used.
    pub(super) fn begin_training(&mut self, id: TaskId) -> Result<(), WorldError> {
        let plan = self.plan;
        let task = self.tasks.get_mut(id).expect("only a task under way trains");
        let (client_id, round) = (task.client_id, task.round);
        task.enter(Stage::Train, self.now);
        self.journal.phase_starts(self.now, EventKind::TrainStart, id, task, None)?;
        let device = &plan.population.devices[task.device_class].1;
        if !sim::fits(device.memory, plan.population.training_memory) {
            self.calendar.push(self.now, sender_of(client_id), Event::Fails { task: id, reason: Reason::Memory });
            return Ok(());
        }
        let work = plan.population.training_work(client_id);
        let mut of_device = plan.population.seeds.client(Purpose::DeviceSpeed, client_id);
        let mut of_task = plan.population.seeds.task(Purpose::DeviceJitter, client_id, round);
        let duration = sim::training_duration(&device.compute, &work, &mut of_device, &mut of_task)?;
        let end = self.now + duration;
        if let Some(failure) = task.failure.filter(|failure| failure.phase == Phase::Train) {
            let event = Event::Fails { task: id, reason: Reason::Random };
            self.calendar.push(self.now + duration.scaled(failure.fraction), sender_of(client_id), event);
            return Ok(());
        }
        self.calendar.push(end, sender_of(client_id), Event::TrainingEnds { task: id });
        let is_doomed =
            task.failure.is_some() || task.offline_at <= end || task.useful_until.is_some_and(|until| end > until);
        if let (Some(pool), Some(learning), false) = (&self.pool, &plan.learning, is_doomed) {
            let uplink = plan.population.networks[task.network_class].1.uplink;
            task.job = Some(submit(pool, learning, task, end + uplink.time_for(plan.population.uplink_payload)));
        }
        Ok(())
    }

    pub(super) async fn end_training(&mut self, id: TaskId) -> Result<(), WorldError> {
        let Some(task) = self.tasks.get_mut(id) else { return Ok(()) };
        self.journal.phase_ends(self.now, EventKind::TrainEnd, id, task, None)?;
        let client_id = task.client_id;
        self.tell_client(client_id, ClientMessage::TrainingFinished { task: id }).await
    }

    /// Ends a task early and charges what was done so far.
    pub(super) async fn stop(&mut self, id: TaskId) -> Result<Option<Task>, WorldError> {
        let Some(mut task) = self.tasks.remove(id) else { return Ok(None) };
        if let Some((flow, _)) = task.flow.take() {
            let moved = self.network.cancel(self.now, flow);
            task.moved(Transfer::of_flow(flow).direction, moved);
        }
        task.job = None;
        if task.is_known_to_client {
            self.tell_client(task.client_id, ClientMessage::Stopped { task: id }).await?;
        }
        Ok(Some(task))
    }

    pub(super) async fn fail(&mut self, id: TaskId, reason: Reason) -> Result<(), WorldError> {
        if let Some(mut task) = self.stop(id).await? {
            self.journal.drop_out(self.now, id, &mut task, reason)?;
            self.tell_server(ServerMessage::Failed { task: id }).await?;
        }
        Ok(())
    }

    pub(super) async fn refuse(&mut self, id: TaskId, why: Unused) -> Result<(), WorldError> {
        if let Some(mut task) = self.stop(id).await? {
            self.journal.refuse(self.now, id, &mut task, why)?;
        }
        Ok(())
    }
}
