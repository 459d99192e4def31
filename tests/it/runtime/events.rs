//! Events as the API server takes them.

use super::operator;
use crate::wait::wait_for_all;
use crate::world::World;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Resource;
use sandbar::api::conditions::Reason;
use sandbar::controllers::runtime::clock::ServerClock;
use sandbar::controllers::runtime::events::{EventKind, Publisher};
use sandbar::controllers::runtime::follow_ups::FollowUps;
use sandbar::controllers::runtime::ticks::Ticks;
use std::time::Duration;

#[tokio::test]
async fn the_server_takes_the_longest_event_and_its_series() {
    let env = World::get().await.test("events").await;
    let ticks = Ticks::manual();
    let clock = ServerClock::new(ticks.clone());
    let follow_ups = FollowUps::standard(ticks.clone());
    let publisher = Publisher::start(operator(&env, &clock).await, clock, follow_ups, &"i".repeat(300));
    let secret = env.api::<Secret>().get("digitalocean").await.unwrap();
    let about: ObjectReference = secret.object_ref(&());
    let tell = || publisher.publish(&about, EventKind::Warning, Reason::WrongAccount, "ü".repeat(4000));
    let events = env.api::<Event>();
    let ours = |list: &[Event]| list.iter().filter(|event| event.reason.as_deref() == Some("WrongAccount")).count();

    tell();
    wait_for_all(&events, "the event", |list| ours(list) == 1).await;
    ticks.advance(Duration::from_secs(9 * 60));
    tell();
    ticks.advance(Duration::from_secs(9 * 60));
    tell();
    let list = wait_for_all(&events, "its series", |list| list.iter().any(|event| event.series.is_some())).await;
    assert_eq!(ours(&list), 1);
    let event = list.iter().find(|event| event.series.is_some()).unwrap();
    assert_eq!(event.series.as_ref().unwrap().count, 3);
    assert_eq!(event.note.as_ref().unwrap().len(), 1024);
    assert_eq!(event.regarding.as_ref().unwrap().uid, secret.metadata.uid);
}
