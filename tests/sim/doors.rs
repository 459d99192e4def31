//! The operators' and users' doors into the world: a client of the API server, a way to the cloud, to agents,
//! and to files.

use crate::api::{Request, Target};
use crate::files::Shelf;
use crate::mutation::Mutation;
use crate::net::Caller;
use crate::world::{Lost, World};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::{Body, ClientBuilder};
use sandbar::controllers::probes::Ask;
use sandbar::controllers::runtime::client::OutboundLayer;
use sandbar::controllers::transfers::Depot;
use sandbar::providers::digitalocean::{Transport, TransportError};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A client of the API server; with a layer as the operator's own clients have it.
pub fn client(world: &Arc<World>, caller: Caller, layer: Option<OutboundLayer>) -> Client {
    let world = world.clone();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let world = world.clone();
        async move { exchange(&world, caller, request).await }
    });
    match layer {
        Some(layer) => ClientBuilder::new(service, "default").with_layer(&layer).build(),
        None => Client::new(service, "default"),
    }
}

async fn exchange(
    world: &Arc<World>,
    caller: Caller,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Lost> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let accept = parts.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = Request {
        metadata_only: accept.contains("PartialObjectMetadata"),
        target: Target::of(parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).map_err(|_| Lost)? },
        method: parts.method,
    };
    let (code, body) = world.ask_api(caller, asked).await?;
    let mut response = http::Response::builder().status(code).header(http::header::CONTENT_TYPE, "application/json");
    if !world.mutates(Mutation::LocalClock) {
        let now = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&world.wall.now());
        response = response.header(http::header::DATE, now.unwrap_or_default());
    }
    response.body(Body::from(body.to_string().into_bytes())).map_err(|_| Lost)
}

/// One operator's way to the cloud.
pub struct Road {
    pub world: Arc<World>,
    pub caller: Caller,
}

#[async_trait]
impl Transport for Road {
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let answer = tokio::time::timeout(timeout, self.world.ask_cloud(self.caller, request)).await;
        answer
            .map_err(|_| TransportError("no answer in time".to_owned()))?
            .map_err(|lost| TransportError(lost.to_string()))
    }
}

/// One operator's way to agents.
pub fn agents(world: &Arc<World>, caller: Caller) -> Ask {
    let world = world.clone();
    Arc::new(move |url| {
        let world = world.clone();
        Box::pin(async move {
            world.awake(caller).await;
            let delay = world.net().chance(&format!("{caller} asks {url}")).millis(2, 80);
            tokio::time::sleep(delay).await;
            world.cloud.agent_answers(&url)
        })
    })
}

/// One operator's way to files.
pub fn depot(world: &Arc<World>, caller: Caller) -> Arc<dyn Depot> {
    Arc::new(Shelf { world: world.clone(), caller })
}
