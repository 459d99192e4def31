//! Flipped between an operator and the cloud.

use super::Mutation;
use crate::api::objects::text;
use crate::world::{INSTALLATION, NAMESPACE, World};
use bytes::Bytes;
use sandbar::providers::instance_name;
use serde_json::{Value, json};

/// A call as the cloud gets it.
pub fn to_cloud(world: &World, request: http::Request<Bytes>) -> http::Request<Bytes> {
    let create = request.method() == http::Method::POST && request.uri().path() == "/v2/apps";
    let flips = world.mutates(Mutation::NewNameAfterUnclear) || world.mutates(Mutation::NoMarks);
    if !create || !flips {
        return request;
    }
    request.map(|body| {
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let marks = |body: &Value, name: &str| {
            let envs = body["spec"]["services"][0]["envs"].as_array().into_iter().flatten();
            envs.filter(|env| env["key"] == name).find_map(|env| env["value"].as_str()).unwrap_or_default().to_owned()
        };
        if world.mutates(Mutation::NoMarks) {
            if let Some(envs) = body["spec"]["services"][0]["envs"].as_array_mut() {
                envs.retain(|env| !text(env, &["key"]).starts_with("SANDBAR_"));
            }
        } else if !world.mutant().sent.insert((marks(&body, "SANDBAR_UID"), marks(&body, "SANDBAR_ATTEMPT"))) {
            let name = format!("{}x", text(&body, &["spec", "name"]));
            body["spec"]["name"] = name.into();
        }
        Bytes::from(body.to_string())
    })
}

fn gone() -> http::Response<Bytes> {
    let mut answer = http::Response::new(Bytes::from_static(br#"{"id": "not_found", "message": "gone"}"#));
    *answer.status_mut() = http::StatusCode::NOT_FOUND;
    answer
}

/// The cloud's answer as an operator reads it.
pub fn from_cloud(
    world: &World,
    method: &http::Method,
    path: &str,
    answer: http::Response<Bytes>,
) -> http::Response<Bytes> {
    let Some(mutation) = world.mutation else { return answer };
    let (good, failed) = (answer.status().is_success(), answer.status().is_server_error());
    let one_app = path.starts_with("/v2/apps/") && path.split('/').count() == 4;
    match (mutation, method.as_str()) {
        (Mutation::FailedReadMeansGone, "GET") if one_app && failed => gone(),
        (Mutation::FailedDeleteMeansGone, "DELETE") if failed => gone(),
        (Mutation::AcceptedDeleteMeansGone, "DELETE") if good => gone(),
        (Mutation::ListingAloneProves, "POST") if path.ends_with("/propose") && good => {
            edited(answer, |body| body["app_name_available"] = true.into())
        }
        (Mutation::AnotherAccountsAnswer, "GET") if path == "/v2/account" && good => edited(answer, |body| {
            let told = text(body, &["account", "team", "uuid"]).to_owned();
            let first = world.mutant().account.get_or_insert(told).clone();
            body["account"]["team"]["uuid"] = first.into();
        }),
        (Mutation::NamesAlone, "GET") if (path == "/v2/apps" || one_app) && good => edited(answer, |body| {
            adopt(&mut body["app"]);
            body["apps"].as_array_mut().into_iter().flatten().for_each(adopt);
        }),
        _ => answer,
    }
}

fn edited(answer: http::Response<Bytes>, edit: impl FnOnce(&mut Value)) -> http::Response<Bytes> {
    answer.map(|body| {
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        edit(&mut body);
        Bytes::from(body.to_string())
    })
}

/// Takes an app with a name like ours for ours.
fn adopt(app: &mut Value) {
    let name = text(app, &["spec", "name"]).to_owned();
    let uid = (1..20).map(|n| format!("foreign-{n}")).find(|uid| instance_name(INSTALLATION, uid, 1) == name);
    let Some(uid) = uid else { return };
    let mark = |key: &str, value: &str| json!({"key": key, "value": value, "scope": "RUN_TIME", "type": "GENERAL"});
    app["spec"]["services"][0]["envs"] = json!([
        mark("SANDBAR_INSTALLATION", INSTALLATION),
        mark("SANDBAR_NAMESPACE", NAMESPACE),
        mark("SANDBAR_NAME", "pool0-0"),
        mark("SANDBAR_UID", &uid),
        mark("SANDBAR_ATTEMPT", "1"),
        mark("SANDBAR_POOL_UID", "pool"),
        mark("SANDBAR_SPEC_HASH", "hash"),
    ]);
}
