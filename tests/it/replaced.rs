//! What the demo that Sandbar replaces did wrong: each of its troubles has a test that fails on the behaviour described
//! there.

use std::process::Stdio;
use std::time::Duration;

use sandbar::cloudsim::admin::{Fault, Op, Rule, Shape, State};
use serde_json::json;
use tokio::process::Command;

use crate::games::{GAMES, Games};
use crate::scene::name;
use crate::wait::{eventually, holds, wait_gone};

/// It wanted 3 sandboxes and had 9, with nobody there: creates that failed left apps behind, and what users had held
/// was replaced again and again.
#[tokio::test]
async fn warm_pool_over_provisioning_and_sandbox_churn() {
    let games = Games::start("old-churn").await;
    let scene = &games.stage.scene;
    // The first creates time out, after they have made an app.
    let unclear = Rule::new(Fault::ErrorAfter(Shape::Html { status: 504 })).on([Op::Create]).times(2);
    scene.env.sim.set_rules(&scene.env.account, [unclear]).await.expect("the cloud takes the rule");
    games.pool("games-python").await;
    games.level("games-python", 2).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing, totals.peak), (2, 2, 2), "one app for each, whatever was answered");
    scene.listings(4).await;
    let quiet = scene.totals().await;
    assert_eq!((quiet.made, quiet.existing), (2, 2), "nobody asked for anything");

    let held = scene.claim_one("run-1", "3s").await;
    scene.books_show("one app more, for what was taken", |totals| totals.made == 3).await;
    wait_gone(&scene.sandboxes, &name(&held)).await;
    games.level("games-python", 2).await;
    scene.books_show("its app gone", |totals| totals.existing == 2).await;
    scene.listings(4).await;
    let after = scene.totals().await;
    assert_eq!((after.made, after.existing, after.peak), (3, 2, 3), "what ended is not replaced once more");
    scene.sound(3).await;
}

/// Two of three games share the one warm pool; the third waits for a sandbox of its own, and nothing is kept for it.
#[tokio::test]
async fn single_warm_python_pool_and_tic_tac_toe_by_cold_start() {
    let games = Games::with_pools("old-pools").await;
    let gateway = games.gateway().await;
    let scene = &games.stage.scene;
    assert_eq!(scene.totals().await.made, 2, "nothing is made for the Node pool");

    for (game, start) in [("tic-tac-toe", "Cold"), ("snake", "Warm"), ("memory", "Warm")] {
        let run = games.launch(&gateway, "warm", game).await;
        let told = games.until_ready(&gateway, &run).await;
        let status = games.status(&gateway, &run).await;
        assert_eq!((&status["status"], &status["start"]), (&json!("running"), &json!(start)), "{status}\n{told:#?}");
        games.stop(&gateway, &run).await;
        games.level("games-python", 2).await;
    }
    games.level("games-node", 0).await;
    scene.books_show("two apps are left", |totals| totals.existing == 2).await;
    // Those of the level, one for Tic-Tac-Toe, one for each that was taken.
    assert_eq!(scene.totals().await.made, 5);
    scene.sound(4).await;
}

/// `curl -m 5` of a launch's stream got no byte, neither while the launch went on nor after it.
#[tokio::test]
async fn sse_log_streaming_works_whenever_it_is_opened() {
    let games = Games::with_pools("old-stream").await;
    let gateway = games.gateway().await;
    let curl = async |run: &str, within: &str| {
        let mut command = Command::new("curl");
        command.args(["-sN", "-D", "-", "-m", within]).arg(format!("{}/api/stream/{run}", gateway.url));
        let output = command.stdin(Stdio::null()).output().await.expect("curl runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let run = games.launch(&gateway, "warm", "snake").await;
    games.until_ready(&gateway, &run).await;
    // The game goes on, and so does the stream: curl ends it.
    let late = curl(&run, "5").await;
    for told in ["HTTP/1.1 200", "text/event-stream", "Acquiring sandbox from warm pool...", "ms (pool hit)"] {
        assert!(late.contains(told), "{told:?} is not in:\n{late}");
    }
    assert!(late.contains("Deploying snake from snapshot...") && late.contains("Snake is ready"), "{late}");
    games.stop(&gateway, &run).await;
    games.stage.scene.ended(&run, "Released").await;
    let over = curl(&run, "60").await;
    assert!(over.contains("Snake is ready") && over.contains("event: end"), "{over}");

    // One that cannot begin says so, too.
    let scene = &games.stage.scene;
    let outage = Rule::new(Fault::ErrorBefore(Shape::Html { status: 503 })).on([Op::Create]);
    scene.env.sim.set_rules(&scene.env.account, [outage]).await.expect("the cloud takes the rule");
    let waits = games.launch(&gateway, "cold", "tic-tac-toe").await;
    let told = curl(&waits, "5").await;
    assert!(told.contains("HTTP/1.1 200") && told.contains("id: 1\n"), "{told}");
}

/// Only Snake had ever been seen to work.
#[tokio::test]
async fn tic_tac_toe_and_memory_games_work() {
    let games = Games::with_pools("old-games").await;
    let gateway = games.gateway().await;
    for (game, _, _) in GAMES {
        let run = games.launch(&gateway, "cold", game).await;
        let told = games.until_ready(&gateway, &run).await;
        assert!(told.iter().any(|frame| frame.message().starts_with("Files restored from snapshot: ")), "{told:#?}");
        let status = games.status(&gateway, &run).await;
        let link = status["ingress_url"].as_str().unwrap_or_else(|| panic!("no link: {status}\n{told:#?}"));
        let page = games.opened(link).await;
        assert!(page.contains("<title>"), "{game}: {page}");
        let files: Vec<&str> = ["src=\"", "href=\""]
            .into_iter()
            .flat_map(|mark| page.split(mark).skip(1).filter_map(|rest| rest.split('"').next()))
            .filter(|file| file.ends_with(".js") || file.ends_with(".css") || file.ends_with(".mjs"))
            .collect();
        assert!(files.len() >= 2, "{game} has its script and its style: {page}");
        for file in files {
            let address = reqwest::Url::parse(link).and_then(|link| link.join(file)).expect("an address");
            assert!(games.opened(address.as_str()).await.len() > 100, "{address}");
        }
        games.stop(&gateway, &run).await;
        games.stage.scene.ended(&run, "Released").await;
    }
    games.stage.scene.sound(5).await;
}

/// Nobody could tell whether the pool or what launches from it had made all those apps: every app belongs to a Sandbox
/// that says so, and gateways that come and go make none.
#[tokio::test]
async fn every_app_has_an_owner_that_says_so_with_and_without_a_launcher() {
    let games = Games::with_pools("old-owner").await;
    let scene = &games.stage.scene;
    let owned = async || {
        let members = scene.members().await;
        let instance = |member: &sandbar::api::Sandbox| member.instance().and_then(|instance| instance.id.clone());
        let mut told: Vec<String> = members.iter().filter_map(instance).collect();
        let ledger = scene.ledger().await;
        let mut there: Vec<String> =
            ledger.existing().filter(|app| app.state != State::Deleting).map(|app| app.id.clone()).collect();
        told.sort();
        there.sort();
        if told == there {
            Ok(there.len())
        } else {
            Err(format!("the cloud has {there:?}, Sandboxes tell of {told:?}"))
        }
    };
    assert_eq!(eventually("the books agree", owned).await, 2);
    scene.listings(4).await;
    assert_eq!(scene.totals().await.made, 2, "alone, the pool makes its level and no more");

    for _ in 0..3 {
        let gateway = games.gateway().await;
        let other = games.gateway().await;
        games.status(&gateway, "run-none").await;
        other.stop().await;
        drop(gateway);
    }
    holds(Duration::from_secs(2), "two apps, each with its Sandbox", async || match owned().await {
        Ok(2) => Ok(()),
        Ok(other) => Err(format!("{other} apps")),
        Err(error) => Err(error),
    })
    .await;
    let gateway = games.gateway().await;
    let run = games.launch(&gateway, "warm", "snake").await;
    games.until_ready(&gateway, &run).await;
    games.level("games-python", 2).await;
    assert_eq!(eventually("the books agree", owned).await, 3);
    assert_eq!(scene.totals().await.made, 3);
    games.stop(&gateway, &run).await;
    scene.books_show("the level alone", |totals| totals.existing == 2).await;
    scene.sound(3).await;
}
