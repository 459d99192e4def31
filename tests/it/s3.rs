//! An S3 server on loopback, with a bucket and keys, that can be out of order.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::StatusCode;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::task::AbortHandle;
use tower::Service;

const BUCKET: &str = "snapshots-of-tests";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "a-secret-for-tests";

/// Ends with the test.
pub struct S3 {
    endpoint: String,
    folder: TempDir,
    task: AbortHandle,
    broken: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl S3 {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("a file system"));
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let (broken, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_broken, count) = (Arc::clone(&broken), Arc::clone(&asked));
        let answer = move |request: Request| {
            let mut service = service.clone();
            count.fetch_add(1, Ordering::Relaxed);
            let broken = is_broken.load(Ordering::Relaxed);
            async move {
                if broken {
                    return StatusCode::SERVICE_UNAVAILABLE.into_response();
                }
                match Service::call(&mut service, request).await {
                    Ok(response) => response.map(Body::new),
                    Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let router: Router = Router::new().fallback(answer);
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { endpoint, folder, task, broken, asked }
    }

    /// The address of the store.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/kept")
    }

    /// What a command or an operator finds in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SANDBAR_SNAPSHOT_URL", self.url()),
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// The folder that holds the snapshots of a namespace.
    pub fn snapshots(&self, namespace: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join("kept").join(namespace).join("snapshots")
    }

    /// Answers 503 to everything, or works again.
    pub fn broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}
