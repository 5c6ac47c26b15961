//! The world with a clock, shared by the wire, the control API, the page and the handles of tests.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::config::Settings;
use crate::world::{Moment, World};

#[derive(Debug)]
pub(crate) struct Shared {
    started: Instant,
    world: Mutex<World>,
    version: watch::Sender<u64>,
    /// Something is due sooner than the ticker thinks.
    sooner: Notify,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            started: Instant::now(),
            world: Mutex::new(World::new(Timestamp::now(), settings)),
            version: watch::Sender::new(0),
            sooner: Notify::new(),
        }
    }

    /// Does something to the world as it is now, and wakes who waits for what comes of it.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut World, Moment) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.started.elapsed();
        world.follow_wall_clock(now, Timestamp::now());
        world.advance(now);
        let due = world.next_due();
        let result = act(&mut world, now);
        if world.next_due() < due {
            self.sooner.notify_one();
        }
        let version = world.version();
        self.version.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        result
    }

    /// Sees a change whenever the log or the faults change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Lets things happen in time that nobody asks for. Never ends.
    pub(crate) async fn tick(&self) {
        loop {
            let due = self.with(|world, _| world.next_due());
            tokio::select! {
                () = tokio::time::sleep_until(self.started + due) => {}
                () = self.sooner.notified() => {}
            }
        }
    }
}
