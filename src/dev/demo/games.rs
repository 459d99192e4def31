//! Games are launched over HTTP, as the page does it: one from a warm sandbox, one that waits for its own.

use std::path::Path;
use std::time::Duration;

use rust_embed::Embed;
use serde_json::{Value, json};

use super::level::books;
use super::report::Report;
use super::stage::{Stage, failed, until};
use crate::failure::Failure;

/// The examples that ship.
#[derive(Embed)]
#[folder = "deploy/examples/apps"]
#[include = "*/*"]
#[exclude = "*/tests/*"]
#[exclude = "*/__pycache__/*"]
struct Apps;

const APPS: &str = "apps";
const WARM_POOL: (&str, &str) =
    ("pool-games-python.yaml", include_str!("../../../deploy/examples/pool-games-python.yaml"));
const COLD_POOL: (&str, &str) = ("pool-games-node.yaml", include_str!("../../../deploy/examples/pool-games-node.yaml"));
const GAMES: [(&str, &str); 3] =
    [("snake", "snake-python"), ("memory", "memory-python"), ("tic-tac-toe", "tictactoe-node")];
/// More than a launch takes, on a busy machine too.
const WITHIN: Duration = Duration::from_secs(120);

/// Publishes the games, makes their pools, and launches two.
pub async fn launch(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("Games, launched over HTTP: Snake from a warm sandbox, Tic-Tac-Toe from one that is made for it");
    for file in Apps::iter() {
        let data = Apps::get(&file).ok_or_else(|| Failure::new(format!("{file} is not in this program")))?;
        stage.write_below(&Path::new(APPS).join(&*file), &data.data)?;
    }
    for (game, snapshot) in GAMES {
        let folder = format!("{APPS}/{game}");
        stage.sandbar(report, &["app", "publish", &folder, "--app", game, "--snapshot", snapshot]).await?;
    }
    for (name, text) in [WARM_POOL, COLD_POOL] {
        stage.write(name, text)?;
        stage.kubectl(report, &["apply", "-f", name]).await?;
    }
    stage.kubectl(report, &["wait", "sbp/games-python", "--for=jsonpath={.status.warm}=2", "--timeout=90s"]).await?;
    let warm = play(stage, report, "warm", "snake").await?;
    let cold = play(stage, report, "cold", "tic-tac-toe").await?;
    report.note("a warm launch: playable", warm.1, warm.0);
    report.note("a cold launch: playable", cold.1, cold.0);
    Ok(())
}

/// Takes the pools of the games away again.
pub async fn clear(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("The games end");
    for (name, _) in [WARM_POOL, COLD_POOL] {
        stage.kubectl(report, &["delete", "-f", name, "--wait=false"]).await?;
    }
    stage.kubectl(report, &["delete", "sandboxes", "-l", "!sandbar.dev/pool", "--timeout=90s"]).await?;
    until(WITHIN, "no app left", async || Ok((books(stage).await?.left == 0).then_some(()))).await?;
    let books = books(stage).await?;
    report.note("the games: none left", (books.left, books.twice) == (0, 0), format!("{} apps", books.left));
    Ok(())
}

/// Launches a game, tells what happens, and opens it; what was seen, and whether it can be played.
async fn play(stage: &Stage, report: &Report, how: &str, game: &str) -> Result<(String, bool), Failure> {
    let (http, gateway) = (reqwest::Client::builder().timeout(WITHIN).build().map_err(failed)?, stage.gateway_url());
    let (path, wish) = (format!("/api/launch/{how}"), json!({"game": game, "use_snapshot": true}));
    let answer = http.post(format!("{gateway}{path}")).json(&wish).send().await.map_err(failed)?;
    let launched: Value = answer.json().await.map_err(failed)?;
    report.show(&format!("curl $GATEWAY_URL{path} -d '{wish}'"), &launched.to_string());
    let address = |name: &str| {
        let path = launched[name].as_str().ok_or_else(|| Failure::new(format!("{path} answers {launched}")));
        path.map(|path| format!("{gateway}{path}"))
    };
    let stream = http.get(format!("{}?until=ready", address("stream_url")?)).send().await.map_err(failed)?;
    let events = stream.text().await.map_err(failed)?;
    let messages = events.lines().filter_map(|line| line.strip_prefix("data: "));
    let told =
        messages.filter_map(|data| Some(serde_json::from_str::<Value>(data).ok()?["message"].as_str()?.to_owned()));
    report.show("curl -N $GATEWAY_URL/api/stream/...?until=ready", &told.collect::<Vec<_>>().join("\n"));
    let status: Value = http.get(address("status_url")?).send().await.map_err(failed)?.json().await.map_err(failed)?;
    let Some(link) = status["ingress_url"].as_str() else { return Ok((format!("no link: {status}"), false)) };
    let page = http.get(link).send().await.map_err(failed)?;
    let held = page.status().is_success() && page.text().await.map_err(failed)?.contains("<title>");
    let start = status["start"].as_str().unwrap_or("no start");
    let took = status["timings"]["total_ms"].as_f64().unwrap_or_default() / 1000.0;
    Ok((format!("{game}: {start}, ready after {took:.1} s"), held))
}
