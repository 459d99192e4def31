//! Which store: an address, and credentials from the environment.

use super::{SnapshotError, Snapshots};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use reqwest::Url;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Between two pieces of an answer, however large the whole.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
/// A call that fails is repeated for so long; whoever asked has a plan for more.
const REPEAT: Duration = Duration::from_secs(20);
const REPEATS: usize = 3;

/// What follows the region in the addresses of DigitalOcean's buckets.
const SPACES: &str = ".digitaloceanspaces.com";

/// The forms of an address.
const FORMS: &str = "s3://BUCKET/FOLDER, https://BUCKET.REGION.digitaloceanspaces.com/FOLDER or file:///FOLDER";

/// Why an address names no store.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It has another form.
    #[error("{address:?} is not the address of a snapshot store: {why}; use {FORMS}")]
    Form {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its bucket is elsewhere than at Amazon, where machines have identities; keys are needed.
    #[error("{address} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")]
    NoKeys {
        /// The address.
        address: String,
    },
    /// The folder cannot be used.
    #[error("cannot use {address}")]
    Folder {
        /// The address.
        address: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The settings in the environment do not fit together.
    #[error("cannot use {address} with the AWS_* variables of the environment")]
    Settings {
        /// The address.
        address: String,
        /// Why not.
        #[source]
        source: object_store::Error,
    },
}

/// A store of snapshots, for every namespace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    folder: Path,
    address: String,
}

/// Where the objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Local(PathBuf),
    Bucket { name: String, folder: String, region: Option<String> },
}

impl Store {
    /// The store at this address: `s3://BUCKET/FOLDER` with the `AWS_*` variables (keys, `AWS_REGION`,
    /// `AWS_ENDPOINT_URL` for others than Amazon), a Spaces address with the same keys, or `file:///FOLDER`.
    /// Nothing is sent yet; a local folder is made.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn open(address: &str) -> Result<Self, AddressError> {
        let place = parse(address).map_err(|why| AddressError::Form { address: address.to_owned(), why })?;
        let address = address.trim_end_matches('/').to_owned();
        let (objects, folder): (Arc<dyn ObjectStore>, Path) = match place {
            Place::Local(folder) => {
                let failed = |source| AddressError::Folder { address: address.clone(), source };
                std::fs::create_dir_all(&folder).map_err(failed)?;
                let local = LocalFileSystem::new_with_prefix(&folder);
                (Arc::new(local.map_err(|error| failed(std::io::Error::other(error)))?), Path::default())
            }
            Place::Bucket { name, folder, region } => (bucket(&address, &name, region)?, Path::from(folder)),
        };
        Ok(Self { objects, folder, address })
    }

    /// Over any object store, for tests.
    #[cfg(test)]
    pub(crate) fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, folder: Path::default(), address: "memory:".to_owned() }
    }

    /// Every namespace that something is kept for.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn namespaces(&self) -> Result<Vec<String>, SnapshotError> {
        let found = self.objects.list_with_delimiter(Some(&self.folder)).await.map_err(|source| {
            SnapshotError::Store { what: "list the namespaces", place: self.address.clone(), source }
        })?;
        Ok(found.common_prefixes.iter().filter_map(|folder| folder.filename().map(str::to_owned)).collect())
    }

    /// The snapshots of a namespace; no name of a snapshot leads to another namespace's.
    pub fn of(&self, namespace: &str) -> Snapshots {
        let folder = self.folder.clone().join(namespace).join("snapshots");
        Snapshots::new(Arc::clone(&self.objects), folder, format!("{}/{namespace}", self.address))
    }
}

fn bucket(address: &str, name: &str, region: Option<String>) -> Result<Arc<dyn ObjectStore>, AddressError> {
    let set = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    let spaces = region.as_ref().map(|region| format!("https://{region}{SPACES}"));
    let endpoint = spaces.or_else(|| set(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]));
    if endpoint.is_some() && (set(&["AWS_ACCESS_KEY_ID"]).is_none() || set(&["AWS_SECRET_ACCESS_KEY"]).is_none()) {
        return Err(AddressError::NoKeys { address: address.to_owned() });
    }
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(name);
    let mut options = ClientOptions::new()
        .with_connect_timeout(CONNECT)
        // An archive may take any time as long as it moves.
        .with_timeout_disabled()
        .with_read_timeout(SILENCE);
    if let Some(endpoint) = endpoint {
        // Whoever writes http: means it; the default is to refuse.
        options = options.with_allow_http(endpoint.starts_with("http:"));
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = region.or_else(|| set(&["AWS_REGION", "AWS_DEFAULT_REGION"])) {
        builder = builder.with_region(region);
    }
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: REPEATS, retry_timeout: REPEAT };
    let built = builder.with_client_options(options).with_retry(retry).build();
    Ok(Arc::new(built.map_err(|source| AddressError::Settings { address: address.to_owned(), source })?))
}

fn parse(address: &str) -> Result<Place, String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err("it holds more than a place".to_owned());
    }
    let folder = url.path().trim_matches('/').to_owned();
    let host = url.host_str().filter(|host| !host.is_empty());
    match (url.scheme(), host) {
        ("file", None) if !folder.is_empty() => {
            url.to_file_path().map(Place::Local).map_err(|()| "it is no path of this machine".to_owned())
        }
        ("file", _) => Err("it names no folder".to_owned()),
        ("s3", Some(bucket)) => Ok(Place::Bucket { name: bucket.to_owned(), folder, region: None }),
        ("https", Some(host)) => spaces(host, folder),
        (scheme, _) => Err(format!("{scheme}: with this rest means nothing here")),
    }
}

/// `BUCKET.REGION.digitaloceanspaces.com/FOLDER`, or `REGION.digitaloceanspaces.com/BUCKET/FOLDER`.
fn spaces(host: &str, folder: String) -> Result<Place, String> {
    let before = host.strip_suffix(SPACES).ok_or_else(|| format!("{host} is not a host of Spaces"))?;
    if let Some((bucket, region)) = before.rsplit_once('.') {
        return Ok(Place::Bucket { name: bucket.to_owned(), folder, region: Some(region.to_owned()) });
    }
    let (bucket, folder) = folder.split_once('/').unwrap_or((&folder, ""));
    match bucket {
        "" => Err("it names no bucket".to_owned()),
        _ => Ok(Place::Bucket { name: bucket.to_owned(), folder: folder.to_owned(), region: Some(before.to_owned()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, folder: &str, region: Option<&str>) -> Result<Place, String> {
        Ok(Place::Bucket { name: name.into(), folder: folder.into(), region: region.map(str::to_owned) })
    }

    #[test]
    fn the_forms_of_an_address() {
        assert_eq!(parse("s3://b"), place("b", "", None));
        assert_eq!(parse("s3://b/team/x/"), place("b", "team/x", None));
        assert_eq!(parse("https://b.nyc3.digitaloceanspaces.com/x"), place("b", "x", Some("nyc3")));
        assert_eq!(parse("https://nyc3.digitaloceanspaces.com/b/x"), place("b", "x", Some("nyc3")));
        assert_eq!(parse("file:///var/snapshots"), Ok(Place::Local("/var/snapshots".into())));
    }

    #[test]
    fn other_addresses_are_refused_with_the_forms() {
        let bad =
            ["", "/var/snapshots", "http://b.s3.example", "https://example.com/b", "s3://", "file:///", "gs://b/x"];
        for bad in bad.into_iter().chain(["https://nyc3.digitaloceanspaces.com", "s3://b/x?y=z", "s3://me@b/x"]) {
            let error = Store::open(bad).map(|_| ()).expect_err(bad).to_string();
            assert!(error.contains(FORMS), "{error}");
        }
    }

    #[test]
    fn a_local_store_is_made_where_it_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("file://{}/new/store", folder.path().display());
        Store::open(&address).expect("a store");
        assert!(folder.path().join("new/store").is_dir());
    }
}
