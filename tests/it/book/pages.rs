//! Types the commands of the book's pages. Every page has a namespace of its own and stands alone; all share one world,
//! as one operator serves many namespaces.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::gateway::SERVES;
use sandbar::dev::place::PlaceError;
use sandbar::dev::world::{LocalWorld, WorldError, WorldOptions};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{PAGES, all_pages};
use crate::typed::{blocks, type_page};
use crate::world::{PROGRAM, install_tls};

/// A test for each page, and the list of them.
macro_rules! pages {
    ($($test:ident: $page:literal),+ $(,)?) => {
        const TYPED: &[&str] = &[$($page),+];

        $(#[tokio::test]
        async fn $test() {
            typed($page).await;
        })+
    };
}

pages! {
    apps: "guides/apps.md",
    claims: "guides/claims.md",
    cost: "guides/cost.md",
    files: "guides/files.md",
    gateway: "guides/gateway.md",
    gitops: "guides/gitops.md",
    hibernate: "guides/hibernate.md",
    level: "guides/level.md",
    rollout: "guides/rollout.md",
    secrets: "guides/secrets.md",
    worker: "guides/worker.md",
    install: "operations/install.md",
    troubleshooting: "operations/troubleshooting.md",
    metrics: "reference/metrics.md",
}

/// Pages that other tests type, in worlds that they need.
const ELSEWHERE: &[&str] = &[];

#[test]
fn every_page_with_commands_is_typed() {
    let with_blocks = all_pages().into_iter().filter(|page| !blocks(&format!("{PAGES}/{page}")).is_empty());
    let with_blocks: BTreeSet<String> = with_blocks.collect();
    let listed = TYPED.iter().chain(ELSEWHERE).map(|page| (*page).to_owned()).collect();
    assert_eq!(with_blocks, listed, "a page with ```sh readme blocks stands in `pages!` or in ELSEWHERE");
}

/// The world of `sandbar dev up --speed 60`, started by the first page.
async fn world() -> &'static LocalWorld {
    static WORLD: OnceCell<LocalWorld> = OnceCell::const_new();
    WORLD
        .get_or_init(|| async {
            install_tls();
            for number in 0.. {
                let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("book-{number}"));
                let cloud = CloudOptions { token: new_token(), speed: Some(60.0), virtual_apps: false, seed: None };
                let operator = Some(["--listing-period", "1s"].map(str::to_owned).into());
                let options = WorldOptions { dir, program: PROGRAM.into(), cloud, operator, gateway: true };
                match LocalWorld::start(&options, &|_| {}).await {
                    Ok(world) => return world,
                    // Another test process runs next to this one.
                    Err(WorldError::Place(PlaceError::Taken { .. })) => {}
                    Err(error) => panic!("the world does not start: {}", sandbar::failure::chain(&error)),
                }
            }
            unreachable!("there is always a higher number")
        })
        .await
}

/// Types one page in a namespace that nobody else uses. The world's gateway serves one, which is its page's.
async fn typed(page: &str) {
    let world = world().await;
    let namespace = match page {
        "guides/gateway.md" => SERVES.to_owned(),
        _ => page.trim_end_matches(".md").replace('/', "-"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("world");
    std::fs::create_dir(&place).expect("a folder");
    if namespace != SERVES {
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        let object = Namespace { metadata, ..Namespace::default() };
        let namespaces: Api<Namespace> = Api::all(world.client().await.expect("a client"));
        namespaces.create(&PostParams::default(), &object).await.expect("a namespace");
    }
    let kubeconfig = place.join("kubeconfig");
    std::fs::write(&kubeconfig, kubeconfig_for(world, &namespace)).expect("written");
    let env = std::fs::read_to_string(world.kubeconfig().with_file_name("env")).expect("the world's variables");
    let own = format!("export KUBECONFIG='{}'\n", kubeconfig.display());
    let gateway = if namespace == SERVES { "" } else { "unset GATEWAY_URL\n" };
    std::fs::write(place.join("env"), format!("{env}{own}{gateway}")).expect("written");
    type_page(&format!("{PAGES}/{page}"), folder.path()).await;
}

/// The administrator's, in another namespace.
fn kubeconfig_for(world: &LocalWorld, namespace: &str) -> String {
    let mut config: Value = serde_json::from_str(&world.plane().admin_kubeconfig()).expect("JSON");
    config["contexts"][0]["context"]["namespace"] = namespace.into();
    config.to_string()
}
