//! JSON that callers send, with answers that name the field.

use super::refused::Refused;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::timeout;

/// How long a body may take to come.
const WITHIN: Duration = Duration::from_secs(30);

/// A body that can be read: all its fields may be absent, and it names those that there are.
pub trait Fields: DeserializeOwned {
    /// Their names.
    const NAMES: &'static [&'static str];
}

/// A body whose fields are known and of the right types.
pub struct Body<T>(pub T);

impl<T: Fields, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let read_whole = timeout(WITHIN, Json::<Value>::from_request(request, state));
        let Json(fields) = read_whole.await.map_err(|_| late())?.map_err(unreadable)?;
        read(fields).map(Self)
    }
}

fn late() -> Refused {
    let why = format!("the body did not come within {} s", WITHIN.as_secs());
    Refused::Body { status: StatusCode::REQUEST_TIMEOUT, why }
}

/// JSON that is none is told like JSON that does not fit; a foreign page cannot send any without being asked for it.
fn unreadable(rejection: JsonRejection) -> Refused {
    let why = rejection.body_text();
    match rejection {
        JsonRejection::JsonSyntaxError(_) | JsonRejection::JsonDataError(_) => {
            Refused::Body { status: StatusCode::UNPROCESSABLE_ENTITY, why: format!("the body is no JSON: {why}") }
        }
        rejection => Refused::Body { status: rejection.into_response().status(), why },
    }
}

fn read<T: Fields>(value: Value) -> Result<T, Refused> {
    let fields: Map<String, Value> = match value {
        Value::Object(fields) => fields,
        _ => return Err(Refused::field("body", "a JSON object is wanted")),
    };
    if let Some(unknown) = fields.keys().find(|name| !T::NAMES.contains(&name.as_str())) {
        let shown: String = unknown.chars().take(40).flat_map(char::escape_default).collect();
        return Err(Refused::field(shown, format!("there is no such field; there is {}", T::NAMES.join(", "))));
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let field = error.path().to_string();
        Refused::field(field, error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    struct Wish {
        game: Option<String>,
        warm: Option<bool>,
    }

    impl Fields for Wish {
        const NAMES: &'static [&'static str] = &["game", "warm"];
    }

    fn refused(value: Value) -> (String, String) {
        match read::<Wish>(value) {
            Err(Refused::Field { field, why }) => (field, why),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let body = axum::body::Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::builder().header("content-type", "application/json").body(body).expect("a request");
        match Body::<Wish>::from_request(request, &()).await {
            Err(Refused::Body { status, why }) => assert!(status == 408 && why.contains("30 s"), "{why}"),
            _ => panic!("there is no body"),
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert_eq!(refused(json!({"game": "snake", "warm": 7})).0, "warm");
        let (field, why) = refused(json!({"gaem\n\u{1b}": "snake"}));
        assert_eq!((field.as_str(), why.as_str()), ("gaem\\n\\u{1b}", "there is no such field; there is game, warm"));
        assert_eq!(refused(json!(["snake"])).0, "body");
        let wish: Wish = read(json!({"game": "snake", "warm": null})).expect("it fits");
        assert_eq!((wish.game.as_deref(), wish.warm), (Some("snake"), None));
    }
}
