//! Launching an app: one request, made once for each key, and an answer right after it is stored.

use super::body::{Body, Fields};
use super::caller::{Caller, Right};
use super::pools::{Pool, Prefer, choose};
use super::refused::Refused;
use super::run::{Run, State};
use super::{Desk, Dialect, Shared};
use crate::api::{App, AppRef, AppSource, Span, short_hash};
use crate::claims::{Fault, RequestError, RequestWish, fresh_id};
use axum::Json;
use axum::extract::State as Given;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a request stays after its end: as long as launches are counted.
const KEEP_ENDED: Span = Span::hours(1);
/// Header by which a launch that is asked for again is the same.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest such key, in bytes.
const LONGEST_KEY: usize = 128;

/// `POST /api/launch/warm` and `/api/launch/cold`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GameWish {
    /// Name of the game.
    #[schemars(required)]
    game: Option<String>,
    /// Whether its files come from its snapshot, if it has one; else from git.
    use_snapshot: Option<bool>,
}

impl Fields for GameWish {
    const NAMES: &'static [&'static str] = &["game", "use_snapshot"];
}

/// `POST /v1/launches`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AppWish {
    /// Name of the app.
    #[schemars(required)]
    app: Option<String>,
    /// Name of the pool; else whichever has the app.
    pool: Option<String>,
    /// Where its files come from.
    source: Option<Source>,
    /// How long the run lives; else as the pool says.
    ttl: Option<Span>,
}

impl Fields for AppWish {
    const NAMES: &'static [&'static str] = &["app", "pool", "source", "ttl"];
}

/// Where the files of an app come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LaunchSource")]
enum Source {
    Snapshot,
    Git,
    Image,
}

impl From<Source> for AppSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Snapshot => Self::Snapshot,
            Source::Git => Self::Git,
            Source::Image => Self::Image,
        }
    }
}

/// A launch, however it was asked for.
struct Wish {
    app: String,
    /// Name of the field that the app stands in.
    named: &'static str,
    pool: Option<String>,
    prefer: Prefer,
    source: Option<(&'static str, AppSource)>,
    ttl: Option<Span>,
}

/// A launch that is on its way: 202.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Launched {
    run_id: String,
    status: State,
    stream_url: String,
    status_url: String,
}

/// `POST /api/launch/warm`.
pub async fn warm(
    Given(desk): Given<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Body(wish): Body<GameWish>,
) -> Result<Response, Refused> {
    launch(&desk, &caller, &headers, wish.into_wish(Prefer::Warm)?, Dialect::Games).await
}

/// `POST /api/launch/cold`.
pub async fn cold(
    Given(desk): Given<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Body(wish): Body<GameWish>,
) -> Result<Response, Refused> {
    launch(&desk, &caller, &headers, wish.into_wish(Prefer::Cold)?, Dialect::Games).await
}

/// `POST /v1/launches`.
pub async fn app(
    Given(desk): Given<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Body(wish): Body<AppWish>,
) -> Result<Response, Refused> {
    let app = wish.app.ok_or_else(|| Refused::field("app", "is missing; give the name of an app, see GET /v1/apps"))?;
    let wish = Wish {
        app,
        named: "app",
        pool: wish.pool,
        prefer: Prefer::Any,
        source: wish.source.map(|source| ("source", source.into())),
        ttl: wish.ttl,
    };
    launch(&desk, &caller, &headers, wish, Dialect::V1).await
}

impl GameWish {
    fn into_wish(self, prefer: Prefer) -> Result<Wish, Refused> {
        let missing = || Refused::field("game", "is missing; give the name of a game, see GET /v1/apps");
        let app = self.game.ok_or_else(missing)?;
        // With a snapshot means: with one if there is one, which is what an app does anyway.
        let source = (self.use_snapshot == Some(false)).then_some(("use_snapshot", AppSource::Git));
        Ok(Wish { app, named: "game", pool: None, prefer, source, ttl: None })
    }
}

async fn launch(
    desk: &Desk,
    caller: &Caller,
    headers: &HeaderMap,
    wish: Wish,
    dialect: Dialect,
) -> Result<Response, Refused> {
    desk.access.allow(caller, Right::Launch, None).await?;
    check_name(wish.named, &wish.app)?;
    let holder = caller.holder();
    let key = key(headers)?;
    let id = key.map_or_else(fresh_id, |key| id_of(desk.claims.namespace(), &holder, key));
    if key.is_some()
        && let Some(run) = desk.find(&id).await?
    {
        return again(&run, &wish, dialect);
    }
    let (pool, app) = pool_of(desk, &wish).await?;
    check_ttl(caller, &pool, wish.ttl)?;
    let source = source_of(&app, &wish)?;
    desk.quota.take(&desk.runs, &id, &holder, jiff::Timestamp::now())?;
    let request = RequestWish {
        id: id.clone(),
        pool: pool.metadata.name.clone().unwrap_or_default(),
        holder,
        ttl: wish.ttl,
        snapshot: None,
        app: Some(AppRef { name: app.name, source }),
        keep_ended: Some(KEEP_ENDED),
    };
    match desk.claims.request(&request).await {
        Ok(stored) => {
            tracing::info!(run = id, app = wish.app, pool = request.pool, holder = ?request.holder, "launched");
            let state = Run::of(&stored).map_or(State::Queued, |run| run.state);
            Ok(answer(&id, state, dialect))
        }
        Err(error) => Err(not_made(desk, &id, error)),
    }
}

/// What the same key launched before.
fn again(run: &Run, wish: &Wish, dialect: Dialect) -> Result<Response, Refused> {
    if run.app.as_deref() == Some(&wish.app) {
        return Ok(answer(&run.id, run.state, dialect));
    }
    let app = run.app.as_deref().unwrap_or("nothing");
    Err(Refused::Conflict(format!(
        "Idempotency-Key: it launched {app} before, not {}; use another key for another launch",
        wish.app
    )))
}

fn answer(id: &str, status: State, dialect: Dialect) -> Response {
    let launched = Launched {
        run_id: id.to_owned(),
        status,
        stream_url: dialect.stream_url(id),
        status_url: dialect.status_url(id),
    };
    let location = launched.status_url.clone();
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(launched)).into_response()
}

fn not_made(desk: &Desk, id: &str, error: RequestError) -> Refused {
    if let RequestError::Api(Fault::Unclear(why)) = &error {
        // It may exist: its place within the limits stays taken until the watch has shown it, or a minute has passed.
        return Refused::Unavailable(format!(
            "run {id} may have been launched, the API server did not say ({why}); ask for its status, or send the same \
             again with the same Idempotency-Key"
        ));
    }
    desk.quota.give_back(id);
    error.into()
}

/// What can stand in a spec, a log line and an answer.
fn check_name(field: &'static str, name: &str) -> Result<(), Refused> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (1..=40).contains(&name.len())
        && name.starts_with(word)
        && name.ends_with(word)
        && name.chars().all(|c| word(c) || c == '-');
    let shown: String = name.chars().take(40).collect();
    let why = || format!("{shown:?} is no name of an app: 1 to 40 lower-case letters, digits and inner '-'");
    if good { Ok(()) } else { Err(Refused::field(field, why())) }
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let good = |key: &&str| (1..=LONGEST_KEY).contains(&key.len());
    let why = format!("it has 1 to {LONGEST_KEY} printable ASCII characters");
    value.to_str().ok().filter(good).map(Some).ok_or_else(|| Refused::field("Idempotency-Key", why))
}

/// The id of what a caller launches with a key: the same at every gateway.
fn id_of(namespace: &str, holder: &str, key: &str) -> String {
    format!("run-{}", short_hash(&["launch", namespace, holder, key], 26))
}

async fn pool_of(desk: &Desk, wish: &Wish) -> Result<(Pool, App), Refused> {
    let chosen = |pools: &[Pool]| choose(pools, &wish.app, wish.prefer, wish.pool.as_deref());
    match chosen(&desk.pools.all()) {
        Ok(found) => Ok(found),
        Err(_) => chosen(&desk.listing.fresh(&desk.pool_api).await?),
    }
}

/// What the operator would refuse later is refused now.
fn check_ttl(caller: &Caller, pool: &Pool, ttl: Option<Span>) -> Result<(), Refused> {
    let (limits, Some(ttl)) = (&pool.spec.claims, ttl) else { return Ok(()) };
    let (most, name) = if caller.is_anonymous() {
        (limits.default_ttl.min(limits.max_ttl), "what an anonymous caller gets")
    } else {
        (limits.max_ttl, "the pool's claims.maxTTL")
    };
    if ttl == Span::default() {
        return Err(Refused::field("ttl", "0s is no time at all; use more, such as 10m, or leave it out"));
    }
    if ttl > most {
        return Err(Refused::field("ttl", format!("{ttl} is more than {name} ({most}); ask for at most that")));
    }
    Ok(())
}

/// The source that is asked for, if the app has it.
fn source_of(app: &App, wish: &Wish) -> Result<Option<AppSource>, Refused> {
    let Some((field, source)) = wish.source else { return Ok(None) };
    let there = match source {
        AppSource::Snapshot => app.snapshot.is_some(),
        AppSource::Git => app.git.is_some(),
        AppSource::Image => true,
    };
    // Without a snapshot is what an app without one is anyway.
    if field == "use_snapshot" && app.snapshot.is_none() {
        return Ok(None);
    }
    let why = || format!("app {} cannot come from {source:?}: the pool's spec.apps does not say how", app.name);
    if there { Ok(Some(source)) } else { Err(Refused::field(field, why())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::check_id;
    use http::HeaderValue;

    #[test]
    fn a_key_gives_the_same_id_to_the_same_caller_only() {
        let id = id_of("default", "ada", "k");
        assert_eq!(id, id_of("default", "ada", "k"));
        assert!(
            id != id_of("default", "bob", "k")
                && id != id_of("other", "ada", "k")
                && id != id_of("default", "ada", "l")
        );
        assert_eq!(check_id(&id), Ok(()));
    }

    #[test]
    fn hostile_names_and_keys_are_refused() {
        for bad in ["", "../etc", "a b", "a\r\nX-Evil: 1", "SNAKE", "-a", "a-", "é", &"x".repeat(41)] {
            let error = check_name("game", bad).expect_err(bad).to_string();
            assert!(error.starts_with("game: ") && !error.contains(['\r', '\n']), "{error}");
        }
        assert!(check_name("game", "tic-tac-toe").is_ok());
        for bad in [HeaderValue::from_static(""), HeaderValue::from_bytes(b"\xff").expect("a value")] {
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(IDEMPOTENCY_KEY), bad)]);
            assert!(key(&headers).is_err());
        }
    }

    #[test]
    fn without_a_snapshot_an_app_comes_from_git_if_it_can() {
        let app = |fields: serde_json::Value| -> App { serde_json::from_value(fields).expect("an app") };
        let wish = |use_snapshot| {
            GameWish { game: Some("a".into()), use_snapshot: Some(use_snapshot) }
                .into_wish(Prefer::Any)
                .expect("a wish")
        };
        let both =
            app(serde_json::json!({"name": "a", "run": "r", "snapshot": {"name": "s"}, "git": {"url": "https://g"}}));
        assert_eq!(source_of(&both, &wish(true)).ok(), Some(None));
        assert_eq!(source_of(&both, &wish(false)).ok(), Some(Some(AppSource::Git)));
        let neither = app(serde_json::json!({"name": "a", "run": "r"}));
        assert_eq!(source_of(&neither, &wish(false)).ok(), Some(None));
        let snapshot = app(serde_json::json!({"name": "a", "run": "r", "snapshot": {"name": "s"}}));
        let error = source_of(&snapshot, &wish(false)).expect_err("no git").to_string();
        assert!(error.starts_with("use_snapshot: app a cannot come from Git"), "{error}");
    }
}
