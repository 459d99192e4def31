//! The waits that other tests build on: they end when they should, and fail
//! with what they saw.

use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::wait::{eventually_within, holds, wait_for_all, wait_for_within, wait_gone};
use crate::world::World;

fn map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..Default::default() }, ..Default::default() }
}

/// The message of the panic that `future` ends in.
async fn panic_of<T>(future: impl Future<Output = T>) -> String {
    let panic = std::panic::AssertUnwindSafe(future).catch_unwind().await.err().expect("a panic");
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[tokio::test]
async fn a_wait_that_times_out_prints_the_object_as_it_is() {
    let env = World::get().await.test("wait-late").await;
    let maps: Api<ConfigMap> = env.api();
    maps.create(&PostParams::default(), &map("m")).await.unwrap();
    let short = Duration::from_secs(2);
    let said = panic_of(wait_for_within(short, &maps, "m", "data", |map| map.data.is_some())).await;
    assert!(said.contains("waiting for m: data") && said.contains("name: m"), "{said}");
    let said = panic_of(wait_for_within(short, &maps, "none", "there", |_| true)).await;
    assert!(said.contains("waiting for none: there") && said.contains("null"), "{said}");
}

#[tokio::test]
async fn a_list_is_judged_whole_and_again_after_every_change() {
    let env = World::get().await.test("wait-list").await;
    let maps: Api<ConfigMap> = env.api();
    let both = wait_for_all(&maps, "two", |all| all.len() == 2);
    let make = async {
        for name in ["b", "a"] {
            maps.create(&PostParams::default(), &map(name)).await.unwrap();
        }
    };
    let (found, ()) = tokio::join!(both, make);
    let names: Vec<_> = found.into_iter().map(|map| map.metadata.name.unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    let (_, gone) = tokio::join!(wait_gone(&maps, "a"), async { maps.delete("a", &DeleteParams::default()).await });
    gone.unwrap();
    wait_for_all(&maps, "one", |all| all.len() == 1).await;
}

#[tokio::test]
async fn polls_fail_with_what_they_saw_last() {
    let short = Duration::from_millis(200);
    let said = panic_of(eventually_within(short, "seven", async || Err::<(), _>("three"))).await;
    assert!(said.contains("not seven") && said.contains("three"), "{said}");
    let calls = std::cell::Cell::new(0);
    let twice = async || {
        calls.set(calls.get() + 1);
        if calls.get() < 3 { Ok(()) } else { Err("a third") }
    };
    let said = panic_of(holds(Duration::from_secs(60), "two", twice)).await;
    assert!(said.contains("no longer two") && said.contains("a third"), "{said}");
}
