//! The document of what can be asked, as other programs read it.

use std::process::{Command, Output};

use reqwest::{Method, StatusCode};
use sandbar::gateway::Settings;
use serde_json::{Value, json};

use super::Stand;
use super::played::told;
use crate::python;

/// Runs a module of the Python environment; none where there is no Python.
async fn python(arguments: Vec<String>) -> Option<Output> {
    let program = tokio::task::spawn_blocking(python::venv).await.expect("no panic")?;
    let mut command = Command::new(program);
    command.arg("-m").args(arguments).env("NO_PROXY", "127.0.0.1").env("PYTHONWARNINGS", "ignore");
    // What they note down goes with the folder.
    let folder = tempfile::tempdir().expect("a folder");
    command.current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
    drop(folder);
    Some(output)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_takes_the_document_and_answers_are_as_it_says() {
    let stand = Stand::start("gateway-openapi").await;
    let gateway = stand.gateway(Settings::default()).await;
    let document = reqwest::get(format!("{}/openapi.json", gateway.url)).await.expect("an answer");
    assert_eq!(
        (document.status(), &document.headers()["content-type"]),
        (StatusCode::OK, &"application/json".parse().expect("text"))
    );
    let document: Value = document.json().await.expect("JSON");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), document.to_string()).expect("written");
    let path = file.path().to_str().expect("text").to_owned();
    if let Some(output) = python(vec!["openapi_spec_validator".to_owned(), path]).await {
        assert!(output.status.success(), "{}", said(&output));
    }

    let run = stand.launch(&gateway.url).await;
    stand.status(&run, told(4)).await;
    let asked = [
        (Method::GET, format!("/v1/runs/{run}"), "/v1/runs/{run_id}", None, 200),
        (Method::GET, "/v1/runs".into(), "/v1/runs", None, 200),
        (Method::GET, "/v1/apps".into(), "/v1/apps", None, 200),
        (Method::GET, "/v1/pools".into(), "/v1/pools", None, 200),
        (Method::GET, "/api/pool/status".into(), "/api/pool/status", None, 200),
        (Method::GET, "/api/orchestrator/logs".into(), "/api/orchestrator/logs", None, 200),
        (Method::GET, format!("/v1/runs/{run}/events"), "/v1/runs/{run_id}/events", None, 200),
        (Method::POST, "/v1/launches".into(), "/v1/launches", Some(json!({"app": "snake"})), 202),
        (Method::POST, "/v1/launches".into(), "/v1/launches", Some(json!({"app": "chess"})), 404),
        (Method::POST, "/v1/launches".into(), "/v1/launches", Some(json!({"app": 7})), 422),
        (Method::GET, "/v1/runs/run-none".into(), "/v1/runs/{run_id}", None, 404),
        (Method::GET, "/v1/runs?limit=0".into(), "/v1/runs", None, 422),
        (Method::GET, format!("/v1/runs/{run}/api/files"), "/v1/runs/{run_id}/api/files", None, 403),
        (Method::POST, format!("/v1/runs/{run}/extend"), "/v1/runs/{run_id}/extend", Some(json!({"by": "1m"})), 200),
        (Method::POST, format!("/v1/runs/{run}/stop"), "/v1/runs/{run_id}/stop", None, 200),
    ];
    for (method, path, route, body, status) in asked {
        let request = stand.ask(method.clone(), &format!("{}{path}", gateway.url)).bearer_auth(&stand.token);
        let request =
            body.iter().fold(request.header("Accept", "application/json"), |request, body| request.json(body));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        let answer: Value = answer.json().await.expect("JSON");
        let operation = &document["paths"][route][method.as_str().to_lowercase()];
        let schema = &operation["responses"][status.to_string()]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path}: {status} is told");
        let whole = json!({"allOf": [schema], "components": document["components"]});
        let validator = jsonschema::options().build(&whole).expect("a schema");
        let errors: Vec<String> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?} in {answer}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_tries_everything_meets_no_fault_of_ours() {
    let stand = Stand::start("gateway-fuzz").await;
    let gateway = stand.gateway(Settings::default()).await;
    let url = format!("{}/openapi.json", gateway.url);
    let arguments = [
        "schemathesis.cli",
        "run",
        &url,
        "--header",
        &format!("Authorization: Bearer {}", stand.token),
        "--checks",
        "not_a_server_error,content_type_conformance",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "5",
        "--seed",
        "7",
        "--request-timeout",
        "20",
        "--suppress-health-check",
        "all",
        "--no-color",
    ];
    if let Some(output) = python(arguments.map(str::to_owned).to_vec()).await {
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(reqwest::get(format!("{}/healthz", gateway.url)).await.expect("an answer").status(), 200);
    gateway.stop().await;
}
