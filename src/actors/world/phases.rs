//! The life of a task: download, training, upload, and the ways in which it ends early.

use super::events::{Event, Transfer};
use super::learning::submit;
use super::tasks::{InFlight, Stage, Task};
use super::{World, WorldError, sender_of};
use crate::actors::messages::{Cause, ClientMessage, ServerMessage, TaskId, Unused};
use crate::actors::plan::Plan;
use crate::report::{EventKind, Reason};
use crate::seed::Purpose;
use crate::sim::{self, Direction, Failure, Flow, NEVER, Phase};
use crate::units::{Bandwidth, Bytes, SimTime};

impl World<'_> {
    pub(super) fn dispatch(&mut self, id: TaskId, mut task: Box<Task>) -> Result<(), WorldError> {
        let plan = self.plan;
        let population = &plan.population;
        let client_id = task.client_id;
        task.address = match self.has_rounds {
            true => task.round,
            false => self.journal.n_selected(client_id) + 1,
        };
        let member = population.membership(client_id);
        (task.device_class, task.network_class, task.region) = (member.device, member.network, member.region);
        task.power = population.devices[task.device_class].model.power();
        task.to_upload = population.uplink_payload;
        task.failure = plan.dropout.draw(&mut population.seeds.task(Purpose::Dropout, client_id, task.address));
        if let Some(crashes) = &plan.crashes {
            let mut stream = population.seeds.task(Purpose::Crash, client_id, task.address);
            task.crash_at = self.now + crashes.draw(&mut stream);
        }
        self.journal.select(self.now, id, &task)?;
        self.tasks.insert(id, task);
        self.expect_failures(id);
        self.begin_transfer(id, Direction::Down)
    }

    /// Makes sure that a task that begins, or goes on, learns of its client going offline and of its device crashing.
    fn expect_failures(&mut self, id: TaskId) {
        let plan = self.plan;
        let task = self.tasks.get_mut(id).expect("the task is at work");
        let client_id = task.client_id;
        task.offline_at = plan.availability.online_until(client_id, self.now);
        let is_outage = |time| plan.outages.as_ref().is_some_and(|outages| outages.is_out(client_id, time));
        let absence = if is_outage(task.offline_at) { Reason::Outage } else { Reason::Offline };
        for (at, reason) in [(task.offline_at, absence), (task.crash_at, Reason::Crash)] {
            if at != NEVER {
                self.calendar.push(at, sender_of(client_id), Event::Fails { task: id, reason });
            }
        }
    }

    /// Lets tasks under way follow another availability, other outages and other batteries than those they began with.
    pub(super) async fn expect_anew(&mut self) -> Result<(), WorldError> {
        for id in self.tasks.ids() {
            let Some(task) = self.tasks.get(id) else { continue };
            match task.stage {
                Stage::Arrived => continue,
                Stage::Paused => {
                    let client_id = task.client_id;
                    match self.plan.availability.next_online(client_id, self.now) {
                        NEVER => self.fail(id, Reason::Offline).await?,
                        at => self.calendar.push(at, sender_of(client_id), Event::UploadResumes { task: id }),
                    }
                }
                Stage::Download | Stage::Train | Stage::Upload => {
                    self.expect_failures(id);
                    self.change_draw(id);
                }
            }
        }
        Ok(())
    }

    /// The task's client draws another power from now on: that of the stage that the task is in. Gives when its battery
    /// will be down to its reserve by that.
    fn change_draw(&mut self, id: TaskId) -> Option<SimTime> {
        let batteries = self.batteries.as_ref()?;
        let task = self.tasks.get_mut(id).expect("only a task under way draws power");
        let power = task.power?;
        let watts = match task.stage {
            Stage::Download | Stage::Upload => power.radio_w,
            Stage::Train => power.compute_w,
            Stage::Paused | Stage::Arrived => 0.0,
        };
        let before = std::mem::replace(&mut task.draw_w, watts);
        task.draws += 1;
        let empty_at = batteries.change_draw(task.client_id, self.now, before, watts)?;
        if empty_at == NEVER || task.stage == Stage::Arrived {
            return None;
        }
        let at = empty_at.max(self.now);
        self.calendar.push(at, sender_of(task.client_id), Event::BatteryEmpty { task: id, serial: task.draws });
        Some(at)
    }

    pub(super) fn begin_transfer(&mut self, id: TaskId, direction: Direction) -> Result<(), WorldError> {
        let population = &self.plan.population;
        let task = self.tasks.get_mut(id).expect("only a task under way transfers");
        let (stage, purpose, payload, kind) = match direction {
            Direction::Down => {
                (Stage::Download, Purpose::DownlinkLatency, population.downlink_payload, EventKind::DownloadStart)
            }
            Direction::Up => (Stage::Upload, Purpose::UplinkLatency, task.to_upload, EventKind::UploadStart),
        };
        task.enter(stage, self.now);
        let attempt = task.attempt;
        let mut stream = population.seeds.step(purpose, task.client_id, task.address, attempt);
        let shared = population.latency_of_region(task.region);
        let latency = population.networks[task.network_class].model.latency(&mut stream, shared);
        let sender = sender_of(task.client_id);
        self.journal.phase_starts(self.now, kind, id, task, Some(payload))?;
        self.calendar.push(self.now + latency, sender, Event::TransferBegins { task: id, direction, attempt });
        self.change_draw(id);
        Ok(())
    }

    /// The first byte leaves. A transfer that is to fail stops at a fraction of its bytes.
    pub(super) fn begin_flow(&mut self, id: TaskId, direction: Direction, attempt: u32) -> Result<(), WorldError> {
        let population = &self.plan.population;
        let Some(task) = self.tasks.get_mut(id) else { return Ok(()) };
        // The client may have gone offline before the first byte left.
        if task.attempt != attempt || !matches!(task.stage, Stage::Download | Stage::Upload) {
            return Ok(());
        }
        let (payload, phase) = match direction {
            Direction::Down => (population.downlink_payload, Phase::Download),
            Direction::Up => (task.to_upload, Phase::Upload),
        };
        let bytes = match task.failure.filter(|failure| failure.phase == phase) {
            Some(failure) => payload.scaled(failure.fraction),
            None => payload,
        };
        let flow = Transfer { task: id, direction }.flow_id();
        task.flow = Some(InFlight { id: flow, bytes });
        let region = task.region;
        let client_rate = self.link_rate(id, direction)?;
        self.network.start(self.now, Flow { id: flow, direction, client_rate, bytes, region });
        Ok(())
    }

    /// The rate of the task's link now, 0 while the server is down; its next change is put into the calendar.
    fn link_rate(&mut self, id: TaskId, direction: Direction) -> Result<Bandwidth, WorldError> {
        if self.down_until.is_some() {
            return Ok(Bandwidth::from_bits_per_s(0.0));
        }
        let task = self.tasks.get_mut(id).expect("only a task under way transfers");
        let population = &self.plan.population;
        let class = &population.networks[task.network_class].model;
        let link = class.link(task.client_id, direction, self.now, population.latency_of_region(task.region))?;
        if link.until != NEVER {
            task.link_changes += 1;
            let event = Event::LinkChanges { task: id, direction, serial: task.link_changes };
            self.calendar.push(link.until, sender_of(task.client_id), event);
        }
        Ok(link.rate)
    }

    /// The task's link has another rate from now on.
    pub(super) fn change_link(&mut self, id: TaskId, direction: Direction, serial: u32) -> Result<(), WorldError> {
        let flow = self.tasks.get(id).filter(|task| task.link_changes == serial).and_then(|task| task.flow);
        match flow {
            Some(flow) if Transfer::of_flow(flow.id).direction == direction => self.set_link(id, flow.id),
            _ => Ok(()),
        }
    }

    fn set_link(&mut self, id: TaskId, flow: u64) -> Result<(), WorldError> {
        let rate = self.link_rate(id, Transfer::of_flow(flow).direction)?;
        self.network.set_rate(self.now, flow, rate);
        Ok(())
    }

    /// Stops or goes on with all transfers when the server goes down or comes up.
    pub(super) fn set_all_links(&mut self) -> Result<(), WorldError> {
        for id in self.tasks.ids() {
            if let Some(flow) = self.tasks.get(id).and_then(|task| task.flow) {
                self.set_link(id, flow.id)?;
            }
        }
        Ok(())
    }

    pub(super) async fn end_flow(&mut self, flow: u64) -> Result<(), WorldError> {
        let Transfer { task: id, direction } = Transfer::of_flow(flow);
        let task = self.tasks.get_mut(id).expect("the flow of a task that has ended is cancelled");
        let InFlight { bytes, .. } = task.flow.take().expect("it is this flow that ends");
        task.moved(direction, bytes);
        self.journal.moved(bytes);
        let client_id = task.client_id;
        let phase = match direction {
            Direction::Down => Phase::Download,
            Direction::Up => Phase::Upload,
        };
        if task.failure.is_some_and(|failure| failure.phase == phase) {
            if direction == Direction::Up && task.can_retry(&self.plan.uploads) {
                return self.interrupt(id, Reason::Network, bytes).await;
            }
            task.moved_now = bytes;
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
                self.change_draw(id);
                self.tell_server(ServerMessage::Arrived { task: id }).await
            }
        }
    }

    /// Times the training, and submits its job unless it is known by now that its value will not be used.
    pub(super) fn begin_training(&mut self, id: TaskId) -> Result<(), WorldError> {
        let plan = self.plan;
        let population = &plan.population;
        let task = self.tasks.get_mut(id).expect("only a task under way trains");
        let client_id = task.client_id;
        task.enter(Stage::Train, self.now);
        self.journal.phase_starts(self.now, EventKind::TrainStart, id, task, None)?;
        let empty_at = self.change_draw(id);
        let task = self.tasks.get_mut(id).expect("it has just begun");
        let device = &population.devices[task.device_class].model;
        if !sim::fits(device.memory(client_id), population.memory_to_train(client_id)) {
            self.calendar.push(self.now, sender_of(client_id), Event::Fails { task: id, reason: Reason::Memory });
            return Ok(());
        }
        let work = population.training_work(client_id);
        let duration = device.training_duration(&work, self.now, &population.seeds, task.address)?;
        let end = self.now + duration;
        if let Some(failure) = task.failure.filter(|failure| failure.phase == Phase::Train) {
            let event = Event::Fails { task: id, reason: Reason::Random };
            self.calendar.push(self.now + duration.scaled(failure.fraction), sender_of(client_id), event);
            return Ok(());
        }
        self.calendar.push(end, sender_of(client_id), Event::TrainingEnds { task: id });
        let loss_at = plan.next_loss(self.now);
        let is_doomed = every_upload_fails(plan, task)
            || [task.offline_at, task.crash_at, empty_at.unwrap_or(NEVER), loss_at].iter().any(|at| *at <= end)
            || task.useful_until.is_some_and(|until| end > until);
        if let (Some(pool), Some(learning), false) = (&self.pool, &plan.learning, is_doomed) {
            let uplink = population.lone_rate(client_id, Direction::Up);
            task.job = Some(submit(pool, learning, task, end + uplink.time_for(population.uplink_payload)));
        }
        Ok(())
    }

    pub(super) async fn end_training(&mut self, id: TaskId) -> Result<(), WorldError> {
        let Some(task) = self.tasks.get_mut(id) else { return Ok(()) };
        self.journal.phase_ends(self.now, EventKind::TrainEnd, id, task, None)?;
        task.is_known_to_client = false;
        let client_id = task.client_id;
        self.tell_client(client_id, ClientMessage::TrainingFinished { task: id }).await
    }

    /// What was to end the task has come: it fails, unless it is an upload that can be tried again.
    pub(super) async fn hit(&mut self, id: TaskId, reason: Reason) -> Result<(), WorldError> {
        let Some(task) = self.tasks.get_mut(id) else { return Ok(()) };
        let is_absence = matches!(reason, Reason::Offline | Reason::Outage);
        let is_outdated = match reason {
            // A paused upload waits for its client to be online, and its device is not at work.
            Reason::Offline | Reason::Outage => task.offline_at != self.now || task.stage == Stage::Paused,
            Reason::Crash => task.crash_at != self.now || task.stage == Stage::Paused,
            _ => false,
        };
        if is_outdated {
            return Ok(());
        }
        match task.stage {
            // An update that has arrived does not care what becomes of its client.
            Stage::Arrived => Ok(()),
            Stage::Upload if is_absence && task.can_retry(&self.plan.uploads) => {
                let flow = task.flow.take();
                let moved = flow.map(|flow| self.network.cancel(self.now, flow.id)).unwrap_or_default();
                let task = self.tasks.get_mut(id).expect("it was there a line ago");
                task.moved(Direction::Up, moved);
                self.journal.moved(moved);
                self.interrupt(id, reason, moved).await
            }
            Stage::Download | Stage::Train | Stage::Upload | Stage::Paused => self.fail(id, reason).await,
        }
    }

    /// An upload breaks off after `moved` bytes and will be tried again when the client is online.
    async fn interrupt(&mut self, id: TaskId, reason: Reason, moved: Bytes) -> Result<(), WorldError> {
        let task = self.tasks.get_mut(id).expect("only a task under way is interrupted");
        let at = self.plan.availability.next_online(task.client_id, self.now);
        self.journal.interrupt(self.now, id, task, reason, moved)?;
        match self.plan.uploads.when_interrupted {
            sim::WhenInterrupted::Resume => task.to_upload = task.to_upload - moved,
            sim::WhenInterrupted::Restart | sim::WhenInterrupted::Fail => {
                task.to_upload = self.plan.population.uplink_payload;
                task.discarded.bytes += moved;
                task.discarded.time += self.now.since(task.stage_start);
            }
        }
        task.enter(Stage::Paused, self.now);
        task.paused_at = self.now;
        task.attempt += 1;
        self.change_draw(id);
        let task = self.tasks.get_mut(id).expect("it waits for its client");
        task.failure = upload_failure(self.plan, task, task.attempt);
        if at == NEVER {
            return self.fail(id, reason).await;
        }
        self.calendar.push(at, sender_of(task.client_id), Event::UploadResumes { task: id });
        Ok(())
    }

    /// The client of an interrupted upload is online again.
    pub(super) fn resume_upload(&mut self, id: TaskId) -> Result<(), WorldError> {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.stage == Stage::Paused) else { return Ok(()) };
        if !self.plan.availability.is_online(task.client_id, self.now) {
            // It was to be online by another availability, before the run branched.
            return Ok(());
        }
        if task.crash_at != NEVER {
            // A device that waits is not at work.
            task.crash_at = task.crash_at + self.now.since(task.paused_at);
        }
        self.expect_failures(id);
        self.begin_transfer(id, Direction::Up)
    }

    /// Ends a task early and charges what was done so far.
    pub(super) async fn stop(&mut self, id: TaskId) -> Result<Option<Box<Task>>, WorldError> {
        let Some(mut task) = self.tasks.remove(id) else { return Ok(None) };
        if let Some(flow) = task.flow.take() {
            task.moved_now = self.network.cancel(self.now, flow.id);
            task.moved(Transfer::of_flow(flow.id).direction, task.moved_now);
            self.journal.moved(task.moved_now);
        }
        task.job = None;
        if let (Some(batteries), Some(_)) = (&self.batteries, task.power)
            && task.stage != Stage::Arrived
        {
            batteries.change_draw(task.client_id, self.now, task.draw_w, 0.0);
        }
        if task.is_known_to_client {
            self.tell_client(task.client_id, ClientMessage::Stopped { task: id }).await?;
        }
        Ok(Some(task))
    }

    /// Ends a task that has failed. A server that is down learns of it when it is up again.
    pub(super) async fn fail(&mut self, id: TaskId, reason: Reason) -> Result<(), WorldError> {
        match (self.drop_out(id, reason).await?, self.down_until) {
            (Some(cause), None) => self.tell_server(ServerMessage::Failed { task: id, cause }).await,
            (Some(cause), Some(_)) => {
                self.untold_failures.push_back((id, cause));
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// Ends a task that has failed without telling the server. Gives why; none when it is over already.
    pub(super) async fn drop_out(&mut self, id: TaskId, reason: Reason) -> Result<Option<Cause>, WorldError> {
        let Some(mut task) = self.stop(id).await? else { return Ok(None) };
        let phase = task.stage.phase();
        self.journal.drop_out(self.now, id, &mut task, reason, phase)?;
        Ok(Some(Cause { reason, phase: Some(phase) }))
    }

    pub(super) async fn refuse(&mut self, id: TaskId, why: Unused, staleness: Option<u32>) -> Result<(), WorldError> {
        match self.stop(id).await? {
            Some(mut task) => self.journal.refuse(self.now, id, &mut task, why, staleness)?,
            // It has failed, which the server need not be told any more.
            None => self.untold_failures.retain(|(task, _)| *task != id),
        }
        Ok(())
    }
}

/// True when each attempt at the task's upload is going to fail.
fn every_upload_fails(plan: &Plan, task: &Task) -> bool {
    let retries = match plan.uploads.when_interrupted {
        sim::WhenInterrupted::Fail => 0,
        sim::WhenInterrupted::Restart | sim::WhenInterrupted::Resume => plan.uploads.retries,
    };
    task.failure.is_some() && (1..=retries).all(|attempt| upload_failure(plan, task, attempt).is_some())
}

/// How a further attempt at a task's upload is going to fail.
fn upload_failure(plan: &Plan, task: &Task, attempt: u32) -> Option<Failure> {
    let seeds = &plan.population.seeds;
    plan.dropout.draw_upload(&mut seeds.step(Purpose::Dropout, task.client_id, task.address, attempt))
}
