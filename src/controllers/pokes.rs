//! Tells controllers to look at an object again, besides their own watches.

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A way to poke the controller of `K`. Cheap to clone; never blocks.
pub struct Pokes<K: Resource<DynamicType = ()>> {
    sender: UnboundedSender<ObjectRef<K>>,
}

impl<K: Resource<DynamicType = ()>> Clone for Pokes<K> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<K: Resource<DynamicType = ()> + Send + 'static> Pokes<K> {
    /// A poke and the stream that the controller takes. The same object is let through at most
    /// once per `spacing`: hundreds of members that change at once make one look at their pool.
    pub fn new(spacing: Duration) -> (Self, impl futures::Stream<Item = ObjectRef<K>> + Send + 'static) {
        let (sender, receiver) = unbounded_channel();
        (Self { sender }, coalesce(receiver, spacing))
    }

    /// Looks at this object again.
    pub fn poke(&self, namespace: &str, name: &str) {
        // The receiver goes only with the controller, at the end of the process.
        let _ = self.sender.send(ObjectRef::new(name).within(namespace));
    }
}

fn coalesce<T: Clone + Eq + Hash + Send + 'static>(
    receiver: UnboundedReceiver<T>,
    spacing: Duration,
) -> impl futures::Stream<Item = T> + Send + 'static {
    let state = (receiver, Vec::<T>::new().into_iter());
    futures::stream::unfold(state, move |(mut receiver, mut ready)| async move {
        if let Some(next) = ready.next() {
            return Some((next, (receiver, ready)));
        }
        let first = receiver.recv().await?;
        let (mut batch, mut known) = (vec![first.clone()], HashSet::from([first]));
        tokio::time::sleep(spacing).await;
        while let Ok(next) = receiver.try_recv() {
            if known.insert(next.clone()) {
                batch.push(next);
            }
        }
        ready = batch.into_iter();
        let next = ready.next()?;
        Some((next, (receiver, ready)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SandboxPool;
    use futures::StreamExt;

    #[tokio::test]
    async fn a_hundred_pokes_at_once_are_one_look() {
        let (pokes, stream) = Pokes::<SandboxPool>::new(Duration::from_millis(20));
        let mut stream = Box::pin(stream);
        (0..100).for_each(|_| pokes.poke("ns", "pool"));
        assert_eq!(stream.next().await.map(|poked| poked.name), Some("pool".to_owned()));
        pokes.poke("ns", "other");
        assert_eq!(stream.next().await.map(|poked| poked.name), Some("other".to_owned()));
    }
}
