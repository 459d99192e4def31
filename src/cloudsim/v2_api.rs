//! The API under `/v2`: what every call goes through, and each operation.

use super::answer::{self, ApiError, json_response};
use super::call::{self, Admitted, Effect, Takes};
use super::calls::Call;
use super::catalog;
use super::console;
use super::faults::{Fault, Shape};
use super::fixture::Sim;
use super::life;
use super::limits::{Refusal, Standing};
use super::wire::{View, page_marks};
use super::world::Account;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

type Answer = Result<Response, ApiError>;

/// The routes, each behind token, rate limit, faults and call log.
pub fn router(sim: Arc<Sim>) -> Router<Arc<Sim>> {
    Router::new()
        .route("/v2/account", get(account))
        .route("/v2/apps", get(list).post(create))
        .route("/v2/apps/propose", post(propose))
        .route("/v2/apps/regions", get(regions))
        .route("/v2/apps/tiers/instance_sizes", get(sizes))
        .route("/v2/apps/tiers/instance_sizes/{slug}", get(size))
        .route("/v2/apps/{id}", get(app).delete(delete))
        .route("/v2/apps/{id}/deployments", get(deployments))
        .route("/v2/apps/{id}/deployments/{deployment}", get(deployment))
        .route("/v2/apps/{id}/components/{component}/exec", get(console::of_component))
        .route("/v2/apps/{id}/deployments/{deployment}/components/{component}/exec", get(console::of_deployment))
        .route("/v2/{*rest}", axum::routing::any(not_served))
        .method_not_allowed_fallback(not_served)
        .route_layer(from_fn_with_state(sim, guard))
}

/// What lies around every operation. Nothing is awaited between an effect and
/// its line in the call log, so a client that goes away cannot hide one.
async fn guard(State(sim): State<Arc<Sim>>, mut request: Request, next: Next) -> Response {
    let op = call::op(request.method(), request.uri().path());
    let mut line = Call {
        seq: 0,
        time: sim.clock.now(),
        account: None,
        op,
        method: request.method().to_string(),
        path: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        status: None,
        faults: Vec::new(),
        effect: false,
    };
    let (request_id, admission) = {
        let mut world = sim.world();
        (world.request_id(), world.admit(bearer(request.headers()), op))
    };
    let (mut response, standing, wait) = match admission {
        Err(error) => (error.into_response(), None, 0.0),
        Ok((admitted, standing)) => {
            line.account = Some(admitted.account.clone());
            line.faults = admitted.faults.iter().map(|fault| fault.name().to_owned()).collect();
            request.extensions_mut().insert(admitted.clone());
            let (response, wait) = answered(&admitted, &standing, &request_id, request, next).await;
            (response, Some(standing), wait)
        }
    };
    line.effect = response.extensions().get::<Effect>().is_some();
    let cut = response.extensions().get::<answer::Cut>().is_some();
    line.status = (!cut).then(|| response.status().as_u16());
    sim.world().calls.add(line);
    if let Some(error) = response.extensions().get::<ApiError>().cloned() {
        let headers = std::mem::take(response.headers_mut());
        response = error.into_response_for(&request_id);
        response.headers_mut().extend(headers);
    }
    finish(response.headers_mut(), &request_id, standing.as_ref());
    if wait > 0.0 {
        sim.wait(wait).await;
    }
    response
}

/// The answer to an admitted call, and the simulated seconds until it is sent.
async fn answered(
    admitted: &Admitted,
    standing: &Standing,
    request_id: &str,
    request: Request,
    next: Next,
) -> (Response, f64) {
    if let Some(refusal) = standing.refused {
        let retry_after = match refusal {
            Refusal::Minute { retry_after } => Some(retry_after),
            Refusal::Hour => None,
        };
        return (too_many(retry_after), 0.0);
    }
    if let Some(retry_after) = admitted.too_many() {
        return (too_many(retry_after.map(i64::from)), 0.0);
    }
    let hang = |shape: &Shape| if let Shape::Hang { seconds } = shape { *seconds } else { 0.0 };
    if let Some(shape) = admitted.error_before() {
        return (answer::shaped(shape, request_id), hang(shape));
    }
    let mut response = next.run(request).await;
    let takes = response.extensions().get::<Takes>().map_or(0.0, |takes| takes.0);
    let mut wait = takes + admitted.slow();
    if let Some(shape) = admitted.error_after() {
        let effect = response.extensions().get::<Effect>().copied();
        response = answer::shaped(shape, request_id);
        if let Some(effect) = effect {
            response.extensions_mut().insert(effect);
        }
        wait += hang(shape);
    }
    (response, wait)
}

fn too_many(retry_after: Option<i64>) -> Response {
    let mut response = ApiError::too_many_requests().into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}

fn finish(headers: &mut HeaderMap, request_id: &str, standing: Option<&Standing>) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", value);
    }
    if let Some(standing) = standing {
        headers.insert("ratelimit-limit", standing.limit.into());
        headers.insert("ratelimit-remaining", standing.remaining.into());
        headers.insert("ratelimit-reset", standing.reset.as_second().into());
    }
}

async fn not_served(request: Request) -> ApiError {
    let mut error = ApiError::not_found();
    error.message = format!("The simulator does not serve {} {}.", request.method(), request.uri().path());
    error
}

fn view<'a>(sim: &'a Sim, call: &Admitted, account: &'a Account) -> View<'a> {
    View {
        now: sim.clock.now(),
        clock: sim.clock,
        base: &sim.base,
        owner: &account.team,
        with_project: true,
        nulls: call.has(&Fault::NullInsteadOfAbsent {}),
        zero_times: call.has(&Fault::ZeroTimestamps {}),
    }
}

fn ok(body: &Value) -> Answer {
    Ok(json_response(StatusCode::OK, body))
}

fn parsed(body: &Bytes) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))
}

async fn account(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>) -> Answer {
    let world = sim.world();
    let account = world.account(&call.account)?;
    let name = &account.name;
    let email = account.settings.email.clone().unwrap_or_else(|| format!("{name}@example.com"));
    ok(&json!({ "account": {
        "droplet_limit": 25, "floating_ip_limit": 5, "reserved_ip_limit": 5, "volume_limit": 100,
        "email": email, "name": name, "uuid": account.uuid, "email_verified": true,
        "status": "active", "status_message": "",
        "team": { "uuid": account.team, "name": name },
    }}))
}

/// Page and page size of a query.
fn page_of(query: &HashMap<String, String>) -> Result<(usize, usize), ApiError> {
    let number = |key: &str, default: usize, most: usize| match query.get(key).map(|text| (text, text.parse())) {
        None => Ok(default),
        Some((_, Ok(number))) if (1..=most).contains(&number) => Ok(number),
        Some((text, _)) => Err(ApiError::bad_request(format!("{key}: {text:?} must be a number in 1..={most}"))),
    };
    Ok((number("page", 1, usize::MAX / 200)?, number("per_page", 20, 200)?))
}

async fn list(
    State(sim): State<Arc<Sim>>,
    Extension(call): Extension<Admitted>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let (page, per_page) = page_of(&query)?;
    let with_project = query.get("with_projects").is_some_and(|text| text == "true");
    let mut world = sim.world();
    let age = world.listing_age(&call)?;
    let apps = world.list(&call, age)?;
    let shift = usize::from(page > 1 && call.has(&Fault::ShiftingPages {}));
    let view = View { with_project, ..view(&sim, &call, world.account(&call.account)?) };
    let start = (page - 1) * per_page + shift;
    let shown: Vec<Value> = apps.iter().skip(start).take(per_page).map(|app| view.app(app)).collect();
    let (links, meta) = page_marks(&sim.base, "/v2/apps", page, per_page, apps.len());
    ok(&json!({ "apps": shown, "links": links, "meta": meta }))
}

async fn create(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>, body: Bytes) -> Answer {
    let body = parsed(&body)?;
    let spec = body.get("spec").ok_or_else(|| ApiError::bad_request("spec: is required"))?;
    let project = body.get("project_id").and_then(Value::as_str).filter(|project| !project.is_empty());
    let mut world = sim.world();
    let (id, takes) = world.create(&call, spec, project).map(|(app, takes)| (app.id.clone(), takes))?;
    let app = world.app(&id)?;
    let wire = view(&sim, &call, world.account(&call.account)?).created_app(app);
    life::created(&sim, app);
    let mut response = json_response(StatusCode::OK, &json!({ "app": wire }));
    response.extensions_mut().insert(Effect);
    response.extensions_mut().insert(Takes(takes));
    Ok(response)
}

async fn app(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>, Path(id): Path<String>) -> Answer {
    let world = sim.world();
    let app = world.get(&call, &id)?;
    ok(&json!({ "app": view(&sim, &call, world.account(&call.account)?).app(app) }))
}

async fn delete(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>, Path(id): Path<String>) -> Answer {
    let mut world = sim.world();
    let (takes, effect) = world.delete(&call, &id)?;
    let mut response = json_response(StatusCode::OK, &json!({ "id": id }));
    response.extensions_mut().insert(Takes(takes));
    if effect {
        life::ending(&sim, world.app(&id)?);
        response.extensions_mut().insert(Effect);
    }
    Ok(response)
}

async fn propose(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>, body: Bytes) -> Answer {
    let body = parsed(&body)?;
    let spec = body.get("spec").ok_or_else(|| ApiError::bad_request("spec: is required"))?;
    let own = body.get("app_id").and_then(Value::as_str);
    let mut world = sim.world();
    let (accepted, free) = world.propose(&call, spec, own)?;
    let mut answer = json!({
        "app_name_available": free,
        "existing_static_apps": "0",
        "max_free_static_apps": "3",
        "spec": accepted.wire,
        "app_cost": accepted.usd_per_month,
    });
    if !free {
        answer["app_name_suggestion"] = world.suggestion(&accepted.name);
    }
    ok(&answer)
}

async fn deployments(
    State(sim): State<Arc<Sim>>,
    Extension(call): Extension<Admitted>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let (page, per_page) = page_of(&query)?;
    let world = sim.world();
    let app = world.get(&call, &id)?;
    let view = view(&sim, &call, world.account(&call.account)?);
    let newest_first = (0..app.deployments.len()).rev().skip((page - 1) * per_page).take(per_page);
    let shown: Vec<Value> = newest_first.map(|index| view.deployment(app, index)).collect();
    let path = format!("/v2/apps/{id}/deployments");
    let (links, meta) = page_marks(&sim.base, &path, page, per_page, app.deployments.len());
    ok(&json!({ "deployments": shown, "links": links, "meta": meta }))
}

async fn deployment(
    State(sim): State<Arc<Sim>>,
    Extension(call): Extension<Admitted>,
    Path((id, wanted)): Path<(String, String)>,
) -> Answer {
    let world = sim.world();
    let app = world.get(&call, &id)?;
    let index = app.deployments.iter().position(|deployment| deployment.id == wanted);
    let index = index.ok_or_else(ApiError::not_found)?;
    ok(&json!({ "deployment": view(&sim, &call, world.account(&call.account)?).deployment(app, index) }))
}

async fn sizes(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>) -> Answer {
    let world = sim.world();
    let offer = &world.account(&call.account)?.settings.offer;
    let sizes: Vec<Value> = catalog::SIZES.iter().map(|size| offer.size(size)).collect();
    ok(&json!({ "discount_percent": 0.0, "instance_sizes": sizes }))
}

async fn size(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>, Path(slug): Path<String>) -> Answer {
    let size = catalog::size(&slug).ok_or_else(ApiError::not_found)?;
    let world = sim.world();
    ok(&json!({ "instance_size": world.account(&call.account)?.settings.offer.size(size) }))
}

async fn regions(State(sim): State<Arc<Sim>>, Extension(call): Extension<Admitted>) -> Answer {
    let world = sim.world();
    ok(&json!({ "regions": world.account(&call.account)?.settings.offer.regions() }))
}
