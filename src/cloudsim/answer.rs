//! Answers that are not the thing asked for: API errors, edge errors, silence.

use super::faults::Shape;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// An error of the API: becomes `{id, message, request_id}`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{status} {id}: {message}")]
pub struct ApiError {
    pub status: StatusCode,
    pub id: String,
    pub message: String,
}

impl ApiError {
    fn new(status: StatusCode, id: &str, message: impl Into<String>) -> Self {
        Self { status, id: id.into(), message: message.into() }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unable to authenticate you.")
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "The resource you requested could not be found.")
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable_entity", message)
    }

    pub fn too_many_requests() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "API rate limit exceeded.")
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// The error with the id of the request it answers.
    pub fn into_response_for(self, request_id: &str) -> Response {
        let body = json!({ "id": self.id, "message": self.message, "request_id": request_id });
        json_response(self.status, &body)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, &json!({ "id": self.id, "message": self.message }));
        // Who knows the request's id writes the body again.
        response.extensions_mut().insert(self);
        response
    }
}

/// A JSON answer.
pub fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// An answer that ends the connection before a byte of it is sent.
///
/// The server writes head and body of an answer together; a body that fails
/// at its first poll takes the unsent head with it.
pub fn cut_connection() -> Response {
    let failure = std::io::Error::other("the simulated network ends the connection");
    let body = Body::from_stream(futures::stream::once(async move { Err::<Bytes, _>(failure) }));
    let mut response = Response::new(body);
    response.extensions_mut().insert(Cut);
    response
}

/// Set on an answer of which the client sees nothing.
#[derive(Debug, Clone, Copy)]
pub struct Cut;

/// The page an edge server shows when the API behind it fails.
pub fn html_page(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or("Error");
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>{code} {reason}</title></head>\n\
         <body><center><h1>{code} {reason}</h1></center></body></html>\n",
        code = status.as_u16()
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    response
}

/// What a fault's shape answers. `Hang` is a wait first; the caller does it.
pub fn shaped(shape: &Shape, request_id: &str) -> Response {
    let code = |status: &u16| StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match shape {
        Shape::Json { status, id, message } => {
            ApiError::new(code(status), id, message.clone()).into_response_for(request_id)
        }
        Shape::Html { status } => html_page(code(status)),
        Shape::Reset {} | Shape::Hang { .. } => cut_connection(),
    }
}
