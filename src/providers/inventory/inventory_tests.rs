use super::*;
use crate::providers::{CreateRequest, ErrorClass, Instance, InstancePhase, Listing, Marks};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use std::time::Duration;

/// A cloud of which only listings are asked; they are counted.
#[derive(Default)]
struct Fake {
    instances: Mutex<Vec<Instance>>,
    fails: Mutex<Option<ErrorClass>>,
    listed: Mutex<u32>,
}

fn never<T>() -> Result<T, ProviderError> {
    unreachable!("an inventory only lists")
}

#[async_trait]
impl Provider for Fake {
    async fn account(&self) -> Result<Account, ProviderError> {
        never()
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        let began = Instant::now();
        *lock(&self.listed) += 1;
        match *lock(&self.fails) {
            Some(class) => Err(ProviderError { class, operation: "list", message: "no".to_owned() }),
            None => Ok(Listing { began, instances: lock(&self.instances).clone(), pages: 1 }),
        }
    }
    async fn get(&self, _: &str) -> Result<Instance, ProviderError> {
        never()
    }
    async fn create(&self, _: &CreateRequest) -> Result<Instance, ProviderError> {
        never()
    }
    async fn delete(&self, _: &str) -> Result<(), ProviderError> {
        never()
    }
    async fn name_available(&self, _: &str) -> Result<bool, ProviderError> {
        never()
    }
    async fn console(&self, _: &str) -> Result<crate::providers::ConsoleAddress, ProviderError> {
        never()
    }
    async fn usd_per_second(&self, _: &str) -> Result<f64, ProviderError> {
        never()
    }
    async fn fit(&self, _: &crate::api::ProviderSpec) -> Result<crate::providers::Fit, ProviderError> {
        never()
    }
}

fn instance(name: &str) -> Instance {
    let marks = Marks {
        installation: "ours".to_owned(),
        namespace: "ns".to_owned(),
        name: format!("{name}-box"),
        uid: format!("{name}-uid"),
        attempt: 1,
        pool_uid: "pool".to_owned(),
        spec_hash: "hash".to_owned(),
    };
    Instance {
        id: name.to_owned(),
        name: name.to_owned(),
        marks: Some(marks),
        phase: InstancePhase::Starting,
        deployment_id: None,
        url: None,
        created_at: None,
    }
}

/// Periods short enough to see several listings; a burst of them is allowed.
fn timing() -> Timing {
    let millis = Duration::from_millis;
    Timing { listing_period: millis(20), listing_slow: millis(60), ..Timing::default() }
}

fn account() -> Account {
    Account("team".to_owned())
}

/// Waits for the next item, with a bound.
async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> T {
    let within = tokio::time::timeout(Duration::from_secs(20), stream.next());
    within.await.expect("in time").expect("the inventory lives")
}

#[tokio::test]
async fn one_listing_serves_everybody_who_wants_the_account() {
    let (inventory, cloud) = (Inventory::new("ours", &timing()), Arc::new(Fake::default()));
    lock(&cloud.instances).push(instance("a"));
    let mut listings = Box::pin(inventory.listings());
    assert!(inventory.view(&account()).is_none());
    for _ in 0..50 {
        inventory.clone().want(&account(), cloud.clone(), Urgency::InFlight);
    }
    assert_eq!(next(&mut listings).await, account());
    assert_eq!(*lock(&cloud.listed), 1);
    let view = inventory.view(&account()).expect("listed");
    assert!(view.by_name("a").is_some() && view.previous_began.is_none());
}

#[tokio::test]
async fn absence_takes_two_listings_that_began_afterwards_s2() {
    let (inventory, cloud) = (Inventory::new("ours", &timing()), Arc::new(Fake::default()));
    let mut listings = Box::pin(inventory.listings());
    inventory.want(&account(), cloud.clone(), Urgency::InFlight);
    next(&mut listings).await;
    let after = Instant::now();
    assert!(!inventory.absent_since(&account(), "a", after), "the listing is older");
    next(&mut listings).await;
    assert!(!inventory.absent_since(&account(), "a", after), "one is not enough");
    next(&mut listings).await;
    assert!(inventory.absent_since(&account(), "a", after));
    let view = inventory.view(&account()).expect("listed");
    assert!(view.previous_began.is_some_and(|began| after < began && began < view.listing.began));
    lock(&cloud.instances).push(instance("a"));
    next(&mut listings).await;
    assert!(!inventory.absent_since(&account(), "a", after));
    assert!(!inventory.absent_since(&Account("other".to_owned()), "a", after), "an account nobody listed");
}

#[tokio::test]
async fn a_failed_listing_keeps_the_old_view_and_says_why_s3() {
    let (inventory, cloud) = (Inventory::new("ours", &timing()), Arc::new(Fake::default()));
    lock(&cloud.instances).push(instance("a"));
    let (mut listings, mut turns) = (Box::pin(inventory.listings()), Box::pin(inventory.turns()));
    inventory.want(&account(), cloud.clone(), Urgency::InFlight);
    next(&mut listings).await;
    let began = inventory.view(&account()).expect("listed").listing.began;
    *lock(&cloud.fails) = Some(ErrorClass::Unknown);
    lock(&cloud.instances).clear();
    assert_eq!(next(&mut turns).await, account());
    assert!(inventory.last_error(&account()).is_some());
    assert_eq!(inventory.view(&account()).expect("kept").listing.began, began);
    *lock(&cloud.fails) = None;
    assert_eq!(next(&mut listings).await, account());
    assert!(inventory.last_error(&account()).is_none());
    assert_eq!(next(&mut turns).await, account());
    next(&mut listings).await;
    assert!(turns.next().now_or_never().is_none(), "it works as before");
    assert!(inventory.view(&account()).expect("new").by_name("a").is_none());
}

#[tokio::test]
async fn sandboxes_hear_of_their_instances_and_silence_means_no_change_s10() {
    let (inventory, cloud) = (Inventory::new("ours", &timing()), Arc::new(Fake::default()));
    let (mut changes, mut listings) = (Box::pin(inventory.changes()), Box::pin(inventory.listings()));
    lock(&cloud.instances).push(instance("a"));
    inventory.want(&account(), cloud.clone(), Urgency::Level);
    next(&mut listings).await;
    assert_eq!(next(&mut changes).await.uid, "a-uid");
    next(&mut listings).await;
    assert!(changes.next().now_or_never().is_none(), "nothing changed");
    lock(&cloud.instances)[0].phase = InstancePhase::Running;
    assert_eq!(next(&mut changes).await.name, "a-box");
    lock(&cloud.instances).clear();
    assert_eq!(next(&mut changes).await.namespace, "ns");
}

#[tokio::test]
async fn a_rotated_token_lists_from_then_on() {
    let (inventory, old, new) =
        (Inventory::new("ours", &timing()), Arc::new(Fake::default()), Arc::new(Fake::default()));
    let mut listings = Box::pin(inventory.listings());
    inventory.want(&account(), old.clone(), Urgency::InFlight);
    next(&mut listings).await;
    inventory.want(&account(), new.clone(), Urgency::InFlight);
    next(&mut listings).await;
    assert_eq!((*lock(&old.listed), *lock(&new.listed)), (1, 1));
}

#[tokio::test]
async fn listing_ends_with_the_last_inventory() {
    let (inventory, cloud) = (Inventory::new("ours", &timing()), Arc::new(Fake::default()));
    let mut listings = Box::pin(inventory.listings());
    inventory.want(&account(), cloud.clone(), Urgency::Level);
    next(&mut listings).await;
    drop(inventory);
    let over = async {
        while Arc::strong_count(&cloud) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over).await.expect("the task lets go of the provider");
}
