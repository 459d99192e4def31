use super::*;
use crate::providers::InstancePhase;
use futures::executor::block_on;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// What happens to the cloud between two reads.
#[derive(Clone, Debug)]
enum Happening {
    Nothing,
    /// The app at this share of the list ends.
    End(f64),
    /// A new app stands first.
    First,
    /// A new app stands last.
    Last,
}

/// A cloud that changes after each page it serves.
struct Cloud {
    apps: RefCell<Vec<usize>>,
    next_id: RefCell<usize>,
    script: RefCell<Vec<Happening>>,
    /// What a lying count adds.
    miscount: usize,
    reads: RefCell<u32>,
}

impl Cloud {
    fn new(apps: usize, mut script: Vec<Happening>) -> Self {
        script.reverse();
        Self {
            apps: RefCell::new((0..apps).collect()),
            next_id: RefCell::new(apps),
            script: RefCell::new(script),
            miscount: 0,
            reads: RefCell::new(0),
        }
    }

    fn happen(&self) {
        let mut apps = self.apps.borrow_mut();
        let id = || {
            *self.next_id.borrow_mut() += 1;
            *self.next_id.borrow()
        };
        match self.script.borrow_mut().pop().unwrap_or(Happening::Nothing) {
            Happening::Nothing => {}
            Happening::End(share) if !apps.is_empty() => {
                let index = (share * apps.len() as f64) as usize;
                apps.remove(index);
            }
            Happening::End(_) => {}
            Happening::First => apps.insert(0, id()),
            Happening::Last => apps.push(id()),
        }
    }
}

fn instance(id: usize) -> Instance {
    Instance {
        id: id.to_string(),
        name: String::new(),
        marks: None,
        phase: InstancePhase::Running,
        deployment_id: None,
        url: None,
        created_at: None,
    }
}

impl Pages for Cloud {
    async fn page(&self, number: usize) -> Result<Page, ProviderError> {
        *self.reads.borrow_mut() += 1;
        let apps = self.apps.borrow().clone();
        let page = apps.iter().skip((number - 1) * PER_PAGE).take(PER_PAGE).map(|id| Some(instance(*id))).collect();
        self.happen();
        Ok(Page { instances: page, total: apps.len() + self.miscount })
    }
}

fn ids(complete: &Complete) -> BTreeSet<usize> {
    complete.instances.iter().map(|instance| instance.id.parse().expect("a number")).collect()
}

#[test]
fn a_small_account_takes_one_call_and_a_large_one_reads_each_page_but_the_last_twice() {
    for (apps, calls) in [(0, 1), (1, 1), (100, 1), (101, 3), (1_000, 19)] {
        let complete = block_on(read(&Cloud::new(apps, vec![]))).expect("quiet");
        assert_eq!((ids(&complete).len(), complete.calls), (apps, calls));
    }
}

#[test]
fn an_app_that_slips_into_a_page_already_read_is_still_seen_s3() {
    let complete = block_on(read(&Cloud::new(150, vec![Happening::End(0.0)]))).expect("restarted");
    assert!(ids(&complete).is_superset(&(1..150).collect()));
}

#[test]
fn a_count_that_does_not_fit_is_an_error_s3() {
    let cloud = Cloud { miscount: 1, ..Cloud::new(40, vec![]) };
    let error = block_on(read(&cloud)).expect_err("one is missing");
    assert!(matches!(error, ListingError::Miscounted { seen: 40, total: 41 }), "{error}");
}

#[test]
fn a_listing_that_never_rests_is_given_up() {
    let cloud = Cloud::new(150, vec![Happening::First; 10_000]);
    let error = block_on(read(&cloud)).expect_err("it never rests");
    assert!(matches!(error, ListingError::Restless(_)), "{error}");
    assert!(*cloud.reads.borrow() < 60);
}

struct Nameless;

impl Pages for Nameless {
    async fn page(&self, _: usize) -> Result<Page, ProviderError> {
        Ok(Page { instances: vec![None], total: 1 })
    }
}

#[test]
fn an_app_without_id_spoils_the_listing_s3() {
    assert!(matches!(block_on(read(&Nameless)), Err(ListingError::Nameless)));
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => Just(Happening::Nothing),
        2 => (0.0..1.0).prop_map(Happening::End),
        1 => Just(Happening::First),
        1 => Just(Happening::Last),
    ]
}

proptest! {
    /// Whatever happens between reads: who lived throughout is in a listing
    /// that calls itself complete.
    #[test]
    fn a_complete_listing_misses_nobody_who_lived_throughout_s3(
        apps in 0_usize..650,
        script in proptest::collection::vec(happening(), 0..40),
    ) {
        let cloud = Cloud::new(apps, script);
        if let Ok(complete) = block_on(read(&cloud)) {
            let survivors: BTreeSet<usize> = cloud.apps.borrow().iter().copied().filter(|id| *id < apps).collect();
            prop_assert!(ids(&complete).is_superset(&survivors));
        }
    }
}
