//! The chart as text: what it renders, what it refuses, and that it is the same as `deploy/base`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use sandbar::dev::binaries::{Binaries, Tool};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster::{ROOT, run, succeeded, text};

/// Where the charts are, from the project's folder.
pub const CHART: &str = "charts/sandbar";
/// Name and namespace of the release: those of `deploy/base`.
pub const RELEASE: [&str; 3] = ["sandbar", "--namespace", "sandbar-system"];

/// Labels and annotations that only Helm's objects have.
const HELMS: [&str; 5] = [
    "/metadata/labels/helm.sh~1chart",
    "/metadata/labels/app.kubernetes.io~1instance",
    "/metadata/labels/app.kubernetes.io~1managed-by",
    "/metadata/labels/app.kubernetes.io~1version",
    "/metadata/annotations/helm.sh~1resource-policy",
];

/// Objects by kind, namespace and name.
type Objects = BTreeMap<String, Value>;

async fn tool(tool: Tool, arguments: &[&str]) -> Output {
    let program = Binaries::from_env().expect("a cache").path(tool, &|line| eprintln!("{line}")).await.expect("a tool");
    let home = tempfile::tempdir().expect("a folder");
    run(&program, arguments, home.path()).await
}

/// What the chart renders with these values, each given as `--set` takes it.
async fn template(values: &[&str]) -> Output {
    let sets = values.iter().flat_map(|value| ["--set", value]);
    let arguments: Vec<_> =
        ["template", CHART].into_iter().chain(["--name-template"]).chain(RELEASE).chain(sets).collect();
    tool(Tool::Helm, &arguments).await
}

async fn rendered(values: &[&str]) -> Objects {
    let output = template(values).await;
    objects(&succeeded("helm template", values, &output))
}

fn objects(text: &str) -> Objects {
    let documents =
        serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).expect("YAML"));
    let named = documents.filter(|object| !object.is_null()).map(|object| {
        let of = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
        (format!("{} {}/{}", object["kind"].as_str().unwrap_or("?"), of("namespace"), of("name")), object)
    });
    named.collect()
}

fn remove(object: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let Some(fields) = object.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    fields.remove(&key.replace("~1", "/"));
    if fields.is_empty() && parent != "/metadata" {
        remove(object, parent);
    }
}

/// Without what only Helm adds, and without tests.
fn plain(mut objects: Objects) -> Objects {
    objects.retain(|_, object| object.pointer("/metadata/annotations/helm.sh~1hook").is_none());
    for object in objects.values_mut() {
        HELMS.iter().for_each(|pointer| remove(object, pointer));
    }
    objects
}

/// What differs, as a person would want to read it.
fn differences(helm: &Objects, kustomize: &Objects) -> Vec<String> {
    let missing = |left: &Objects, right: &Objects, what: &str| -> Vec<String> {
        left.keys().filter(|name| !right.contains_key(*name)).map(|name| format!("{name}: only {what}")).collect()
    };
    let differ = helm.iter().filter_map(|(name, one)| {
        let other = kustomize.get(name).filter(|other| *other != one)?;
        let yaml = |object| serde_yaml::to_string(object).expect("YAML");
        Some(format!("{name} differs; the chart has:\n{}kustomize has:\n{}", yaml(one), yaml(other)))
    });
    let only = [missing(helm, kustomize, "in the chart"), missing(kustomize, helm, "in kustomize")].concat();
    only.into_iter().chain(differ).collect()
}

#[tokio::test]
async fn the_chart_and_kustomize_render_the_same_objects() {
    let pairs: [(&str, &[&str]); 3] = [
        ("deploy/base", &[]),
        ("deploy/overlays/high-availability", &["highAvailability=true"]),
        ("deploy/overlays/one-namespace", &["watchNamespace=team-a"]),
    ];
    for (folder, values) in pairs {
        let mut kustomize =
            objects(&succeeded("kustomize", &[folder], &tool(Tool::Kubectl, &["kustomize", folder]).await));
        // Helm makes the namespace itself (--create-namespace), or finds it.
        kustomize.remove("Namespace /sandbar-system").expect("the namespace");
        let differences = differences(&plain(rendered(values).await), &plain(kustomize));
        assert!(differences.is_empty(), "{folder} and the chart with {values:?}:\n{}", differences.join("\n"));
    }
}

/// Everything that can be switched on is.
pub const ALL: [&str; 4] = [
    "--set",
    "watchNamespace=team-a,highAvailability=true,gateway.demo=true,gateway.ingress.enabled=true,uninstall.sandboxes=Drain",
    "--set",
    "gateway.ingress.host=play.example.com,consoles.url=https://c.example.com,consoles.tlsSecretName=tls",
];

#[tokio::test]
async fn lint_finds_nothing_even_when_it_is_strict() {
    for program in [Tool::Helm, Tool::Helm4] {
        succeeded("helm lint", &[], &tool(program, &["lint", "--strict", CHART]).await);
        let lint = [&["lint", "--strict", CHART], &ALL[..]].concat();
        succeeded("helm lint", &lint, &tool(program, &lint).await);
    }
}

#[tokio::test]
async fn helm_3_and_4_render_the_same() {
    for values in [&[][..], &ALL[..]] {
        let arguments = [&["template", "--name-template"], &RELEASE[..], &[CHART], values].concat();
        let [three, four] = [tool(Tool::Helm, &arguments).await, tool(Tool::Helm4, &arguments).await];
        let [three, four] = [three, four].map(|output| objects(&succeeded("helm template", &arguments, &output)));
        assert!(three.len() >= 28, "only {} objects", three.len());
        let differences = differences(&three, &four);
        assert!(differences.is_empty(), "Helm 3 (the chart) and Helm 4 (kustomize): {}", differences.join("\n"));
    }
}

#[tokio::test]
async fn what_an_uninstall_asks_first_is_as_the_values_say() {
    let asked = async |values: &[&str]| {
        let objects = rendered(values).await;
        let (pod, role) =
            (&objects["Pod sandbar-system/sandbar-uninstall"], &objects["ClusterRole /sandbar-uninstall"]);
        let (arguments, verbs) = (pod.pointer("/spec/containers/0/args"), role.pointer("/rules/1/verbs"));
        let binding = names(&objects, " team-a/sandbar-uninstall");
        (arguments.cloned().unwrap_or_default(), verbs.cloned().unwrap_or_default(), binding)
    };
    assert_eq!(asked(&[]).await, (json!(["drain", "--all-namespaces", "--check"]), json!(["list"]), 0));
    let drain = ["uninstall.sandboxes=Drain,uninstall.endClaims=true,uninstall.timeout=1h,watchNamespace=team-a"];
    let arguments = json!(["drain", "--namespace=team-a", "--timeout=1h", "--end-claims"]);
    assert_eq!(asked(&drain).await, (arguments, json!(["list", "patch", "delete"]), 1));
}

#[tokio::test]
async fn values_that_cannot_be_are_refused_by_their_names() {
    let refused = [
        ("operator.replica=2", "'/operator': additional properties 'replica' not allowed"),
        ("replicas=2", "additional properties 'replicas' not allowed"),
        ("operator.replicas=3", "'/operator/replicas': maximum: got 3, want 2"),
        ("operator.replicas=two", "'/operator/replicas': got string, want integer"),
        ("image.pullPolicy=Sometimes", "'/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("image.tag=", "'/image/tag': minLength: got 0, want 1"),
        ("image.digest=sha256:short", "'/image/digest': 'sha256:short' does not match pattern"),
        ("watchNamespace=Team_A", "'/watchNamespace': 'Team_A' does not match pattern"),
        ("consoles.url=http://consoles.example.com", "'/consoles/url': 'http://consoles.example.com' does not match"),
        ("snapshots.url=bucket/folder", "'/snapshots/url': 'bucket/folder' does not match pattern"),
        ("gateway.corsOrigins={*}", "'/gateway/corsOrigins/0': '*' does not match pattern"),
        ("gateway.demo=yes", "'/gateway/demo': got string, want boolean"),
        ("gateway.ingress.enabled=true", "'/gateway/ingress/host': minLength: got 0, want 1"),
        ("gateway.service.type=Public", "'/gateway/service/type': value must be one of"),
        ("gateway.maxRunsPerHour=-1", "'/gateway/maxRunsPerHour': minimum: got -1, want 0"),
        ("uninstall.sandboxes=Keep", "'/uninstall/sandboxes': value must be one of 'Refuse', 'Drain', 'Leave'"),
        ("uninstall.timeout=4", "'/uninstall/timeout': got number, want string"),
        ("uninstall.timeout=forever", "'/uninstall/timeout': 'forever' does not match pattern"),
        ("networkPolicy.egressPorts={70000}", "'/networkPolicy/egressPorts/0': maximum: got 70,000, want 65,535"),
    ];
    for (value, why) in refused {
        let output = template(&[value]).await;
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{value}: {said}");
    }
}

/// The arguments of a Deployment's only container.
fn arguments<'a>(objects: &'a Objects, deployment: &str) -> Vec<&'a str> {
    let object = &objects[&format!("Deployment sandbar-system/{deployment}")];
    let arguments = object.pointer("/spec/template/spec/containers/0/args").and_then(Value::as_array);
    arguments.expect("arguments").iter().map(|argument| argument.as_str().expect("text")).collect()
}

fn names(objects: &Objects, part: &str) -> usize {
    objects.keys().filter(|name| name.contains(part)).count()
}

#[tokio::test]
async fn what_is_switched_off_is_not_there() {
    let everything = rendered(&[]).await;
    assert!(names(&everything, "sandbar-gateway") >= 7, "{:?}", everything.keys());
    assert_eq!((names(&everything, "Ingress "), names(&everything, "sandbar-consoles")), (0, 0));
    let off = [
        ("gateway.enabled=false", "sandbar-gateway"),
        ("crds.install=false", "CustomResourceDefinition"),
        ("rbac.userRoles=false", "ClusterRole /sandbar-user"),
        ("networkPolicy.enabled=false", "NetworkPolicy"),
        ("podDisruptionBudget.enabled=false", "PodDisruptionBudget"),
        ("metrics.service=false", "Service sandbar-system/sandbar-metrics"),
        ("uninstall.sandboxes=Leave", "sandbar-uninstall"),
    ];
    for (value, part) in off {
        assert!(names(&everything, part) > 0, "{part}");
        assert_eq!(names(&rendered(&[value]).await, part), 0, "{value}");
    }
}

#[tokio::test]
async fn values_reach_the_processes() {
    let objects = rendered(&[
        "watchNamespace=team-a",
        "image.repository=ghcr.io/example/sandbar,image.tag=1.2.3",
        "snapshots.url=s3://bucket/folder,snapshots.secretName=keys",
        "consoles.url=https://consoles.example.com,consoles.tlsSecretName=tls",
        "gateway.demo=true,gateway.maxRunsPerHour=100,gateway.maxRunsPerHourPerCaller=0",
        "gateway.corsOrigins={https://play.example.com}",
        "gateway.ingress.enabled=true,gateway.ingress.host=sandbar.example.com,gateway.ingress.className=nginx",
        "operator.extraArgs={--orphans=report}",
    ])
    .await;
    assert_eq!(
        arguments(&objects, "sandbar"),
        [
            "controller",
            "--watch-namespace=team-a",
            "--log-format=json",
            "--console-listen=0.0.0.0:8443",
            "--console-url=https://consoles.example.com",
            "--console-tls-cert=/tls/tls.crt",
            "--console-tls-key=/tls/tls.key",
            "--orphans=report",
        ]
    );
    assert_eq!(
        arguments(&objects, "sandbar-gateway"),
        [
            "gateway",
            "--namespace=team-a",
            "--listen=0.0.0.0:8090",
            "--max-runs-per-hour=100",
            "--max-connections=4096",
            "--log-format=json",
            "--demo",
            "--cors-origin=https://play.example.com",
        ]
    );
    let container = |pointer: &str| {
        let operator = &objects["Deployment sandbar-system/sandbar"];
        operator.pointer(&format!("/spec/template/spec/containers/0{pointer}")).cloned().unwrap_or_default()
    };
    assert_eq!(container("/image"), "ghcr.io/example/sandbar:1.2.3");
    assert_eq!(container("/env/1"), json!({"name": "SANDBAR_SNAPSHOT_URL", "value": "s3://bucket/folder"}));
    assert_eq!(container("/envFrom/0/secretRef/name"), "keys");
    let ingress = &objects["Ingress sandbar-system/sandbar-gateway"]["spec"];
    assert_eq!(
        (&ingress["rules"][0]["host"], &ingress["ingressClassName"]),
        (&json!("sandbar.example.com"), &json!("nginx"))
    );
    let digest = format!("sha256:{}", "0".repeat(64));
    let by_digest = rendered(&[&format!("image.digest={digest}")]).await;
    let image =
        by_digest["Deployment sandbar-system/sandbar-gateway"].pointer("/spec/template/spec/containers/0/image");
    assert_eq!(image, Some(&json!(format!("sandbar@{digest}"))));
}

#[tokio::test]
async fn two_releases_share_no_name_but_the_definitions() {
    let blue = rendered(&["name=blue,watchNamespace=team-a,crds.install=false"]).await;
    let green = rendered(&["name=green,watchNamespace=team-b"]).await;
    let shared: Vec<_> = blue.keys().filter(|name| green.contains_key(*name)).collect();
    assert!(shared.is_empty(), "{shared:?}");
    // Each one's policy names its own operator and holds in its own namespace.
    let policy = &blue["ValidatingAdmissionPolicy /blue-slot"]["spec"]["variables"][0]["expression"];
    assert_eq!(policy, "'system:serviceaccount:sandbar-system:blue'");
    assert!(arguments(&blue, "blue").contains(&"--lease-name=blue"), "{:?}", arguments(&blue, "blue"));
}

#[test]
fn every_value_is_explained() {
    let values = std::fs::read_to_string(Path::new(ROOT).join(CHART).join("values.yaml")).expect("the values");
    let lines: Vec<&str> = values.lines().collect();
    let mut checked = 0;
    for (number, line) in lines.iter().enumerate() {
        let Some((key, value)) = line.split_once(':').filter(|(key, _)| !key.trim_start().starts_with('#')) else {
            continue;
        };
        let group = value.is_empty() && key.trim() != "resources";
        // What is in `resources` is explained there.
        if group || ["cpu", "memory"].contains(&key.trim()) {
            continue;
        }
        checked += 1;
        let before = number.checked_sub(1).map_or("", |before| lines[before].trim_start());
        assert!(before.starts_with('#'), "values.yaml:{}: {} has no comment", number + 1, key.trim());
    }
    assert!(checked >= 45, "only {checked} values");
}
