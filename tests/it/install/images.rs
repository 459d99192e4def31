//! The images of deploy/images without a container engine: linted, compared with the Deployments, and each command of
//! operator and gateway run in a folder that holds what the image does and nothing else.
//!
//! The program there is the one that all tests run, and the folder holds the libraries that it is linked with; the image's
//! own is static and needs none. With `SANDBAR_IMAGE_PROGRAM=<file>` (`make images` sets it) it is that one, alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Container;
use kube::config::Kubeconfig;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use sandbar::agent::client::AgentClient;
use sandbar::agent::wire::ExecRequest;
use sandbar::dev::operator::Operator;
use sandbar::dev::server::{Server, ServerOptions};

use super::cluster::{Cluster, ROOT, run, succeeded};
use super::image::{Folder, Image, is_possible};
use super::previous::Version;
use crate::wait::eventually;
use crate::world::{PROGRAM, install_tls};

const ALL: [&str; 3] = ["sandbar", "python", "node"];
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The cloud behind TLS, by an authority of the test's own.
struct Tls {
    url: String,
    authority: String,
    _serving: AbortOnDropHandle<()>,
}

impl Tls {
    async fn before(cloud: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("a certificate").pem();
        let (issuer, own) = (Issuer::new(params, key), KeyPair::generate().expect("a key"));
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let chain = vec![params.signed_by(&own, &issuer).expect("a certificate").der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a certificate with its key")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        let address = cloud.strip_prefix("http://").expect("plain").to_owned();
        let serving = tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                let (acceptor, address) = (acceptor.clone(), address.clone());
                tokio::spawn(async move {
                    // Whoever does not trust the certificate hangs up.
                    if let (Ok(mut inside), Ok(mut outside)) =
                        (acceptor.accept(inside).await, TcpStream::connect(address).await)
                    {
                        let _ = copy_bidirectional(&mut inside, &mut outside).await;
                    }
                });
            }
        });
        Self { url, authority, _serving: AbortOnDropHandle::new(serving) }
    }
}

/// The image's program, and the libraries that it needs beside it.
async fn program(home: &Path) -> (PathBuf, Vec<PathBuf>) {
    let given = std::env::var_os("SANDBAR_IMAGE_PROGRAM").map(PathBuf::from);
    let program = given.clone().unwrap_or_else(|| PROGRAM.into());
    let linked = run(Path::new("ldd"), &[program.to_str().expect("UTF-8")], home).await;
    let said = String::from_utf8_lossy(&linked.stdout).into_owned() + &String::from_utf8_lossy(&linked.stderr);
    let is_static = said.contains("statically linked") || said.contains("not a dynamic executable");
    assert_eq!(is_static, given.is_some(), "what the image holds is static, and nothing else: {said}");
    let libraries = said.split_whitespace().filter(|word| word.starts_with('/') && !is_static);
    (program, libraries.map(|path| PathBuf::from(path.trim_end_matches(':'))).collect())
}

/// What is in a container of the image; the authorities are those in `trusted`.
async fn container(image: &Image, home: &Path, trusted: &str) -> Folder {
    let (program, libraries) = program(home).await;
    let authorities = home.join("authorities.crt");
    std::fs::write(&authorities, trusted).expect("written");
    let folder = Folder::of(image, &BTreeMap::from([("/out/sandbar", program), (AUTHORITIES, authorities)]));
    for library in libraries {
        folder.copy(&library, library.to_str().expect("UTF-8"));
    }
    folder
}

/// Makes it a container in the cluster: what Kubernetes puts into each.
fn join(folder: &mut Folder, kubeconfig: &Path) {
    let config = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let cluster = config.clusters[0].cluster.clone().expect("a cluster");
    let user = config.auth_infos[0].auth_info.clone().expect("an identity");
    let token = serde_json::to_value(&user).expect("JSON")["token"].as_str().expect("a token").to_owned();
    let authority = cluster.certificate_authority_data.expect("an authority");
    let authority = data_encoding::BASE64.decode(authority.as_bytes()).expect("base64");
    let place = "var/run/secrets/kubernetes.io/serviceaccount";
    folder.write(&format!("{place}/token"), &token);
    folder.write(&format!("{place}/ca.crt"), &String::from_utf8(authority).expect("PEM"));
    folder.write(&format!("{place}/namespace"), "sandbar-system");
    let server = cluster.server.expect("an address");
    let (host, port) = server.strip_prefix("https://").and_then(|rest| rest.split_once(':')).expect("host and port");
    folder.set("KUBERNETES_SERVICE_HOST", host);
    folder.set("KUBERNETES_SERVICE_PORT", port);
}

async fn says(folder: &Folder, arguments: &[&str], home: &Path) -> Output {
    run(&folder.program(&["sandbar"]), arguments, home).await
}

#[tokio::test]
async fn operator_and_gateway_need_nothing_but_their_image() {
    if !is_possible() {
        return;
    }
    install_tls();
    let image = Image::of("sandbar");
    let cluster = Cluster::start().await;
    let tls = Tls::before(cluster.cloud_url()).await;
    let mut folder = container(&image, cluster.home(), &tls.authority).await;
    let version = succeeded("sandbar", &["--version"], &says(&folder, &["--version"], cluster.home()).await);
    assert_eq!(version.trim(), concat!("sandbar ", env!("CARGO_PKG_VERSION")));
    let help = succeeded(
        "sandbar",
        &["controller", "--help"],
        &says(&folder, &["controller", "--help"], cluster.home()).await,
    );
    assert!(help.contains("--digitalocean-url"), "{help}");

    cluster.kubectl(&["apply", "--server-side", "-k", "deploy/base"]).await;
    cluster.established().await;
    let (mut operator, mut gateway) =
        (cluster.operator_options(&Version::this()).await, cluster.gateway_options().await);
    join(&mut folder, &operator.server.kubeconfig);
    // The Deployment says the command itself.
    operator.server.program = folder.program(&["sandbar"]);
    operator.cloud_url.clone_from(&tls.url);
    let operator = Operator::start(&operator).await.unwrap_or_else(|error| panic!("{error}"));
    let mut beside = container(&image, cluster.home(), &tls.authority).await;
    join(&mut beside, &gateway.kubeconfig);
    gateway.program = beside.program(&["sandbar"]);
    let gateway = Cluster::start_gateway(&gateway).await;
    cluster.a_pool_lives("default").await;
    assert!(gateway.stop().await.success() && operator.stop().await.success());
}

#[tokio::test]
async fn a_sandbox_image_begins_with_its_agent() {
    if !is_possible() {
        return;
    }
    install_tls();
    let home = tempfile::tempdir().expect("a folder");
    for name in ["python", "node"] {
        let image = Image::of(name);
        let sources = BTreeMap::from([("/usr/local/bin/sandbar", PathBuf::from(PROGRAM))]);
        let mut folder = Folder::of(&image, &sources).on_a_base(&["/workspace", "/home/sandbox", "/tmp"]);
        folder.set("PATH", "/usr/local/bin:/usr/bin:/bin");
        folder.set("SANDBOX_API_TOKEN", "secret");
        let entry: Vec<&str> = image.entrypoint.iter().map(String::as_str).collect();
        let program = folder.program(&entry);
        let options = ServerOptions {
            program,
            kubeconfig: PathBuf::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: home.path().join("log"),
        };
        let agent = Server::spawn("agent", &options, 1, |ports| vec![format!("--listen=127.0.0.1:{}", ports[0])]);
        let agent = agent.await.expect("it starts");
        let client = AgentClient::new(&agent.base_url(), Some("secret")).expect("a client");
        eventually("the agent answers", async || client.health().await).await;
        let typed = "id -u && pwd && echo $HOME && git --version && touch /workspace/a /home/sandbox/a /tmp/a && ! touch /etc/a";
        let said = client.exec(&ExecRequest::new(typed)).await.expect("it runs");
        assert_eq!(said.exit_code, 0, "{name}: {said:?}");
        assert!(said.stdout.starts_with("1000\n/workspace\n/home/sandbox\ngit version "), "{name}: {said:?}");
        assert!(agent.stop().await.success(), "{name}: {}", sandbar::dev::nursery::tail(&options.log, 20));
    }
}

#[test]
fn deployments_and_image_say_the_same() {
    let image = Image::of("sandbar");
    let (user, group) = image.user.split_once(':').expect("user and group");
    assert_eq!((image.base.as_str(), image.entrypoint.as_slice()), ("scratch", &["sandbar".to_owned()][..]));
    for file in ["operator", "gateway"] {
        let text = std::fs::read_to_string(format!("{ROOT}/deploy/base/{file}.yaml")).expect("a manifest");
        let documents = serde_yaml::Deserializer::from_str(&text).map(serde::Deserialize::deserialize);
        let documents: Vec<Value> = documents.collect::<Result<_, _>>().expect("YAML");
        let deployment = documents.iter().find(|document| document["kind"] == "Deployment").expect("a Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        let security = &pod["securityContext"];
        assert_eq!(
            (security["runAsUser"].to_string(), security["runAsGroup"].to_string()),
            (user.to_owned(), group.to_owned())
        );
        let container: Container = serde_json::from_value(pod["containers"][0].clone()).expect("a container");
        assert_eq!(container.command.as_deref(), Some(image.entrypoint.as_slice()));
        let own = container.security_context.expect("a security context");
        assert_eq!((own.read_only_root_filesystem, own.allow_privilege_escalation), (Some(true), Some(false)));
        assert!(container.ports.expect("ports").iter().all(|port| image.ports.contains(&port.container_port)));
    }
}

#[test]
fn every_image_is_built_for_two_platforms_and_says_what_it_is() {
    let bake = std::fs::read_to_string(format!("{ROOT}/deploy/images/docker-bake.json")).expect("a build file");
    let bake: Value = serde_json::from_str(&bake).expect("JSON");
    assert_eq!(bake["group"]["default"]["targets"], serde_json::json!(ALL));
    assert_eq!(bake["target"]["common"]["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(bake["variable"]["VERSION"]["default"], version);
    for name in ALL {
        assert_eq!(bake["target"][name]["dockerfile"], format!("deploy/images/{name}.Containerfile"));
        let image = Image::of(name);
        for label in ["title", "description", "licenses", "version", "revision"] {
            let label = format!("org.opencontainers.image.{label}");
            assert!(image.labels.get(&label).is_some_and(|value| !value.is_empty()), "{name}: {label}");
        }
        let (user, _) = image.user.split_once(':').expect("user and group");
        assert!(user.parse::<u32>().is_ok_and(|user| user > 0), "{name}: a number that Kubernetes sees is not root");
        let agent = name != "sandbar";
        assert_eq!(image.entrypoint == ["sandbar", "agent"], agent, "{name}");
        assert_eq!(image.workdir.as_deref(), agent.then_some("/workspace"), "{name}");
    }
}

#[test]
fn containerfiles_have_no_lint() {
    let Some(python) = crate::python::venv() else { return };
    let hadolint = python.with_file_name("hadolint");
    if !hadolint.exists() {
        return eprintln!("skipped: there is no hadolint for this platform");
    }
    let files = ALL.map(|name| format!("{ROOT}/deploy/images/{name}.Containerfile"));
    let output = std::process::Command::new(hadolint).args(&files).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The list of parts in the program, which scanners of images read.
#[tokio::test]
async fn the_program_says_what_it_is_made_of() {
    let Some(program) = std::env::var_os("SANDBAR_IMAGE_PROGRAM") else {
        return eprintln!("skipped: only the image's own program has the list; make images builds it");
    };
    let home = tempfile::tempdir().expect("a folder");
    let list = home.path().join("list");
    let dump = format!("--dump-section=.dep-v0={}", list.display());
    let copied = std::process::Command::new("objcopy").arg(dump).arg(program).arg(home.path().join("copy")).output();
    assert!(copied.expect("objcopy runs").status.success(), "there is no section .dep-v0");
    let packed = std::fs::File::open(list).expect("the section");
    let list: Value = serde_json::from_reader(flate2::read::ZlibDecoder::new(packed)).expect("a list");
    let names: Vec<&str> =
        list["packages"].as_array().expect("packages").iter().filter_map(|part| part["name"].as_str()).collect();
    assert!(["sandbar", "kube", "tokio", "ring"].iter().all(|part| names.contains(part)), "{names:?}");
}

/// Whether a path of the project's folder reaches the build of an image: the last line of .dockerignore that fits decides.
fn is_sent(path: &str) -> bool {
    let ignore = std::fs::read_to_string(format!("{ROOT}/.dockerignore")).expect("a file");
    let lines = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(true, |sent, line| {
        let pattern = line.trim_start_matches('!');
        let fits = pattern == "*" || path == pattern || path.starts_with(&format!("{pattern}/"));
        if fits { line.starts_with('!') } else { sent }
    })
}

#[test]
fn what_the_program_is_built_from_reaches_the_build() {
    let mut needed = vec!["Cargo.toml".to_owned(), "Cargo.lock".to_owned(), "web/package-lock.json".to_owned()];
    let cargo = std::fs::read_to_string(format!("{ROOT}/Cargo.toml")).expect("a file");
    needed.extend(
        cargo.lines().filter_map(|line| Some(line.strip_prefix("path = \"")?.trim_end_matches('"').to_owned())),
    );
    let mut folders = vec![PathBuf::from(ROOT).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for included in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let whole = folder.join(included).canonicalize().unwrap_or_else(|error| panic!("{included}: {error}"));
                needed.push(whole.strip_prefix(ROOT).expect("of the project").to_str().expect("UTF-8").to_owned());
            }
            needed.extend(
                text.split("#[folder = \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned),
            );
        }
    }
    needed.retain(|path| path != "web/dist");
    assert!(needed.len() > 15, "{needed:?}");
    for path in needed {
        assert!(is_sent(&path), "{path} is needed, and .dockerignore keeps it back");
    }
    assert!(!is_sent("target") && !is_sent(".git") && !is_sent("web/node_modules/react") && !is_sent("web/dist"));
}
