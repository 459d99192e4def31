//! One operator's watch of one kind: a list, then every change, each some time after it happened.

use crate::mutation;
use crate::net::Caller;
use crate::world::World;
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use sandbar::controllers::context::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

/// Where a feed brings what it sees.
pub struct Feed<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    pub world: Arc<World>,
    pub caller: Caller,
    pub plural: &'static str,
    pub writer: Writer<K>,
    pub context: Arc<Context>,
    pub note: fn(&Context, &Event<K>),
    pub seen: UnboundedSender<(String, String)>,
}

impl<K> Feed<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
{
    fn tell(&mut self, event: &Event<K>) {
        self.writer.apply_watcher_event(event);
        (self.note)(&self.context, event);
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = event {
            let meta = object.meta();
            let name = (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
            // Nobody hears it once the operator is gone.
            let _ = self.seen.send(name);
        }
    }

    fn read(&self, object: &Arc<Value>) -> Option<K> {
        let shown = mutation::shown(&self.world, object);
        serde_json::from_value(Value::clone(&shown)).ok()
    }

    /// Lists, then follows, until it is dropped; lists anew when it is told to.
    pub async fn run(mut self) {
        loop {
            let position = self.list().await;
            self.follow(position).await;
        }
    }

    async fn list(&mut self) -> usize {
        let lag = self.world.net().chance(&format!("{} lists {}", self.caller, self.plural)).millis(5, 400);
        tokio::time::sleep(lag).await;
        self.world.awake(self.caller).await;
        let (all, position) = {
            let objects = self.world.objects();
            (objects.list(self.plural, None), objects.changes.len())
        };
        self.tell(&Event::Init);
        for object in &all {
            if let Some(object) = self.read(object) {
                self.tell(&Event::InitApply(object));
            }
        }
        self.tell(&Event::InitDone);
        position
    }

    /// Tells changes from this position on, until the watch breaks.
    async fn follow(&mut self, mut position: usize) {
        let (mut last, world) = (Instant::now(), self.world.clone());
        loop {
            let change = world.change_at(position).await;
            position += 1;
            if change.plural != self.plural {
                continue;
            }
            let (lag, breaks) = self.lag();
            last = last.max(change.at + lag);
            tokio::time::sleep_until(last).await;
            world.awake(self.caller).await;
            if breaks {
                return;
            }
            if let Some(object) = self.read(&change.object) {
                self.tell(&if change.deleted { Event::Delete(object) } else { Event::Apply(object) });
            }
        }
    }

    /// How late the next change is seen, and whether the watch breaks instead.
    fn lag(&self) -> (Duration, bool) {
        let mut net = self.world.net();
        let stalled = net.stalled(self.caller).filter(|_| self.plural == "sandboxes");
        let mut chance = net.chance(&format!("{} watches {}", self.caller, self.plural));
        let lag = match stalled {
            Some(until) => until.saturating_duration_since(Instant::now()) + chance.millis(1, 50),
            None if chance.hits(0.02) => chance.millis(200, 5_000),
            None => chance.millis(2, 60),
        };
        (lag, chance.hits(0.003))
    }
}
