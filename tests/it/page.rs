//! The page: how it is served, and how it is used, by a real browser against a real world.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kube::api::PostParams;
use reqwest::{Client, Response, StatusCode, header};
use sandbar::api::SandboxPool;
use sandbar::cloudsim::admin::{AccountSettings, Seconds, Timings};
use sandbar::dev::install::service_account_token;
use sandbar::dev::nursery::die_with_parent;
use sandbar::gateway::Settings;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::games::Games;
use crate::gateway::Stand;
use crate::world::quick_account;

const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
const CHROMIUM: &str = "/usr/bin/chromium";
/// All scenes, on a machine whose cores are shared.
const WITHIN: Duration = Duration::from_secs(900);
/// All script that a visitor may be sent, compressed, in bytes.
const MOST_SCRIPT: usize = 100_000;

/// Whether the page was built; programs carry what was there when they were.
fn is_built() -> bool {
    Path::new(WEB).join("dist/index.html").exists()
}

fn told<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_with_a_strict_policy_and_fits_its_size() {
    let stand = Stand::start("page-served").await;
    let gateway = stand.gateway(Settings::default()).await;
    let (http, url) = (Client::new(), gateway.url.clone());
    let index = http.get(&url).send().await.expect("an answer");
    if !is_built() {
        assert_eq!(index.status(), StatusCode::NOT_FOUND);
        let said = index.text().await.expect("text");
        assert!(said.starts_with("this build of sandbar has no page: `make build` makes one"), "{said}");
        return;
    }
    assert_eq!((index.status(), told(&index, "cache-control")), (StatusCode::OK, "no-cache"));
    let policy = told(&index, "content-security-policy");
    assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let sniffing = (told(&index, "x-content-type-options"), told(&index, "referrer-policy"));
    assert_eq!(sniffing, ("nosniff", "no-referrer"));
    let tag = told(&index, "etag").to_owned();
    let again = http.get(&url).header(header::IF_NONE_MATCH, tag).send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    let page = index.text().await.expect("text");
    let mut script = 0;
    for asset in assets() {
        let address = format!("{url}/assets/{asset}");
        let answer = http.get(&address).header(header::ACCEPT_ENCODING, "gzip").send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{asset}");
        assert_eq!(told(&answer, "cache-control"), "public, max-age=31536000, immutable", "{asset}");
        if asset.ends_with(".js") {
            assert_eq!((told(&answer, "content-encoding"), told(&answer, "vary")), ("gzip", "accept-encoding"));
            let sent = answer.bytes().await.expect("bytes");
            assert_eq!(sent[..2], [0x1f, 0x8b], "{asset}");
            script += sent.len();
            let plain = http.get(&address).send().await.expect("an answer");
            assert_eq!(
                (told(&plain, "content-encoding"), told(&plain, "content-type")),
                ("", "text/javascript; charset=utf-8")
            );
        }
    }
    assert!(script > 0 && script < MOST_SCRIPT, "{script} bytes of script");
    assert!(assets().iter().any(|asset| page.contains(asset)) && !page.contains("<style"), "{page}");
    let missing = http.get(format!("{url}/assets/none.js")).send().await.expect("an answer");
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

/// The files of the page that have a digest in their name.
fn assets() -> BTreeSet<String> {
    let entries = std::fs::read_dir(Path::new(WEB).join("dist/assets")).expect("the page's files");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".gz")).collect()
}

/// An account in which creating takes as long as one can see.
fn leisurely(token: String) -> AccountSettings {
    let quick = quick_account(token);
    AccountSettings { timings: Timings { ready_seconds: Seconds::Fixed(2.5), ..quick.timings }, ..quick }
}

/// A further pool with the apps of one that is there.
async fn like(games: &Games, of: &str, name: &str, target: i32) {
    let pools = &games.stage.scene.pools;
    let mut pool = SandboxPool::new(name, pools.get(of).await.expect("the pool").spec);
    pool.spec.warm.target = target;
    pools.create(&PostParams::default(), &pool).await.expect("the API server takes it");
}

/// Snake, Memory and Tic-Tac-Toe are launched warm and cold, played, followed late and through a lost network, by mouse,
/// keys and finger; refusals and tokens are what they should be. The scenes are in `web/e2e/scenes.mjs`.
#[tokio::test(flavor = "multi_thread")]
async fn people_play_on_the_page_in_a_real_browser() {
    if !Path::new(CHROMIUM).exists() {
        eprintln!("SKIPPED: there is no {CHROMIUM} to play on the page with");
        return;
    }
    assert!(is_built(), "the page is not built: run `make build` first");
    let games = Games::with_pools("page-played").await;
    like(&games, "games-python", "games-python-cold", 0).await;
    like(&games, "games-node", "games-node-warm", 1).await;
    games.level("games-node-warm", 1).await;
    let env = &games.stage.scene.env;
    env.sim.put_account(&env.account, &leisurely(env.token.clone())).await.expect("an account");
    let (open, guarded) = (games.gateway().await, games.guarded().await);
    let token = service_account_token(&env.client, &env.namespace, "user").await.expect("a token");

    let mut driver = Command::new("node");
    driver.arg("e2e/play.mjs").current_dir(WEB).env("SANDBAR_PAGE", &open.url).env("SANDBAR_GUARDED", &guarded.url);
    driver.env("SANDBAR_TOKEN", token).env("CHROMIUM", CHROMIUM);
    driver.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    die_with_parent(driver.as_std_mut());
    let played = timeout(WITHIN, driver.output()).await.expect("it ends in time").expect("node runs");
    let said = String::from_utf8_lossy(&played.stdout).into_owned() + &String::from_utf8_lossy(&played.stderr);
    println!("{said}");
    assert!(played.status.success(), "{said}");
    let shown = reqwest::get(format!("{}/v1/pools", open.url)).await.expect("an answer");
    let shown: serde_json::Value = shown.json().await.expect("JSON");
    let python = shown["pools"].as_array().into_iter().flatten().find(|pool| pool["name"] == "games-python");
    let python = python.expect("the pool");
    assert!(python["lead_time_seconds"].is_number(), "{python}");
    assert!(python["cost"]["unused_usd_per_hour"].is_string() && python["cost"]["spent_usd"].is_null(), "{python}");
    assert_ne!(python["hit_rate"], json!(null), "{python}");
    open.stop().await;
    guarded.stop().await;
}
