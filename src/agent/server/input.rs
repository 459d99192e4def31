//! Reading requests, so that whatever does not fit is answered with 422 and the field's name.

use super::problem::Problem;
use crate::agent::wire::Violation;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;

/// Bytes of a JSON body: 16 MiB of file content in base64 fit.
pub const MAX_JSON: usize = 32 * 1024 * 1024;

/// A JSON body. The content type is not looked at: only the bytes count.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

/// The query string.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse(&read(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read(request, state).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::field("query", "", rejection.body_text()))?;
        Ok(Self(value))
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
            let advice = "; PUT /api/files/raw takes larger files";
            Problem::TooLarge { what: "the request body", limit: MAX_JSON as u64, advice }
        } else {
            Problem::Bad("the request body could not be read to its end".to_owned())
        }
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let mut loc = vec!["body".to_owned()];
        loc.extend(error.path().iter().map(ToString::to_string));
        Problem::Schema(vec![Violation { kind: "value_error".to_owned(), loc, msg: error.inner().to_string() }])
    })?;
    deserializer.end().map_err(|error| Problem::field("body", "", error.to_string()))?;
    Ok(value)
}
